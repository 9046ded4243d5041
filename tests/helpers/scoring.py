"""A row of scores worked out a second time: plain loops, pixel space, one clip through the model at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.helpers.faithfulness import area_by_trapezes, kept_by_rank
from vidcam.cam.explain import explain
from vidcam.models.model import Model

Floats = NDArray[np.float64]

STEPS = [step / 10 for step in range(11)]


def log_probability(model: Model, clip: Tensor, target: int) -> float:
    """log softmax of one class, from plain exponentials; the clip is (3, T, H, W) as the model takes it."""
    with torch.no_grad():
        logits = model.module(clip.unsqueeze(0))[0].double().tolist()
    top = max(logits)
    return float(logits[target] - top - math.log(math.fsum(math.exp(value - top) for value in logits)))


def pixels(model: Model, clip: Tensor) -> Tensor:
    """The clip in 0…255, of a model without a mean cube whose channels are RGB."""
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (model.spec.scaling.mean, model.spec.scaling.std))
    return clip * std + mean


def scaled(model: Model, clip: Tensor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (model.spec.scaling.mean, model.spec.scaling.std))
    return (clip - mean) / std


def hidden(model: Model, clip: Tensor, keep: Floats) -> Tensor:
    """E = L∘I in pixels, black elsewhere, as the model takes it."""
    return scaled(model, pixels(model, clip) * torch.from_numpy(keep).float())


def heat_of(model: Model, clip: Tensor, method: str, score: Any = "logit") -> tuple[int, Floats]:
    """The predicted class, and its map in [0, 1] as `explain` has it."""
    explained = explain(model.module, clip.unsqueeze(0), layer=model.spec.layer, methods=[method], score=score)
    return int(explained.target[0]), explained.heat(method)[0].astype(np.float64)


def as_mask(kept: Sequence[tuple[int, ...]], size: tuple[int, ...]) -> Floats:
    mask = np.zeros(size)
    for place in kept:
        mask[place] = 1.0
    return mask


def curves(model: Model, clip: Tensor, heat: Floats, ties: Floats, target: int) -> Mapping[str, Any]:
    """Retention at each step, and the areas of insertion and deletion on voxels and on frames."""
    count = heat.size

    def probability(keep: Floats) -> float:
        return math.exp(log_probability(model, hidden(model, clip, keep), target))

    def shown(number: int) -> Floats:
        return as_mask(kept_by_rank(heat, ties, count - number), heat.shape)

    kept = [probability(shown(count - round(theta * count))) for theta in STEPS]
    removed = [probability(1.0 - shown(round(share * count))) for share in STEPS]
    frames = kept_frames(heat, ties)
    some = sorted({round(share * len(heat)) for share in STEPS})
    inserted = [probability(frames[number]) for number in some]
    deleted = [probability(1.0 - frames[number]) for number in some]
    shares = [number / len(heat) for number in some]
    return {
        "retention": [value / kept[0] for value in kept],
        "insertion": area_by_trapezes(STEPS, kept[::-1]),
        "deletion": area_by_trapezes(STEPS, removed),
        "frame_insertion": area_by_trapezes(shares, inserted),
        "frame_deletion": area_by_trapezes(shares, deleted),
    }


def kept_frames(heat: Floats, ties: Floats) -> list[Floats]:
    """For each number of frames, a mask of the most important ones by mean heat, then by mean tie."""
    ranked = sorted(range(len(heat)), key=lambda frame: (heat[frame].mean(), ties[frame].mean()), reverse=True)
    masks = []
    for number in range(len(heat) + 1):
        mask = np.zeros(heat.shape)
        mask[ranked[:number]] = 1.0
        masks.append(mask)
    return masks
