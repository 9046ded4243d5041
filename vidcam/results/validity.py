"""Check a loaded explanation: what a file of strangers states must be possible before anything is computed from it.

The types of the JSON and the shapes that the classes check are right already; here follow ranges, dtypes and sizes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.results.clip_arrays import per_clip_arrays
from vidcam.results.explanation import OF_FUNCTION, Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.video import Origin, VideoExplanation

MAX_SIDE_PX, MAX_PIXELS = 1 << 16, 1 << 26
"""Limits of frames and of the model's input; frames of a video have the same."""

MAX_RESIZED_PX = 1 << 22
"""Limit for a side of the resized frame, which is never held in memory; narrow frames become very long."""

MAX_VALUES = 1 << 28
"""Limit for the values of one clip of the model's input."""

_MOST_SECONDS, _MOST_VALUE = 1e10, 1e38
_RATE = re.compile(r"[1-9]\d{0,9}(/[1-9]\d{0,9})?")
_PIECE_VALUES = 1 << 18


def require_valid(result: Explanation | VideoExplanation) -> None:
    """Check an explanation that was read from a file.

    Raises:
        ValueError: it states something impossible; the message says what.
    """
    if isinstance(result, Explanation):
        _require_clips(result, lambda: None)
        return
    forget = result.forget or (lambda: None)
    for explanation in result.explanations:
        _require_clips(explanation, forget)
    _require_timeline(result.timeline)
    if any(abs(bound) > _MOST_VALUE for bounds in result.bounds.values() for bound in bounds):
        raise ValueError("bounds are too large")
    geometry = result.geometry
    _require_size("source_size", geometry.source_size)
    _require_size("crop_size", geometry.crop_size)
    if max(geometry.resized_size) > MAX_RESIZED_PX:
        raise ValueError(f"resized_size is {str(geometry.resized_size)[:80]}")
    if result.origin is not None:
        _require_origin(result.origin)


def _require_clips(explanation: Explanation, forget: Callable[[], None]) -> None:
    size, clips, classes = explanation.input_size, len(explanation), explanation.logits.shape[1]
    _require_size("input_size", size[-2:])
    if not 1 <= len(size) <= 3 or min(size) < 1 or prod(size) > MAX_VALUES:
        raise ValueError(f"input_size is {str(size)[:80]}")
    if min(clips, classes, len(explanation.volumes)) < 1:
        raise ValueError("it has no clips, no classes or no maps")
    for name, array in (("target", explanation.target), ("contrast", explanation.contrast)):
        if array is not None and (array.dtype != np.int64 or array.min() < OF_FUNCTION or array.max() >= classes):
            raise ValueError(f"{name} is not among the {classes} classes")
    if not all(array.shape[:1] == (clips,) and array.size for array in per_clip_arrays(explanation)):
        raise ValueError(f"an array is empty, or not of {clips} clips")
    _require_groups(explanation)
    maps = (explanation.volumes, explanation.factors, explanation.guided, explanation.signed)
    for values in (explanation.logits, *(array for group in maps for array in group.values())):
        _require_finite(values, forget)
    cells = () if explanation.artifact is None else explanation.artifact.cells
    for volume in explanation.layer_volumes.values():
        for cell in cells:
            np.ravel_multi_index(cell, volume.shape[1:])  # raises ValueError outside the grid


def _require_groups(explanation: Explanation) -> None:
    """Check the shapes of the arrays beside the maps."""
    clips = len(explanation)
    wrong = [
        f"{group} of {name}"
        for group in ("clamped", "completeness", "noise", "factors")
        for name, array in getattr(explanation, group).items()
        if array.shape != (clips,) or array.dtype.kind != "f"
    ]
    wrong += [f"alpha of {name}" for name, audit in explanation.alpha.items() if len(audit.clamped) != clips]
    wrong += [
        f"guided map of {name}"
        for name, array in explanation.guided.items()
        if array.ndim != 2 + len(explanation.input_size) or array.shape[2:] != explanation.input_size
    ]
    wrong += [
        f"signed map of {name}"
        for name, array in explanation.signed.items()
        if name not in explanation.volumes or array.shape != explanation.volumes[name].shape
    ]
    wrong += [f"factors of {name}" for name in explanation.factors if name not in explanation.volumes]
    if wrong:
        raise ValueError(f"{wrong[0][:80]} does not fit its maps")


def _require_timeline(timeline: Timeline) -> None:
    arrays = (timeline.starts, timeline.ends, timeline.frame_seconds)
    if any(array.dtype != np.float64 for array in arrays) or timeline.frame_seconds.shape[1] < 1:
        raise ValueError("times must be float64")
    if not all((np.abs(array) <= _MOST_SECONDS).all() for array in arrays):  # false for NaN
        raise ValueError("times must be finite")
    if not (timeline.starts < timeline.ends).all() or (np.diff(timeline.starts) < 0).any():
        raise ValueError("windows must start before they end, one after the other")


def _require_origin(origin: Origin) -> None:
    start, end = origin.span_seconds
    if not -_MOST_SECONDS <= start < end <= _MOST_SECONDS:
        raise ValueError(f"the span goes from {start} to {end} s")
    if origin.fps is not None and not _RATE.fullmatch(origin.fps):
        raise ValueError(f"fps is {origin.fps[:80]!r}, expected a fraction")
    if not all(0.0 <= value <= 255.0 for value in origin.mean_rgb):
        raise ValueError(f"mean_rgb is {origin.mean_rgb}, expected [0, 255]")


def _require_size(name: str, size: tuple[int, ...]) -> None:
    if not all(0 < side <= MAX_SIDE_PX for side in size) or prod(size) > MAX_PIXELS:
        raise ValueError(f"{name} is {str(size)[:80]}, at most {MAX_SIDE_PX} a side and 64 million pixels")


def _require_finite(array: NDArray[Any], forget: Callable[[], None]) -> None:
    """Check that all values are floats and finite, some rows at a time."""
    if array.dtype.kind != "f":
        raise ValueError(f"maps and logits are {array.dtype}, expected floats")
    most = array.dtype.type(min(_MOST_VALUE, float(np.finfo(array.dtype).max)))
    step = max(1, _PIECE_VALUES // array[:1].size)
    for start in range(0, len(array), step):
        if not (np.abs(array[start : start + step]) <= most).all():  # false for NaN
            raise ValueError("an array has NaN, infinite or too large values")
        forget()
