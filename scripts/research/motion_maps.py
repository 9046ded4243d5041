"""Maps of motion clips by every method and by the controls. Of a guided map it is the positive part.

random             gradcam's cells, shuffled and upsampled
centre             a bump in the middle of every frame
frame-difference   how much each pixel changes, no network
uniform            1 everywhere; pointing and energy are the share of the truth in the volume
answer             the true boxes, averaged over the cells of the layer's grid and upsampled: the best map of that grid
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scripts.library import METHODS, explainer
from scripts.research.pool import to_input
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.media import Frames
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.models.model import Model
from vidcam.motion.box_tracks import filled_boxes
from vidcam.motion.clip import MotionClip
from vidcam.results.explanation import GUIDED

CONTROLS = ("random", "centre", "frame-difference", "uniform", "answer")
BATCH = 20


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedClip:
    """One clip and its maps.

    Attributes:
        clip: the clip with its truth.
        instances: each actor's box while it acts, (M, T, H, W) bool.
        is_correct: whether the model predicts the class.
        heats: method or control → (T, H, W) in [0, 1].
        empty: method → whether the map has no positive evidence.
    """

    clip: MotionClip
    instances: NDArray[np.bool_]
    is_correct: bool
    heats: dict[str, Floats]
    empty: dict[str, bool]


def explain_clips(
    model: Model, clips: Sequence[MotionClip], *, layer: str | None = None, seed: int = 0
) -> Iterator[ExplainedClip]:
    """Explain each clip for its true class.

    Args:
        model: a model of the motion set.
        clips: clips of the motion set.
        layer: None for the model's own.
        seed: seed of the random control.
    """
    generator = np.random.default_rng(seed)
    explain = explainer(model, layer or str(model.spec.layer), methods_for(model, layer))
    for start in range(0, len(clips), BATCH):
        batch = clips[start : start + BATCH]
        tensor = to_input(torch.from_numpy(np.stack([clip.frames for clip in batch])))
        explanation = explain(tensor, target=[clip.label for clip in batch])
        positive = {name: positive_part(values) for name, values in explanation.guided.items()}
        heats = {name: explanation.heat(name) for name in explanation.methods}
        heats |= {name: normalise_per_clip(values) for name, values in positive.items()}
        empty = explanation.empty | {name: values.max(axis=(1, 2, 3)) <= 0 for name, values in positive.items()}
        volumes = explanation.volume("gradcam")
        for index, clip in enumerate(batch):
            instances = filled_boxes(clip)
            controls = _controls(volumes[index], clip.frames, instances, generator)
            yield ExplainedClip(
                clip,
                instances,
                bool(explanation.logits[index].argmax() == clip.label),
                {name: heat[index] for name, heat in heats.items()} | controls,
                {name: bool(flags[index]) for name, flags in empty.items()},
            )


def methods_for(model: Model, layer: str | None = None) -> tuple[str, ...]:
    """The cheap and the guided methods; `cam` needs a head of global pooling and one linear layer."""
    has_cam = model.spec.name == "tiny_r3d" and layer in (None, model.spec.layer)
    return tuple(name for name in (*METHODS, *GUIDED) if name != "cam" or has_cam)


def positive_part(values: Floats) -> Floats:
    """Add the channels of signed values at each pixel and keep what is above 0.

    Args:
        values: (N, C, T, H, W).

    Returns:
        (N, T, H, W), >= 0.
    """
    positive: Floats = np.maximum(values.sum(axis=1), 0)
    return positive


def _controls(
    volume: Floats, frames: Frames, instances: NDArray[np.bool_], generator: np.random.Generator
) -> dict[str, Floats]:
    size = (instances.shape[1], instances.shape[2], instances.shape[3])
    grid = (volume.shape[0], volume.shape[1], volume.shape[2])
    shuffled = upsample_volume(shuffled_cells(volume, generator), size)
    answer = upsample_volume(averaged(np.asarray(instances.any(axis=0)), grid), size)
    maps = (shuffled, centre_heat(size), frame_difference(frames), np.ones(size), answer)
    raw = dict(zip(CONTROLS, maps, strict=True))
    return {name: normalise_per_clip(heat[None])[0] for name, heat in raw.items()}


def averaged(volume: NDArray[np.bool_] | Floats, grid: tuple[int, int, int]) -> Floats:
    """Mean of a map, or share of a region, in each grid cell. The grid must divide the volume's sides."""
    sides = [part for length, cells in zip(volume.shape, grid, strict=True) for part in (cells, length // cells)]
    means: Floats = volume.reshape(sides).mean(axis=(1, 3, 5))
    return means
