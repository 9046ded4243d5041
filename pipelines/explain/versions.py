"""The changed versions of a window that its verdict needs: parts hidden by each map and control, frames reordered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidcam.devices import to_device
from vidcam.maps import Floats
from vidcam.metrics.time_audit import Change, changed_frames
from vidcam.pipelines.explain.crops import Crops
from vidcam.pipelines.verdict.versions import FILLS, HeatOfClips, Key, steps
from vidcam.preprocess import fill_for, reorder_frames, to_pixels
from vidcam.results.explanation import Explanation
from vidcam.spec import Scaling

SHARED: tuple[Key, ...] = (("centre", "half"), ("frame-difference", "half"), ("random", "place"))
"""Versions that do not depend on a map: they serve all targets."""

FRAMES = "frames"
"""Second part of the key of a window whose frames are reordered; the first is the change."""

Versions = Iterator[tuple[int | None, Key, Tensor]]
"""The target of a version, None for all targets; its key; and its crops, (C, 3, T, H, W)."""


@dataclass(frozen=True, slots=True, eq=False)
class ShownWindow:
    """A window as the model sees it.

    Attributes:
        index: its number. It seeds all that is random, so that no other measured window matters.
        clips: its crops, (C, 3, T, H, W).
        crops: where they lie.
        scaling: scaling of the model.
    """

    index: int
    clips: Tensor
    crops: Crops
    scaling: Scaling


def masked_versions(window: ShownWindow, explanations: Sequence[Explanation], layer_maps: Sequence[Floats]) -> Versions:
    """Yield the window with parts hidden by each map of each target, and by the controls; the most telling first.

    Args:
        window: the window.
        explanations: its maps, one for each target.
        layer_maps: of each target a map of the window on the layer's grid, (1, t, h, w): its cells are shuffled. Those
            of a fine map would be white noise, which is too easy to beat.
    """
    fills = {kind: fill_for(window.clips, fill, window.scaling) for kind, fill in FILLS.items()}
    pixels = _pixels(window)[None]
    maps = (
        HeatOfClips({name: explanation.heat(name) for name in explanation.methods}, layer_map, pixels, window.index)
        for explanation, layer_map in zip(explanations, layer_maps, strict=True)
    )
    for of_targets in zip(*map(steps, maps), strict=True):
        for number, (key, mask) in enumerate(of_targets):
            if key in SHARED and number > 0:
                continue
            is_kept = window.crops.heat(to_device(torch.from_numpy(mask()), window.clips.device))
            version = torch.where(is_kept[:, None], window.clips, fills[key[1]])
            yield None if key in SHARED else number, key, version


def reordered_versions(window: ShownWindow, changes: Sequence[Change]) -> Versions:
    """Yield the window with its frames reordered."""
    for change in changes:
        order = changed_frames(change, window.clips.shape[2], np.random.default_rng(window.index))
        slots = to_device(torch.from_numpy(order), window.clips.device)
        yield None, (change, FRAMES), reorder_frames(window.clips, slots, window.scaling)


def _pixels(window: ShownWindow) -> Floats:
    """Return the pixels of all that is seen, (T, H, W, 3)."""
    view, clips = window.crops.geometry, to_pixels(window.clips, window.scaling).permute(0, 2, 3, 4, 1).cpu().numpy()
    pixels = np.zeros((clips.shape[1], *view.crop_size, 3), np.float32)
    for part, clip in zip(window.crops.parts, clips, strict=True):
        rows, columns = part.slices_in(view)
        pixels[:, rows, columns] = clip
    return pixels
