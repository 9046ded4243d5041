"""What every reader of frames by index has in common: from times to indices, and the context manager."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

import numpy as np

from vidcam.errors import ShapeError
from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.video.damage import Damage


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
        """What a user should know about the film, as far as it was read."""
        return (*self._info.notes, *self._damage.notes())

    @property
    def readable_seconds(self) -> tuple[tuple[float, float], ...]:
        """The parts of the film that are not known to be unreadable."""
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
