"""What every reader of frames by index has in common: from times to indices, and what turns out to be damaged.

A frame that cannot be decoded shows the last readable picture, as players do, for as long as it lasts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.video.frame_index import FrameIndex

Interval = tuple[float, float]
"""[start, end) in seconds from the first displayed frame."""

_NAMED_INTERVALS = 4


class Damage:
    """The state of each displayed frame, as far as it was read; readers in several threads may share one."""

    def __init__(self, frame_index: FrameIndex) -> None:
        count = frame_index.ticks.size
        self._edges = np.append(frame_index.seconds(), float(frame_index.duration()))
        self._gaps = [(frame_index.second_of(start), frame_index.second_of(end)) for start, end in frame_index.gaps]
        self._is_missing = np.zeros(count, np.bool_)
        self._is_repaired = np.isin(frame_index.ticks, frame_index.corrupt_ticks)
        self._size: tuple[int, int] | None = None

    def mark_missing(self, indices: range) -> None:
        """These frames cannot be decoded.

        Args:
            indices: of displayed frames.
        """
        self._is_missing[indices.start : indices.stop] = True

    def mark_repaired(self, index: int) -> None:
        """The decoder says that it had to make up a part of this frame."""
        self._is_repaired[index] = True

    def mark_resized(self, size: tuple[int, int]) -> None:
        """A frame is stored as (height, width), unlike the first one."""
        self._size = self._size or size

    def stand_in(self, index: int) -> int | None:
        """The frame to show for `index`: the last readable one up to it, else the first one; None: there is none."""
        readable = np.flatnonzero(~self._is_missing)
        if not readable.size:
            return None
        return int(readable[max(0, int(np.searchsorted(readable, index, side="right")) - 1)])

    def is_missing(self, index: int) -> bool:
        """Whether the frame is known not to be decodable."""
        return bool(self._is_missing[index])

    def readable(self) -> tuple[Interval, ...]:
        """The parts of the video that are not known to be unreadable, increasing."""
        begins, parts = 0.0, []
        for start, end in [*self._unreadable(), (float(self._edges[-1]),) * 2]:
            if start > begins:
                parts.append((begins, start))
            begins = end
        return tuple(parts)

    def notes(self) -> tuple[str, ...]:
        """What was found so far, as sentences without a full stop."""
        missing, repaired = self._unreadable(), self._runs(self._is_repaired & ~self._is_missing)
        found = []
        if missing:
            found.append(f"{_named(missing)} cannot be decoded; the last readable picture is shown instead")
        if repaired:
            found.append(f"{_named(repaired)} is damaged and shown as the decoder repaired it")
        if self._size is not None:
            height, width = self._size
            found.append(f"the stored size changes, to {width}×{height}; all frames are scaled to the first one's size")
        return tuple(found)

    def _unreadable(self) -> list[Interval]:
        return sorted([*self._runs(self._is_missing), *self._gaps])

    def _runs(self, chosen: NDArray[np.bool_]) -> list[Interval]:
        changes = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
        return [
            (float(self._edges[a]), float(self._edges[b])) for a, b in zip(changes[::2], changes[1::2], strict=True)
        ]


class IndexedReader(ABC):
    """A VideoReader of which only `_read` and `close` are left to write.

    Args:
        info: what probing found.
        damage: what is found out while reading.
    """

    def __init__(self, info: VideoInfo, damage: Damage) -> None:
        self._info = info
        self._damage = damage

    @property
    def info(self) -> VideoInfo:
        """What probing found."""
        return self._info

    @property
    def damage(self) -> Damage:
        """What reading found out so far; a reader that stands in for this one goes on with it."""
        return self._damage

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about the video, as far as it was read."""
        return (*self._info.notes, *self._damage.notes())

    @property
    def readable_seconds(self) -> tuple[tuple[float, float], ...]:
        """The parts of the video that are not known to be unreadable."""
        return self._damage.readable()

    def frames(self, start_seconds: float = 0.0, end_seconds: float | None = None) -> Iterator[tuple[float, Frames]]:
        """All displayed frames with start <= pts < end, in order, as (pts_seconds, (H, W, 3) uint8 RGB)."""
        times = self._info.pts_seconds
        first = np.searchsorted(times, start_seconds)
        last = times.size if end_seconds is None else np.searchsorted(times, end_seconds)
        return self._read(range(int(first), int(last)))

    def frames_at(self, seconds: Seconds) -> Iterator[tuple[float, Frames]]:
        """The frame displayed at each of the non-decreasing times; see VideoReader."""
        wanted = np.asarray(seconds, np.float64)
        if wanted.ndim != 1 or wanted.size == 0 or not np.isfinite(wanted).all():
            raise ShapeError(f"seconds must be (T,) with T >= 1 and finite, got {wanted.shape = }, {wanted}")
        if np.any(np.diff(wanted) < 0):
            raise ShapeError(f"seconds must not decrease, got {wanted}; sort them")
        indices = np.searchsorted(self._info.pts_seconds, wanted, side="right") - 1
        return self._read(int(index) for index in np.maximum(indices, 0))

    @abstractmethod
    def close(self) -> None:
        """Release the file; closing twice is fine."""

    @abstractmethod
    def _read(self, indices: Iterable[int]) -> Iterator[tuple[float, Frames]]:
        """The frames of non-decreasing indices; one that is wanted again is the same array again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._info!r})"


def _named(intervals: Sequence[Interval]) -> str:
    named = ", ".join(f"{start:.3f}–{end:.3f} s" for start, end in intervals[:_NAMED_INTERVALS])
    more = len(intervals) - _NAMED_INTERVALS
    return f"{named} and {more} more parts" if more > 0 else named
