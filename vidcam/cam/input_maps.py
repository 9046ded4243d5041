"""Maps of the input: integrated gradients, expected gradients, and their products with the map of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vidcam.cam.context import ForwardContext
from vidcam.cam.input_score import ScoreOf
from vidcam.cam.masked_maps import with_masked_maps
from vidcam.cam.path_gradients import PathIntegral, expected_gradients, integrated_gradients
from vidcam.cam.request import MapRequest
from vidcam.cam.weights import to_numpy
from vidcam.errors import InputError
from vidcam.maps import Floats, pool_volume, upsample_volume
from vidcam.results.explanation import PATH_METHODS, PRODUCTS, Explanation

POOLED_GRIDS: dict[int, tuple[int, ...]] = {1: (784,), 2: (28, 28), 3: (16, 28, 28)}
"""Number of axes → the finest grid of a `pooled` map."""

COARSE_GRIDS: dict[int, tuple[int, ...]] = {1: (196,), 2: (14, 14), 3: (8, 14, 14)}
"""Number of axes → the finest grid of a `coarse` map."""

EXPECTED = "expected-gradients"

UNEVEN, MOST_FRAMES = 2.0, 0.75
"""Where a layer has a stride of 2 in time, every second frame has more of the gradient. Neighbouring frames are
averaged if at least this share of these frames have more than this multiple of the mean of their two neighbours."""

_FEWEST_FRAMES = 8

STRIDE_NOTE = (
    "Every second frame had more of the fine maps, as behind a stride in time: neighbouring frames were averaged."
)


def with_input_maps(
    explanation: Explanation, context: ForwardContext, score: ScoreOf, request: MapRequest
) -> Explanation:
    """Add the maps of the input that a request names, those of hidden parts too, to the maps of the layers.

    Raises:
        InputError: no baseline.
    """
    explanation = with_masked_maps(explanation, context, score, request)
    names = [name for name in request.methods if name in PATH_METHODS]
    integrals = {name: _integral(context, score, request, name) for name in dict.fromkeys(map(_base, names))}
    grid = input_grid(explanation.input_size, request.fine)
    is_fine_in_time = 2 * grid[0] > explanation.input_size[0]  # a cell of two frames is even
    volumes, signed, notes = dict(explanation.volumes), dict(explanation.signed), explanation.notes
    for name in names:
        factor = explanation.volumes.get(PRODUCTS.get(name, ""))
        values = [_times(to_numpy(part), factor) for part in integrals[_base(name)].maps]
        signed[name] = _on_grid(values, grid)
        volumes[name] = _on_grid([part.clip(min=0) for part in values], grid)
        if request.fine != "full" and is_fine_in_time and (uneven := uneven_clips(volumes[name])).any():
            for maps in (signed[name], volumes[name]):
                maps[uneven] = smoothed_in_time(maps[uneven])
            notes = tuple(dict.fromkeys([*notes, STRIDE_NOTE]))
    errors = {name: to_numpy(integrals[_base(name)].error) for name in names}
    return replace(explanation, volumes=volumes, signed=signed, completeness=errors, notes=notes)


def uneven_clips(volumes: Floats) -> NDArray[np.bool_]:
    """Tell in which clips every second frame has more than its neighbours, (N,); see UNEVEN.

    Args:
        volumes: (N, t, h, w), >= 0. Of less than eight frames, or without time, none is uneven.
    """
    if volumes.ndim != 4 or volumes.shape[1] < _FEWEST_FRAMES:
        return np.zeros(len(volumes), np.bool_)
    frames = volumes.sum(axis=(2, 3), dtype=np.float64)
    is_above = frames[:, 1:-1] > UNEVEN * (frames[:, :-2] + frames[:, 2:]) / 2
    shares = [is_above[:, first::2].mean(axis=1) for first in (0, 1)]
    return np.asarray(np.maximum(*shares) >= MOST_FRAMES)


def smoothed_in_time(volumes: Floats) -> Floats:
    """Average each frame with its neighbours, ¼ ½ ¼: what alternates between frames vanishes, the sum is kept.

    Args:
        volumes: (N, t, h, w), t >= 2.
    """
    steps = np.diff(volumes, axis=1) / 4
    result = volumes.copy()
    result[:, :-1] += steps
    result[:, 1:] -= steps
    return result


def input_grid(size: tuple[int, ...], fine: str) -> tuple[int, ...]:
    """Return the grid of a map of the input: (T, H, W) if `full`, else at most POOLED_GRIDS or COARSE_GRIDS."""
    if fine == "full":
        return size
    most = (COARSE_GRIDS if fine == "coarse" else POOLED_GRIDS)[len(size)]
    return tuple(map(min, size, most))


def _base(name: str) -> str:
    """The path method behind a map: products share one run of integrated gradients."""
    return EXPECTED if name == EXPECTED else "integrated-gradients"


def _integral(context: ForwardContext, score: ScoreOf, request: MapRequest, name: str) -> PathIntegral:
    clip, axes, steps = context.clip, context.axes, request.path_steps
    if name == EXPECTED:
        return expected_gradients(score, clip, request.drawn_clips, axes, steps=steps, seed=request.seed)
    if request.baseline_clips is None:
        raise InputError(f"{name} needs a baseline; pass baseline=, for example a flat grey clip")
    return integrated_gradients(score, clip, request.baseline_clips, axes, steps=steps)


def _times(values: Floats, volume: Floats | None) -> Floats:
    """Multiply with a raw map that is upsampled to the same size; None: with 1."""
    return values if volume is None else values * upsample_volume(volume, values.shape[1:])


def _on_grid(parts: Sequence[Floats], grid: tuple[int, ...]) -> Floats:
    """Add up the pathways' maps on one grid."""
    total: Floats = np.sum([pool_volume(part, grid) for part in parts], axis=0)
    return total
