"""The bounds of both scales, without the upsampled maps: a page can switch between them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from vidcam.maps import Floats, resample_plane, resize_matrix
from vidcam.pipelines.render.moments import thinned
from vidcam.results.video import Scale, VideoExplanation, video_bounds

MOST_MOMENTS = 20_000
"""Largest number of moments that are measured for the scale that was not explained with; longer videos are thinned."""


def both_bounds(explanation: VideoExplanation) -> dict[Scale, Mapping[str, tuple[float, float]]]:
    """Return scale → method → (low, high): that of the explanation as it is, the other one measured."""
    other: Scale = "window" if explanation.scale == "video" else "video"
    return {explanation.scale: explanation.bounds, other: measured_bounds(explanation, other)}


def measured_bounds(explanation: VideoExplanation, scale: Scale) -> dict[str, tuple[float, float]]:
    """Compute what `VideoExplanation.rescaled` computes, from the pixels where a linear map has its extremes."""
    moments = thinned(np.unique(explanation.timeline.frame_seconds), MOST_MOMENTS)
    return video_bounds(explanation.explanations, explanation.timeline, moments, scale=scale, upsample=_extremes)


def _extremes(planes: Floats, size: tuple[int, ...]) -> Floats:
    return resample_plane(planes, *(_extreme_rows(*axis) for axis in zip(size, planes.shape[1:], strict=True)))


@lru_cache(maxsize=32)
def _extreme_rows(length: int, cells: int) -> Floats:
    """Return the rows of `resize_matrix` nearest to the cells' centres, where a linear map is largest and smallest."""
    matrix = resize_matrix(length, cells).astype(np.float32)
    upper = np.minimum(matrix.argmax(axis=1), cells - 1)  # the nearest cell
    lower = np.clip(((np.arange(length) + 0.5) * (cells / length) - 0.5).astype(np.intp), 0, cells - 1)
    kept = np.zeros(length, bool)
    kept[[0, -1]] = True
    for marks in (lower, upper):
        changes = np.flatnonzero(np.diff(marks))
        kept[changes] = kept[changes + 1] = True
    rows: Floats = matrix[kept]
    return rows
