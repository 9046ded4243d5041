"""The masked versions of clips that the checks need. A version of all N clips is one batch.

key                          version                                                          check
(method, "half")             the half of the voxels with the lowest heat is hidden            kept
(control, "half")            the same by a control                                            kept_centre, …
(method, "place")            the place where the map peaks is hidden                          peak
("random", "place")          another place of that size is hidden                             peak_random
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.devices import to_device
from vidcam.fill import Fill
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.metrics.order import rank_ties, ranks_of, tie_field, voxel_order
from vidcam.metrics.place import peak_place, place_around
from vidcam.metrics.retention import keep_top

HALF = 0.5

FILLS: Mapping[str, Fill] = MappingProxyType({"half": "black", "place": "frame-mean"})
"""Second part of a key → what replaces hidden pixels; docs/evidence/verdict.md says why. Without the model's scaling,
black is not known, and it is `frame_mean` for both."""

Key = tuple[str, str]

Mask = NDArray[np.bool_]
"""(N, T, H, W): True where a pixel stays visible."""


@dataclass(frozen=True, slots=True, eq=False)
class HeatOfClips:
    """What the versions of N clips are made from.

    Attributes:
        heats: method → (N, T, H, W) in [0, 1].
        volume: (N, t, h, w), a map on the layer's grid. Its cells are shuffled, and its grid makes the ties.
        pixels: (N, T, H, W, C), for the frame difference; any scale that is the same for all pixels of a colour.
        seed: seed of ties, shuffled cells and the other place.
    """

    heats: Mapping[str, Floats]
    volume: Floats
    pixels: Floats
    seed: int = 0

    @property
    def size(self) -> tuple[int, ...]:
        """(T, H, W) of the clips."""
        return next(iter(self.heats.values())).shape[1:]


Step = tuple[Key, Callable[[], Mask]]


def steps(maps: HeatOfClips) -> Iterator[Step]:
    """Yield the key and the mask of each version, the most telling first."""
    ties = [
        rank_ties(tie_field(volume.shape, maps.size, _generator(maps, n, 0))) for n, volume in enumerate(maps.volume)
    ]

    def half(heat: Floats) -> Mask:
        ranks = (ranks_of(voxel_order(*each), maps.size) for each in zip(heat, ties, strict=True))
        return np.stack([keep_top(rank, HALF).numpy() for rank in ranks])

    for name, heat in maps.heats.items():
        yield (name, "half"), partial(half, heat)
    yield ("centre", "half"), lambda: half(_centred(maps))
    for name, heat in maps.heats.items():
        yield (name, "place"), partial(_without_place, [peak_place(each) for each in heat], maps.size)
    yield ("random", "place"), partial(_without_place, _other_places(maps), maps.size)
    if len(maps.size) > 2 and maps.size[0] > 1:
        yield ("frame-difference", "half"), lambda: half(_moving(maps))
    yield ("random", "half"), lambda: half(_shuffled(maps))


def hidden(clip: Tensor, keep: Mask, fill: Tensor) -> Tensor:
    """Return a clip (N, C, T, H, W) with the fill where `keep` is False.

    Args:
        clip: (N, C, T, H, W); its size may differ from that of the mask, as in another pathway.
        keep: (N, T, H, W).
        fill: broadcasts against the clip.
    """
    mask = torch.from_numpy(np.ascontiguousarray(keep))
    for axis, (length, wanted) in enumerate(zip(keep.shape[1:], clip.shape[2:], strict=True), start=1):
        if length != wanted:
            mask = mask.index_select(axis, (torch.arange(wanted) * length) // wanted)
    return torch.where(to_device(mask, clip.device)[:, None], clip, fill)


def frame_mean(clip: Tensor) -> Tensor:
    """Return the mean colour of each frame, in the clip's own scaling; of a signal, the mean of each channel."""
    return clip.mean(dim=tuple(range(-min(2, clip.ndim - 2), 0)), keepdim=True)


def _generator(maps: HeatOfClips, clip: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([maps.seed, clip, purpose])


def _shuffled(maps: HeatOfClips) -> Floats:
    cells = [shuffled_cells(volume, _generator(maps, n, 1)) for n, volume in enumerate(maps.volume)]
    return normalise_per_clip(upsample_volume(np.stack(cells), maps.size))


def _other_places(maps: HeatOfClips) -> list[tuple[slice, ...]]:
    generators = (_generator(maps, clip, 2) for clip in range(len(maps.volume)))
    centres = [[int(generator.integers(length)) for length in maps.size] for generator in generators]
    return [place_around(centre, maps.size) for centre in centres]


def _centred(maps: HeatOfClips) -> Floats:
    frames, height, width = (1, 1, *maps.size)[-3:]
    heat = centre_heat((frames, height, width)).astype(np.float32).reshape(maps.size)
    return np.broadcast_to(heat, (len(maps.volume), *maps.size))


def _moving(maps: HeatOfClips) -> Floats:
    return normalise_per_clip(np.stack([frame_difference(clip) for clip in maps.pixels]).astype(np.float32))


def _without_place(places: Sequence[tuple[slice, ...]], size: tuple[int, ...]) -> Mask:
    keep = np.ones((len(places), *size), np.bool_)
    for clip, place in zip(keep, places, strict=True):
        clip[place] = False
    return keep
