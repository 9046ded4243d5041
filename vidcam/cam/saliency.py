"""Guided backpropagation of a class, by itself or for the maps that it is multiplied with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from vidcam.cam.conduct import unwrapped
from vidcam.cam.guided import guided_gradients
from vidcam.cam.inputs import Input, ordinary, pathways, reference
from vidcam.cam.outputs import Ends, class_scores
from vidcam.cam.request import MapRequest
from vidcam.cam.targets import Target, aim_at_classes
from vidcam.cam.weights import to_numpy
from vidcam.errors import InputError
from vidcam.maps import Floats


def guided_saliency(model: nn.Module, clip: Input, target: Target, request: MapRequest | None = None) -> Floats:
    """Guided backpropagation of a target at the input, without any map: one forward and one backward pass through all.

    Args:
        model: as of `vidcam.explain`.
        clip: likewise.
        target: likewise, but for functions.
        request: for its foil, score and activation.

    Returns:
        (N, C, T, H, W) signed; of several pathways the finest.
    """
    asked = request or MapRequest()
    if callable(target):
        raise InputError("guided saliency by itself takes classes, expected no function as the target; use `explain`")

    def score(output: Any, ends: Ends) -> Tensor:
        scores, found = class_scores(output, ends)
        aim = aim_at_classes(scores, target, asked.foil, asked.score, asked.activation or found or "softmax")
        return (aim.score * aim.direction).sum()

    return finest_saliency(unwrapped(model), ordinary(clip), score)


def finest_saliency(model: nn.Module, clip: Input, score: Callable[[Any, Ends], Tensor]) -> Floats:
    """Guided backpropagation of a score of the raw output at the finest pathway, (N, C, T, H, W) signed."""
    with Ends() as ends:
        found = guided_gradients(model, clip, lambda output: score(output, ends))
    tensors = (found,) if isinstance(found, Tensor) else found
    shown = reference(clip)
    return to_numpy(next(g for g, x in zip(tensors, pathways(clip), strict=True) if x is shown))
