"""The base of all readers: convert times to frame indices, and keep track of damaged frames.

In place of a frame that cannot be decoded, the last readable frame is shown, as in players.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import MediaError, ShapeError
from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.video.frame_index import FrameIndex

Interval = tuple[float, float]
"""[start, end) in seconds from the first displayed frame."""

_MAX_LISTED_INTERVALS = 4


class Damage:
    """The damaged frames of a video that were found so far. Readers in several threads may share one object."""

    def __init__(self, frame_index: FrameIndex) -> None:
        count = frame_index.ticks.size
        self._edges = np.append(frame_index.seconds(), float(frame_index.duration()))
        self._gaps = [(frame_index.second_of(start), frame_index.second_of(end)) for start, end in frame_index.gaps]
        self._is_missing = np.zeros(count, np.bool_)
        self._is_repaired = np.isin(frame_index.ticks, frame_index.corrupt_ticks)
        self._size: tuple[int, int] | None = None
        self._is_interlaced = False

    def mark_missing(self, indices: range) -> None:
        """Record that frames cannot be decoded."""
        self._is_missing[indices.start : indices.stop] = True

    def mark_repaired(self, index: int) -> None:
        """Record that the decoder had to repair a part of this frame."""
        self._is_repaired[index] = True

    def mark_interlaced(self) -> None:
        """Record that a frame is stored interlaced."""
        self._is_interlaced = True

    def mark_resized(self, size: tuple[int, int]) -> None:
        """Record that a frame is stored in another size than the first one."""
        self._size = self._size or size

    def stand_in(self, index: int) -> int | None:
        """Return the frame to show in place of `index`.

        It is the last readable frame up to `index`, else the first readable one. None if no frame is readable.
        """
        readable = np.flatnonzero(~self._is_missing)
        if not readable.size:
            return None
        return int(readable[max(0, int(np.searchsorted(readable, index, side="right")) - 1)])

    def is_missing(self, index: int) -> bool:
        """Return whether the frame is known not to be decodable."""
        return bool(self._is_missing[index])

    def readable(self) -> tuple[Interval, ...]:
        """Return the parts of the video that are not known to be unreadable, increasing."""
        part_start, parts = 0.0, []
        for start, end in [*self._unreadable(), (float(self._edges[-1]),) * 2]:
            if start > part_start:
                parts.append((part_start, start))
            part_start = end
        return tuple(parts)

    def notes(self) -> tuple[str, ...]:
        """Return notes about the damage found so far, without a full stop."""
        missing, repaired = self._unreadable(), self._runs(self._is_repaired & ~self._is_missing)
        notes = []
        if self._is_interlaced:
            notes.append(
                "the video is interlaced: each frame holds two moments, which are shown woven; to separate them, run "
                "ffmpeg -i VIDEO -vf bwdif deinterlaced.mp4"
            )
        if missing:
            notes.append(f"{_format_intervals(missing)} cannot be decoded; the last readable picture is shown instead")
        if repaired:
            notes.append(f"{_format_intervals(repaired)} is damaged; the decoder's repair is shown")
        if self._size is not None:
            height, width = self._size
            notes.append(f"the frame size changes to {width}×{height}; all frames are scaled to the first one's size")
        return tuple(notes)

    def _unreadable(self) -> list[Interval]:
        return sorted([*self._runs(self._is_missing), *self._gaps])

    def _runs(self, is_selected: NDArray[np.bool_]) -> list[Interval]:
        """Return the display times of runs of selected frames; `is_selected` is (F,)."""
        changes = np.flatnonzero(np.diff(is_selected, prepend=False, append=False))
        return [
            (float(self._edges[a]), float(self._edges[b])) for a, b in zip(changes[::2], changes[1::2], strict=True)
        ]


class VideoReader(ABC):
    """A video to read, whatever decodes it; a subclass adds `_decoding`. A context, which closes the reader.

    Attributes:
        info: what probing found.
        damage: the damage found so far; a reader that replaces this one continues with the same object.
    """

    _is_closed = False

    def __init__(self, info: VideoInfo, damage: Damage) -> None:
        self.info = info
        self.damage = damage

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the video, as far as it was read; sentences without a full stop."""
        return (*self.info.notes, *self.damage.notes())

    @property
    def readable_seconds(self) -> tuple[Interval, ...]:
        """The parts of the video that are not known to be unreadable, increasing."""
        return self.damage.readable()

    def frames(self, start_seconds: float = 0.0, end_seconds: float | None = None) -> Iterator[tuple[float, Frames]]:
        """Yield all displayed frames with start <= pts < end, in order, as (pts_seconds, (H, W, 3) uint8 RGB)."""
        times = self.info.pts_seconds
        first = np.searchsorted(times, start_seconds)
        last = times.size if end_seconds is None else np.searchsorted(times, end_seconds)
        return self._read(range(int(first), int(last)))

    def frames_at(self, seconds: Seconds) -> Iterator[tuple[float, Frames]]:
        """Yield the frame displayed at each of the times, with its true time stamp.

        Args:
            seconds: (T,) non-decreasing. Before the first frame counts as the first, after the end as the last.

        Yields:
            (pts_seconds, (H, W, 3) uint8 RGB), T times; a frame that is wanted again is the same array again.
        """
        times = np.asarray(seconds, np.float64)
        if times.ndim != 1 or times.size == 0 or not np.isfinite(times).all():
            raise ShapeError(f"seconds must be (T,) with T >= 1, all finite; got shape {times.shape}, {times}")
        if np.any(np.diff(times) < 0):
            raise ShapeError(f"seconds must not decrease, got {times}; sort them")
        indices = np.searchsorted(self.info.pts_seconds, times, side="right") - 1
        return self._read(int(index) for index in np.maximum(indices, 0))

    def close(self) -> None:
        """Release the file, and refuse to read from now on; closing twice is allowed."""
        self._is_closed = True

    def _read(self, indices: Iterable[int]) -> Iterator[tuple[float, Frames]]:
        """Yield the frames at non-decreasing indices. A repeated index yields the same array again."""
        if self._is_closed:
            raise MediaError(f"the reader of {self.info.path!r} is closed; call open_video again")
        shown = -1
        with self._decoding() as decode:
            for index in indices:
                if index != shown:
                    frame, shown = decode(index), index
                yield float(self.info.pts_seconds[index]), frame

    @abstractmethod
    def _decoding(self) -> AbstractContextManager[Callable[[int], Frames]]:
        """Lend what decodes the frame at an index. Each reading has its own, because two may run in two threads."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.info!r})"


def _format_intervals(intervals: Sequence[Interval]) -> str:
    text = ", ".join(f"{start:.3f}–{end:.3f} s" for start, end in intervals[:_MAX_LISTED_INTERVALS])
    more = len(intervals) - _MAX_LISTED_INTERVALS
    return f"{text} and {more} more parts" if more > 0 else text
