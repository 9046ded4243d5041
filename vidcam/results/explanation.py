"""What an explanation is once it has left the core: raw maps, the scores behind them, and the audit of α.

Everything is numpy. `volumes` are raw: before upsampling and normalising, on the feature grid (t, h, w) of the target
layer; `heat` is what one looks at: upsampled to the model's input and min-max normalised per clip. For a 2-D network
the axes t and T are absent throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError, name_not_found
from vidcam.maps import Floats, normalise_per_clip, upsample_volume

Activation = Literal["softmax", "sigmoid"]
"""What turns logits into probabilities: classes that exclude each other, or that do not."""

OF_FUNCTION = -1
"""The target's index where a function of the output was explained and no class."""

GUIDED: Mapping[str, str] = MappingProxyType(
    {"guided-gradcam": "gradcam", "guided-gradcam+": "gradcam+", "guided-gradcam++": "gradcam++"}
)
"""Guided method → the method whose upsampled map it multiplies with guided backpropagation."""

SATURATED = 1e-4
"""From 1 - p of this on, a probability's own gradient has all but vanished."""


@dataclass(frozen=True, slots=True, eq=False)
class AlphaAudit:
    """How the weights α of Grad-CAM++ are distributed in each of N clips (EQ 3.3–3.4, arXiv:2205.10838).

    Five numbers are minimum, quartiles and maximum; NaN where a clip has no such position.

    Attributes:
        positive: (N, 5) α over positions with g > 0, the ones that weigh; in (0, 1/2] where A >= 0.
        nonzero: (N, 5) α over all positions with g != 0, the critique's set; its outliers sit at g < 0.
        product: (N, 5) ΣA·g over positions with g != 0; α = 1 / (2 + ΣA·g).
        clamped: (N,) share of the positions with g > 0 whose denominator hit the guard.
        agreement: (N,) Pearson correlation of the gradcam++ volume with the gradcam+ volume; NaN if one is constant.
        uniform: (N,) bool, whether g is one number for each channel (a pooled linear head).
    """

    positive: NDArray[np.float64]
    nonzero: NDArray[np.float64]
    product: NDArray[np.float64]
    clamped: NDArray[np.float64]
    agreement: NDArray[np.float64]
    uniform: NDArray[np.bool_]

    def __post_init__(self) -> None:
        clips = self.clamped.shape[0]
        shapes = {
            "positive": (clips, 5),
            "nonzero": (clips, 5),
            "product": (clips, 5),
            "clamped": (clips,),
            "agreement": (clips,),
            "uniform": (clips,),
        }
        wrong = {name: getattr(self, name).shape for name in shapes if getattr(self, name).shape != shapes[name]}
        if wrong:
            raise ShapeError(f"an audit of {clips} clips needs the shapes {shapes}, got {wrong}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """The cells of the feature grid that are loud on a content-free clip.

    Attributes:
        cells: their indices (t, h, w), the loudest first.
        value: channel sum of the activations in the loudest.
        median: median channel sum over the grid.
    """

    cells: tuple[tuple[int, ...], ...]
    value: float
    median: float


AUDIT_FIELDS = ("positive", "nonzero", "product", "clamped", "agreement", "uniform")


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Class activation maps of N clips, one target each.

    Attributes:
        volumes: method → (N, t, h, w) float32 (float64 for a float64 model), raw, >= 0.
        logits: (N, K), the model's scores before the softmax.
        target: (N,) int64, the class explained in each clip; OF_FUNCTION (-1) for a function of the output.
        contrast: (N,) int64 or None: the class it was contrasted with (score S_target - S_contrast).
        layer: dotted name of the target layer; of several, joined by ' + '.
        input_size: (T, H, W) of the model's input.
        alpha: method → audit, for the methods that weigh by α.
        alpha_exact: whether eq. 19 is exact, that is, the head is piecewise linear in A; None: could not be told.
        clamped: method → (N,) share of the positions whose denominator hit the guard, for `gradcam++signed` and
            `gradcam++softmax`; that of `gradcam++` stands in its audit.
        guided: method → (N, C, T, H, W) signed: guided backpropagation times the map at the input's size.
        activation: what turns the logits into probabilities.
        artifact: cells that are loud on a clip without content; None where none was found or looked for.
        notes: sentences about what was chosen for the caller.
    """

    volumes: Mapping[str, Floats]
    logits: Floats
    target: NDArray[np.int64]
    contrast: NDArray[np.int64] | None
    layer: str
    input_size: tuple[int, ...]
    alpha: Mapping[str, AlphaAudit] = field(default_factory=dict)
    alpha_exact: bool | None = None
    clamped: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    guided: Mapping[str, Floats] = field(default_factory=dict)
    activation: Activation = "softmax"
    artifact: Artifact | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        axes = 1 + len(self.input_size)
        shapes = {name: volume.shape for name, volume in self.volumes.items()}
        if any(len(shape) != axes or shape[0] != len(self) for shape in shapes.values()):
            raise ShapeError(
                f"volumes must be (N, ...) with N = {len(self)} clips and {axes} axes for an input of "
                f"{self.input_size = }, got {shapes}"
            )
        if self.logits.ndim != 2 or self.target.shape != self.logits.shape[:1]:
            raise ShapeError(f"logits must be (N, K), target (N,), got {self.logits.shape = }, {self.target.shape = }")

        if self.contrast is not None and self.contrast.shape != self.target.shape:
            raise ShapeError(f"contrast must be (N,) like target, got {self.contrast.shape = }, {self.target.shape = }")

    def __len__(self) -> int:
        return int(self.target.shape[0])

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {volume.shape}" for name, volume in self.volumes.items())
        return f"Explanation({{{shapes}}}, target={self.target.tolist()}, layer={self.layer!r})"

    @property
    def methods(self) -> tuple[str, ...]:
        """Canonical names of the methods that gave volumes."""
        return tuple(self.volumes)

    @property
    def empty(self) -> dict[str, NDArray[np.bool_]]:
        """Method → (N,) bool: the map has no positive evidence at all and is zero everywhere."""
        return {name: np.max(volume.reshape(len(self), -1), axis=1) <= 0 for name, volume in self.volumes.items()}

    def volume(self, method: str) -> Floats:
        """The raw maps of a method, (N, t, h, w)."""
        if method not in self.volumes:
            raise name_not_found("method", method, self.volumes, "it must be one of those that were asked for")
        return self.volumes[method]

    def heat(self, method: str) -> Floats:
        """Maps at the size of the model's input, (N, T, H, W) in [0, 1], min-max normalised per clip."""
        return normalise_per_clip(upsample_volume(self.volume(method), self.input_size))

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write an `.npz` that `vidcam.load` reads; arguments and errors as `results.io.save`."""
        from vidcam.results.io import save

        save(self, path, overwrite=overwrite)

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the first clip's maps, methods × frames."""
        from vidcam.render.notebook import maps_page

        if not self.volumes or len(self) == 0:
            return None
        whole = (1, 1, 1, *self.input_size)[-3:]  # an image is one frame, a row of values one line of it
        rows = {name: self.heat(name)[0].reshape(whole) for name in self.volumes}
        clips = f"clip 1 of {len(self)}, " if len(self) > 1 else ""
        target = "a function" if self.target[0] == OF_FUNCTION else f"class {self.target[0]}"
        return maps_page(rows, title=f"{clips}{target} at {self.layer}", subtitle=self.audit())

    def probabilities(self) -> NDArray[np.float64]:
        """Softmax (or sigmoid) of the logits, (N, K), computed in float64."""
        logits = self.logits.astype(np.float64)
        if self.activation == "sigmoid":
            odds = np.exp(-np.abs(logits))
            return np.where(logits < 0, odds, 1.0) / (1.0 + odds)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    @property
    def probability(self) -> NDArray[np.float64]:
        """(N,) probability of each clip's target; NaN where a function was explained."""
        if (self.target == OF_FUNCTION).any():
            return np.full(len(self), np.nan)
        return np.take_along_axis(self.probabilities(), self.target[:, None], axis=1)[:, 0]

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """(N,) whether the target's probability lies within 1e-4 of 1, where its own gradient says little."""
        return self.probability >= 1 - SATURATED

    def audit(self, clip: int = 0) -> str:
        """What is to be known of one clip's maps before they are trusted, in one line."""
        parts = [_alpha_line(name, audit, clip) for name, audit in self.alpha.items()]
        parts += [f"{name}: {share[clip]:.2%} at the guard" for name, share in self.clamped.items()]
        parts += [] if self.alpha_exact is None else [f"eq. 19 {'exact' if self.alpha_exact else 'an approximation'}"]
        if self.target[clip] != OF_FUNCTION:
            parts.append(f"p = {self.probability[clip]:.6g}{' (saturated)' if self.saturated[clip] else ''}")
        caught = [
            name
            for name, volume in self.volumes.items()
            if self.artifact and peaks_in_artifact(volume, self.artifact)[clip]
        ]
        parts += (
            [f"{', '.join(caught)} peaks in the artifact"]
            if caught
            else ["no peak in the artifact"] * bool(self.artifact)
        )
        empty = [name for name, flags in self.empty.items() if flags[clip]]
        return "; ".join([*parts, *([f"empty: {', '.join(empty)}"] if empty else [])])


def _alpha_line(name: str, audit: AlphaAudit, clip: int) -> str:
    low, _, middle, _, high = audit.positive[clip]
    if np.isnan(middle):
        return f"{name}: no gradient is positive"
    agreement = audit.agreement[clip]
    return (
        f"{name}: alpha {middle:.3f} at the median ({low:.3g} to {high:.3g}; from {audit.nonzero[clip, 0]:.3g} to "
        f"{audit.nonzero[clip, 4]:.3g} over all g), {audit.clamped[clip]:.2%} at the guard, "
        + ("a constant map" if np.isnan(agreement) else f"r = {agreement:.4f} with gradcam+")
    )


def peaks_in_artifact(volumes: Floats, artifact: Artifact) -> NDArray[np.bool_]:
    """Whether the maximum of each map lies in one of the artifact's cells, (N,); empty maps peak nowhere.

    Args:
        volumes: raw maps, (N, t, h, w).
        artifact: of the same layer.
    """
    flat = volumes.reshape(volumes.shape[0], -1)
    loud = [int(np.ravel_multi_index(cell, volumes.shape[1:])) for cell in artifact.cells]
    peaks: NDArray[np.bool_] = np.isin(flat.argmax(axis=1), loud) & flat.any(axis=1)
    return peaks


def artifact_share(volumes: Floats, artifact: Artifact) -> float:
    """Share of the maps that peak in the artifact; arguments as `peaks_in_artifact`."""
    return float(np.mean(peaks_in_artifact(volumes, artifact)))


def per_clip_arrays(explanation: Explanation) -> tuple[NDArray[Any], ...]:
    """Every array of an explanation that has one entry for each clip, in a fixed order."""
    audits = [getattr(audit, part) for audit in explanation.alpha.values() for part in AUDIT_FIELDS]
    contrast = () if explanation.contrast is None else (explanation.contrast,)
    others = (*explanation.clamped.values(), *explanation.guided.values())
    return (*explanation.volumes.values(), explanation.logits, explanation.target, *contrast, *audits, *others)


def mapped(explanation: Explanation, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Explanation:
    """The same explanation with a function applied to each of `per_clip_arrays`, which keeps what follows the clips."""
    return replace(
        explanation,
        volumes={name: function(volume) for name, volume in explanation.volumes.items()},
        logits=function(explanation.logits),
        target=function(explanation.target),
        contrast=None if explanation.contrast is None else function(explanation.contrast),
        alpha={
            name: AlphaAudit(*(function(getattr(audit, part)) for part in AUDIT_FIELDS))
            for name, audit in explanation.alpha.items()
        },
        clamped={name: function(share) for name, share in explanation.clamped.items()},
        guided={name: function(values) for name, values in explanation.guided.items()},
    )
