"""The bounds of both scales, without the upsampled maps: a page can switch between them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vidcam.maps import Floats, resample_plane, resize_matrix
from vidcam.pipelines.render.moments import thinned
from vidcam.results.explanation import INPUT_METHODS
from vidcam.results.video import CHUNK, FINE_QUANTILE, FINE_RANGE, SCALES, Scale, VideoExplanation, window_factors

MOST_MOMENTS = 20_000
"""Largest number of moments that are measured for the scale that was not explained with; longer videos are thinned."""


def both_bounds(explanation: VideoExplanation, method: str) -> dict[Scale, tuple[float, float]]:
    """Return scale → (low, high) of a method; that of the explanation as it is, the other one measured."""
    return {
        scale: explanation.bounds[method] if scale == explanation.scale else measured_bounds(explanation, method, scale)
        for scale in SCALES
    }


def measured_bounds(explanation: VideoExplanation, method: str, scale: Scale) -> tuple[float, float]:
    """Compute what `VideoExplanation.rescaled` computes, from the pixels where a linear map has its extremes."""
    line, low, high, percentile = explanation.timeline, np.inf, 0.0, 0.0
    moments = thinned(np.unique(line.frame_seconds), MOST_MOMENTS)
    factors = window_factors(explanation.explanations, method) if scale == "window" else None
    for target in explanation.explanations:
        if method not in target.volumes:
            continue
        own = target.factors.get(method)
        product = own if factors is None else factors if own is None else own * factors
        for start in range(0, moments.size, CHUNK):
            planes = line.blend(target.volumes[method], moments[start : start + CHUNK], factors=product)
            sizes = zip(target.input_size[1:], planes.shape[1:], strict=True)
            heat = resample_plane(planes, *(_extreme_rows(length, cells) for length, cells in sizes))
            low, high = min(low, float(heat.min())), max(high, float(heat.max()))
            if method in INPUT_METHODS:
                by_frame = np.quantile(planes.reshape(len(planes), -1), FINE_QUANTILE, axis=1)
                percentile = max(percentile, float(by_frame.max()))
    return low, max(percentile, high / FINE_RANGE) if method in INPUT_METHODS else high


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
