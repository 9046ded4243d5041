"""The clock of a file: how its own time stamps become seconds from the first displayed frame.

Recorders and joined files start their time stamps again, or let them jump. Each part of a file that one shift carries
to its place is a piece. The sound is moved by the same shifts as the pictures, so that both stay together.

Implausible time stamps are repaired, because one damaged number can make a frame last for years. The duration of a
frame is implausible in two cases:

* It is above MAX_FRAME_SECONDS, and above OUTLIER_RATIO times the sum of all durations up to MAX_FRAME_SECONDS.
* It is above MAX_LONE_FRAME_SECONDS, and above OUTLIER_RATIO times the sum of all other durations.

Such a frame lasts one nominal step instead, and all later frames move up, as in players. A note says so. So the number
of frames limits the length of a video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from vidcam.media import ClockPiece
from vidcam.video.packets import Ticks

MAX_FRAME_SECONDS = 600
MAX_LONE_FRAME_SECONDS = 60
OUTLIER_RATIO = 10

DEFAULT_FPS = Fraction(25)

Jump = tuple[int, int]
"""A jump of the time stamps that is removed: the tick of the frame after it, and its length in ticks."""

MOST_REORDERED = 17
"""A step back by more frames than this is no reordering: decoders hold at most 16 frames back."""

_SCRAMBLED_SHARE = 0.1
"""Parts have more than MOST_REORDERED frames each, so restarts are rarer than this."""

_SLACK_SECONDS = Fraction(1, 2)
"""How far the sound's time stamps must fall back to count as a restart."""


@dataclass(frozen=True, slots=True, eq=False)
class Unwrapped:
    """Time stamps in decoder order, after restarts are removed.

    Attributes:
        ticks: (F,) int64; a part that starts again follows the part before it.
        restarts: number of restarts.
        is_scrambled: whether the time stamps mean nothing; then `ticks` are one step apart.
    """

    ticks: Ticks
    restarts: int = 0
    is_scrambled: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, without a full stop."""
        if self.is_scrambled:
            return ("the time stamps are out of order; the frames are shown in the order of the file, at one rate",)
        if not self.restarts:
            return ()
        times = "once" if self.restarts == 1 else f"{self.restarts} times"
        return (f"the time stamps start again {times}; the parts are shown one after the other",)


def unwrap(decoded: Ticks, step: int, *, is_in_order: bool = False) -> Unwrapped:
    """Remove restarts from time stamps.

    Args:
        decoded: (F,) int64, in decoder order.
        step: the nominal distance between two frames, in ticks.
        is_in_order: whether the decoder gives time stamps in order if the file is right, as in MP4 and Matroska.
    """
    distances = np.diff(np.sort(decoded))
    # The stated step may be wrong.
    usual = max(step, int(np.median(distances[distances > 0]))) if distances.any() else step
    reach = 0 if is_in_order else -MOST_REORDERED * usual
    starts = np.flatnonzero(np.diff(decoded) < reach) + 1
    if not starts.size:
        return Unwrapped(decoded)
    if starts.size > _SCRAMBLED_SHARE * decoded.size:
        ticks = np.linspace(decoded.min(), max(decoded.max(), decoded.min() + decoded.size), decoded.size)
        return Unwrapped(ticks.round().astype(np.int64), is_scrambled=True)
    parts = np.split(decoded, starts)
    moved = parts[:1]
    for part in parts[1:]:
        moved.append(part + moved[-1].max() + step - part.min())
    return Unwrapped(np.concatenate(moved), int(starts.size))


def find_jumps(ticks: Ticks, end_tick: int, step: int, time_base: Fraction) -> tuple[Jump, ...]:
    """Find the frames whose display lasts implausibly long, and how much of it to remove.

    Args:
        ticks: (F,) int64, strictly increasing.
        end_tick: end of the last frame's display.
        step: the nominal distance between two frames.
        time_base: seconds in a tick.
    """
    ends = np.append(ticks[1:], end_tick)
    distances = ends - ticks
    seconds = distances * float(time_base)
    others = seconds.sum() - seconds
    normal = seconds[seconds <= MAX_FRAME_SECONDS].sum()
    too_long = (seconds > MAX_FRAME_SECONDS) & (seconds > OUTLIER_RATIO * normal)
    too_long |= (seconds > MAX_LONE_FRAME_SECONDS) & (seconds > OUTLIER_RATIO * others)
    new_duration = step if step * time_base <= MAX_LONE_FRAME_SECONDS else max(1, round(1 / DEFAULT_FPS / time_base))
    return tuple(zip(ends[too_long].tolist(), (distances[too_long] - new_duration).tolist(), strict=True))


def jump_notes(jumps: tuple[Jump, ...], time_base: Fraction) -> tuple[str, ...]:
    """Return a note that time was removed, without a full stop; empty if there are no jumps."""
    if not jumps:
        return ()
    longest, total = (float(reduce(length for _, length in jumps) * time_base) for reduce in (max, sum))
    if len(jumps) == 1:
        return (f"the time stamps jump by {longest:.3g} s; this jump is removed",)
    times = f"{len(jumps)} times, by up to {longest:.3g} s"
    return (f"the time stamps jump {times}; these jumps are removed ({total:.3g} s in all)",)


def clock_of(
    own: Ticks, unwrapped: Unwrapped, *, first: int, jumps: tuple[Jump, ...], step: int, time_base: Fraction
) -> tuple[ClockPiece, ...]:
    """Make the clock of a file.

    Args:
        own: (F,) int64, the time stamps of the frames in the order of the file.
        unwrapped: the same after restarts are removed.
        first: tick of the first displayed frame.
        jumps: what `find_jumps` found.
        step: the nominal distance between two frames.
        time_base: seconds in a tick.
    """
    if unwrapped.is_scrambled:  # the sound's time stamps may be right
        return (ClockPiece(first * time_base, first * time_base, -first * time_base),)
    removed = np.array([(0, 0), *jumps], np.int64)
    jump_count = np.searchsorted(removed[1:, 0], unwrapped.ticks, side="right")
    shift = unwrapped.ticks - own - first - np.cumsum(removed[:, 1])[jump_count]
    begins = [0, *(np.flatnonzero(np.diff(shift)) + 1).tolist(), own.size]
    pieces = []
    for begin, end in pairwise(begins):
        part = own[begin:end]
        ticks = (int(part.min()), int(part.max()) + step, int(shift[begin]))
        pieces.append(ClockPiece(*(tick * time_base for tick in ticks)))
    return tuple(pieces)


class SoundClock:
    """Moves the time stamps of sound as those of the pictures were moved.

    Args:
        pieces: the clock of the pictures, at least one piece.
    """

    def __init__(self, pieces: Sequence[ClockPiece]) -> None:
        self._rest: Iterator[ClockPiece] = iter(pieces[1:])
        self._piece, self._next = pieces[0], next(self._rest, None)
        self._latest: Fraction | None = None

    def __call__(self, seconds: Fraction) -> Fraction:
        """Return the seconds from the first displayed frame; calls are in the order of the file."""
        while self._next is not None and self._has_left(seconds):
            self._piece, self._next, self._latest = self._next, next(self._rest, None), None
        self._latest = seconds if self._latest is None else max(self._latest, seconds)
        return seconds + self._piece.shift_seconds

    def _has_left(self, seconds: Fraction) -> bool:
        following = self._next
        if following is None:
            return False
        if following.first_seconds < self._piece.end_seconds:  # the time stamps start again
            return self._latest is not None and seconds < self._latest - _SLACK_SECONDS
        return seconds > (self._piece.end_seconds + following.first_seconds) / 2
