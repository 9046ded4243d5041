"""What of a film cannot be read: found while it is read, told in sentences and intervals.

A frame that cannot be decoded shows the last readable picture, as players do, for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
        """The parts of the film that are not known to be unreadable, increasing."""
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


def _named(intervals: Sequence[Interval]) -> str:
    named = ", ".join(f"{start:.3f}–{end:.3f} s" for start, end in intervals[:_NAMED_INTERVALS])
    more = len(intervals) - _NAMED_INTERVALS
    return f"{named} and {more} more parts" if more > 0 else named
