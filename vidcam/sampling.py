"""Sampling: pure functions from a video's time stamps to windows of T sample times.

A window of T frames at rate r spans T/r seconds. Slot j shows the frame that is on display at start + j/r:

    source pts   |0    |1    |2    |3    |4    |5    |6    |7    |        one mark per source frame
    slots (r)    ^        ^        ^        ^        ^        ^            T = 6
    frames       0     1        3        4      6 …                        the frame on display at each ^

The step between windows is span x (1 - overlap). The last window is shifted back to end with the video. Windows of a
single frame do not overlap: each shows the frame on display in its middle, and the last one is cut off at the video's
end. Slots after the end of the video show its last frame. Intervals are half-open. A time stamp up to 1 ms after its
slot still counts as on display, because containers round to milliseconds. In fast films, it is half a frame's time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vidcam.errors import InputError, ShapeError
from vidcam.media import Seconds, VideoInfo

ROUNDING_SECONDS = 1e-3
"""Containers round time stamps by at most this much; see `rounding_seconds` for fast films."""

_ROUNDING_FRAMES = 1e-3
"""Positions that are counted in frames are exact but for rounding of floats."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One clip of T frames for the model.

    Attributes:
        start_seconds: start of the window.
        end_seconds: end of the window, not included; at most the video's end.
        times: (T,) time stamps of the source frames in its slots, as in `VideoInfo.pts_seconds`.
    """

    start_seconds: float
    end_seconds: float
    times: Seconds

    def __post_init__(self) -> None:
        if not self.end_seconds > self.start_seconds or self.times.ndim != 1 or self.times.size == 0:
            raise ShapeError(
                f"a window needs start < end and times (T,), got [{self.start_seconds}, {self.end_seconds}) and "
                f"times.shape = {self.times.shape}"
            )


def frames_on_display(info: VideoInfo, seconds: Seconds) -> Seconds:
    """Return the time stamps of the frames on display, (S,): the first frame before 0, the last one after the end."""
    distances = np.diff(info.pts_seconds, prepend=-np.inf)
    begins = info.pts_seconds - np.minimum(ROUNDING_SECONDS, distances / 2)
    index = np.searchsorted(begins, seconds, side="right") - 1
    return info.pts_seconds[np.clip(index, 0, info.frame_count - 1)]


def rounding_seconds(info: VideoInfo) -> float:
    """Return by how much moments may differ and still count as equal: at most half a frame of the video."""
    return min(ROUNDING_SECONDS, float(np.diff(info.pts_seconds, append=info.duration_seconds).min()) / 2)


def central_start(info: VideoInfo, *, frames: int, fps: Fraction | None) -> float:
    """Return the start of a window in the middle of the video, in seconds."""
    axis = _Axis(info, frames, fps)
    return axis.second(max(0.0, (axis.length - axis.span) / 2))


def spread_windows(info: VideoInfo, count: int, *, frames: int, fps: Fraction | None) -> tuple[Window, ...]:
    """Plan windows at even distances, the first at the video's start, the last at its end.

    Args:
        info: the video.
        count: number of windows, at least 2. A short video has fewer: none shows the same frames as the one before.
        frames: T, frames per window.
        fps: frame rate of the slots; None for consecutive source frames.
    """
    axis = _Axis(info, frames, fps)
    last = max(0.0, axis.length - axis.span)
    windows: list[Window] = []
    for index in range(count):
        start = axis.second(last * index / (count - 1))
        (window,) = plan_windows(info, frames=frames, fps=fps, clip_start_seconds=start)
        if not windows or not np.array_equal(window.times, windows[-1].times):
            windows.append(window)
    return tuple(windows)


def require_overlap(overlap: float) -> None:
    """Check the fraction by which neighbouring windows overlap.

    Raises:
        InputError: it is outside [0, 1).
    """
    if not 0.0 <= overlap < 1.0:
        raise InputError(f"overlap is {overlap}, expected 0 <= overlap < 1; 0.5 shows every moment twice")


def plan_windows(
    info: VideoInfo,
    *,
    frames: int,
    fps: Fraction | None,
    overlap: float = 0.5,
    clip_start_seconds: float | None = None,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
) -> tuple[Window, ...]:
    """Plan the windows of a video, or the one window that starts at a given moment.

    Args:
        info: the video.
        frames: T, frames per window.
        fps: frame rate of the slots; None for consecutive source frames, whatever their time stamps.
        overlap: fraction by which neighbouring windows overlap, in [0, 1); ignored if T is 1.
        clip_start_seconds: start of the only window (without fps: of the frame on display then); None: the whole video
            is covered.
        start_seconds: start of the first window; None: the video's start. A window that would end after the video
            starts earlier.
        end_seconds: end of the last window, if the part is at least one window long; None: the video's end.

    Returns:
        At least one window, ordered by start.

    Raises:
        InputError: overlap outside [0, 1), a start outside the video, or an empty part.
    """
    require_overlap(overlap)
    axis = _Axis(info, frames, fps)
    if clip_start_seconds is None:
        starts = _starts(axis, overlap, _checked_part(axis, start_seconds, end_seconds))
    else:
        starts = [_checked_start(axis, clip_start_seconds)]
    begins = [axis.second(start) for start in starts]
    ends = [axis.second(min(start + axis.span, axis.length)) for start in starts]
    for index, next_begin in enumerate(begins[1:]):
        if 0.0 < abs(next_begin - ends[index]) < rounding_seconds(info):  # the windows touch, except for rounding
            ends[index] = next_begin
    middle = axis.span / 2 if frames == 1 and clip_start_seconds is None else 0.0
    offsets = np.arange(frames, dtype=np.float64) * (axis.span / frames)
    slots = [axis.stamps(start + middle + offsets) for start in starts]
    return tuple(Window(*window) for window in zip(begins, ends, slots, strict=True))


@dataclass(frozen=True, slots=True)
class _Axis:
    """The time axis of a video, in seconds; in source frames for a model without fps."""

    info: VideoInfo
    frames: int
    fps: Fraction | None

    @property
    def length(self) -> float:
        """Length of the video."""
        return self.info.frame_count if self.fps is None else self.info.duration_seconds

    @property
    def span(self) -> float:
        """Length of a window."""
        return self.frames if self.fps is None else float(self.frames / self.fps)

    @property
    def rounding(self) -> float:
        """How far positions may differ and still count as equal."""
        return _ROUNDING_FRAMES if self.fps is None else rounding_seconds(self.info)

    def step(self, overlap: float) -> float:
        """Return the distance from one window's start to the next one's."""
        step = self.span * (1.0 - overlap)
        return max(1, round(step)) if self.fps is None else step

    def position(self, second: float) -> float:
        """Return the position of a moment; without fps, of the frame on display then."""
        if self.fps is not None:
            return second
        stamp = frames_on_display(self.info, np.array([second]))[0]
        return float(np.searchsorted(self.info.pts_seconds, stamp))

    def second(self, position: float) -> float:
        """Return the moment at a position; at or beyond the axis' length, the video's end."""
        if position >= self.length:
            return self.info.duration_seconds
        return position if self.fps is not None else float(self.info.pts_seconds[int(position)])

    def stamps(self, positions: Seconds) -> Seconds:
        """Return the time stamps of the frames at positions; beyond the end, the last one."""
        if self.fps is not None:
            return frames_on_display(self.info, positions)
        index = (positions + _ROUNDING_FRAMES).astype(np.intp)
        return self.info.pts_seconds[np.clip(index, 0, self.info.frame_count - 1)]


def _checked_start(axis: _Axis, start: float) -> float:
    info = axis.info
    if not 0.0 <= start < info.duration_seconds:
        raise InputError(f"a window cannot start at {start:g} s: {info.path} is {info.duration_seconds:.3f} s long")
    return axis.position(start)


def _checked_part(axis: _Axis, start: float | None, end: float | None) -> tuple[float, float]:
    """Return the part [start, end) as positions on the axis."""
    length = axis.info.duration_seconds
    first, last = 0.0 if start is None else start, length if end is None else min(end, length)
    if not 0.0 <= first < length:
        raise InputError(f"--start ({first:g} s) must be inside the video: {axis.info.path} is {length:.3f} s long")
    if not first < last:
        raise InputError(f"--start ({first:g} s) must be before --end ({last:g} s)")
    return axis.position(first), axis.length if last >= length else axis.position(last)


def _starts(axis: _Axis, overlap: float, part: tuple[float, float]) -> list[float]:
    first, last = part[0], part[1] - axis.span
    if axis.frames == 1:
        count = math.ceil((part[1] - first - axis.rounding) / axis.span)
        return [first + float(i if axis.fps is None else i / axis.fps) for i in range(max(1, count))]
    if last - first <= axis.rounding:
        return [max(0.0, min(first, axis.length - axis.span))]
    step = axis.step(overlap)
    regular = math.ceil((last - first - axis.rounding) / step)
    return [*(first + i * step for i in range(regular)), last]
