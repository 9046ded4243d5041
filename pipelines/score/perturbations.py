"""The perturbed versions of a clip that the measures need. Each version is made once.

key                                 version of the clip                    measures
(method, "masked")                  E = L∘I                                drop, increase, win, relative performance
(method, "post_softmax")            E with the probability's map           relative performance
(method, "keep", θ)                 the lowest θ of the voxels hidden      retention, curve, insertion
(method, "delete", s)               the highest s of the voxels hidden     deletion
(method, "insert-frames", s)        the highest s of the frames shown      insertion by frames
(method, "delete-frames", s)        the highest s of the frames hidden     deletion by frames
(method, "fill", name)              as "keep" at θ = 0.5, with every fill      fills
("blank",)                          only the fill                          the end of every curve
("frozen",) …                       frames in another order                time
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vidcam.devices import to_device
from vidcam.fill import SCORE_FILLS, Fill, ScoreFill
from vidcam.maps import Floats
from vidcam.metrics.infill import infill
from vidcam.metrics.insertion_deletion import SHARES, delete, frame_shares, insert
from vidcam.metrics.order import Order, RankedTies, frame_order, ranks_of, voxel_order
from vidcam.metrics.retention import GRID_THETAS, keep_top
from vidcam.metrics.time_audit import CHANGES, changed_frames
from vidcam.pipelines.score.forwards import Key, Perturbation
from vidcam.preprocess import fill_for, reorder_frames, scale_pixels, to_pixels
from vidcam.spec import Scaling

HALF = 0.5
"""θ of the measure `fills`."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredMap:
    """A map to score, of a method or a control.

    Attributes:
        name: name of the method or control.
        heat: (T, H, W) in [0, 1].
        post_softmax: (T, H, W), the map of the probability's gradient; None for controls or without `relative`.
        order: ranks of the voxels; None if no measure needs them.
        frames: ranks of the frames; None if no measure needs them.
        label_map: (T, H, W), the map of the label's class, for localization; None without boxes.
        time_cells: cells of the map in time before it was upsampled; T if it was not.
    """

    name: str
    heat: Floats = field(repr=False)
    post_softmax: Floats | None = field(default=None, repr=False)
    order: Order | None = field(default=None, repr=False)
    frames: Order | None = field(default=None, repr=False)
    label_map: Floats | None = field(default=None, repr=False)
    time_cells: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the map has no positive evidence."""
        return not self.heat.any()


def scored_map(
    name: str,
    heat: Floats,
    *,
    ties: RankedTies,
    measures: Sequence[str],
    post_softmax: Floats | None = None,
    label_map: Floats | None = None,
    time_cells: int | None = None,
) -> ScoredMap:
    """Make a map with the ranks of voxels and frames that the measures need."""
    by_voxel = {"retention", "curve", "insertion-deletion", "fills"} & set(measures)
    order = voxel_order(heat, ties) if by_voxel else None
    frames = frame_order(heat, ties.values) if "insertion-deletion" in measures else None
    return ScoredMap(name, heat, post_softmax, order, frames, label_map, time_cells or heat.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class MaskedClip:
    """A clip (1, 3, T, H, W), its scaling, and the fill of its hidden pixels."""

    clip: Tensor
    scaling: Scaling
    fill: ScoreFill
    _fills: dict[Fill, Tensor] = field(default_factory=dict, repr=False)

    def mask(self, heat: Floats, out: Tensor) -> None:
        """Write E = L∘I + (1 - L)∘fill to `out` (3, T, H, W); L = `heat` is (T, H, W)."""
        weight = to_device(torch.from_numpy(np.ascontiguousarray(heat)), self.clip.device).to(self.clip.dtype)
        torch.lerp(self._filling(weight, self.fill), self.clip[0], weight, out=out)

    def keep(
        self,
        cut: Callable[[Tensor, float], Tensor],
        ranks: Tensor,
        share: float,
        out: Tensor,
        *,
        fill: ScoreFill | None = None,
    ) -> None:
        """Write the clip to `out` where `cut(ranks, share)` is true, a fill elsewhere; None: that of the clip."""
        visible = cut(ranks, share)
        torch.where(visible, self.clip[0], self._filling(visible, fill or self.fill), out=out)

    def _filling(self, visible: Tensor, fill: ScoreFill) -> Tensor:
        """Return model values for hidden pixels, (3, T, H, W) or such that they broadcast against it."""
        if fill == "infill":
            pixels = infill(to_pixels(self.clip, self.scaling)[0], visible.expand(self.clip.shape[2:]))
            return scale_pixels(pixels[None], self.scaling)[0].to(self.clip.dtype)
        if fill not in self._fills:
            self._fills[fill] = fill_for(self.clip, fill, self.scaling)
        return self._fills[fill][0]


def map_perturbations(
    masked: MaskedClip, scored: ScoredMap, measures: Sequence[str], thetas: Sequence[float]
) -> Iterator[Perturbation]:
    """Yield the perturbed versions that belong to one map."""
    yield (scored.name, "masked"), partial(masked.mask, scored.heat)
    if scored.post_softmax is not None:
        yield (scored.name, "post_softmax"), partial(masked.mask, scored.post_softmax)
    for key, cut, ranks, share in _cuts(masked, scored, measures, thetas):
        yield (scored.name, *key), partial(masked.keep, cut, ranks, share)
    if "fills" in measures and scored.order is not None:
        ranks = to_device(ranks_of(scored.order, scored.heat.shape), masked.clip.device)
        for fill in SCORE_FILLS:
            yield (scored.name, "fill", fill), partial(masked.keep, keep_top, ranks, HALF, fill=fill)


def _cuts(
    masked: MaskedClip, scored: ScoredMap, measures: Sequence[str], thetas: Sequence[float]
) -> Iterator[tuple[Key, Callable[[Tensor, float], Tensor], Tensor, float]]:
    """Yield the cuts through the order of a map's voxels or frames: key, function, ranks, share."""
    size, device = scored.heat.shape, masked.clip.device
    is_curve = "insertion-deletion" in measures
    if scored.order is None:
        return
    ranks = to_device(ranks_of(scored.order, size), device)
    for theta in inner({*thetas, *(GRID_THETAS if is_curve else ())}):
        yield ("keep", f"{theta:g}"), keep_top, ranks, theta
    if not is_curve or scored.frames is None:
        return
    frames = to_device(ranks_of(scored.frames, (size[0], 1, 1)), device)
    for share in inner(SHARES):
        yield ("delete", f"{share:g}"), delete, ranks, share
    for share in inner(frame_shares(size[0])):
        yield ("insert-frames", f"{share:g}"), insert, frames, share
        yield ("delete-frames", f"{share:g}"), delete, frames, share


def inner(shares: Sequence[float] | set[float]) -> list[float]:
    """Return the shares between 0 and 1, increasing. The ends are the same for all maps, so they are made elsewhere."""
    return sorted(share for share in shares if 0.0 < share < 1.0)


def clip_perturbations(
    masked: MaskedClip, measures: Sequence[str], generator: np.random.Generator
) -> Iterator[Perturbation]:
    """Yield the perturbed versions that do not depend on a map."""
    if {"curve", "insertion-deletion"} & set(measures):
        yield ("blank",), partial(masked.mask, np.zeros(masked.clip.shape[2:], np.float32))
    if "time" in measures:
        for change in CHANGES:
            slots = torch.from_numpy(changed_frames(change, masked.clip.shape[2], generator)).to(masked.clip.device)
            yield (change,), partial(_reordered, masked.clip, slots, masked.scaling)


def _reordered(clip: Tensor, slots: Tensor, scaling: Scaling, out: Tensor) -> None:
    out.copy_(reorder_frames(clip, slots, scaling)[0])
