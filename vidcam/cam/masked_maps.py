"""The maps of a request that ask the model itself: `occlusion` and `rise`, within a budget of forward passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidcam.cam.context import ForwardContext
from vidcam.cam.input_score import ScoreOf
from vidcam.cam.masks import MeasuredMap, grid_for
from vidcam.cam.network import pathways
from vidcam.cam.occlusion import occlusion
from vidcam.cam.request import MapRequest
from vidcam.cam.rise import rise
from vidcam.errors import InputError
from vidcam.results.explanation import MASKED, Explanation


def with_masked_maps(
    explanation: Explanation, context: ForwardContext, score: ScoreOf, request: MapRequest
) -> Explanation:
    """Add the maps of MASKED that a request names to the maps of the layers. The baseline clip is the fill.

    Raises:
        InputError: no baseline clip, or several.
    """
    maps = {name: _measured(name, context, score, request) for name in request.methods if name in MASKED}
    signed = {name: measured.values.astype(explanation.logits.dtype) for name, measured in maps.items()}
    return replace(
        explanation,
        volumes={**explanation.volumes, **{name: np.maximum(values, 0) for name, values in signed.items()}},
        signed={**explanation.signed, **signed},
        noise={name: noise for name, measured in maps.items() if (noise := _noise(measured)) is not None},
    )


def _measured(name: str, context: ForwardContext, score: ScoreOf, request: MapRequest) -> MeasuredMap:
    clip, axes, fill, progress = context.clip, context.axes, request.baseline_clips, request.progress
    if fill is None:
        raise InputError(f"{name} needs a baseline; pass baseline=, for example a flat grey clip")
    clips = len(axes.view(pathways(fill)[0]))
    if clips != 1:
        raise InputError(f"{name} needs one baseline clip to hide parts with, got {clips}")
    if name == "rise":
        return rise(score, clip, fill, masks=request.budget, seed=request.seed, axes=axes, progress=progress)
    cells = grid_for(context.shown.shape[2:], request.budget - 1)  # one more is that of the clip itself
    return occlusion(score, clip, fill, cells=cells, axes=axes, progress=progress)


def _noise(measured: MeasuredMap) -> NDArray[np.float64] | None:
    """Return the standard error as a share of the largest value, (N,); None if nothing was random."""
    if measured.error is None:
        return None
    cells = tuple(range(1, measured.values.ndim))
    largest = np.abs(measured.values).max(axis=cells)
    errors = np.sqrt((measured.error**2).mean(axis=cells))
    shares: NDArray[np.float64] = np.divide(errors, largest, out=np.zeros_like(largest), where=largest > 0)
    return shares
