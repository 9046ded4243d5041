"""A file's clock where it cannot be meant: a damaged number makes a frame stand still for years.

A frame is not meant to be on display for longer than LONGEST_STILL_SECONDS and STILL_SHARE times as long as all that
are not, nor for longer than LONE_STILL_SECONDS and STILL_SHARE times as long as all others together. It is shown for
one usual step instead, as players go on at a jump; what follows moves up, and this is said. So the length of a film is
bounded by its number of frames. All in ticks of the stream's time base.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vidcam.errors import MediaError
from vidcam.video.packets import Ticks

LONGEST_STILL_SECONDS = 600
LONE_STILL_SECONDS = 60
STILL_SHARE = 10

_USUAL_FPS = Fraction(25)

Skip = tuple[int, int]
"""The tick of a frame before which time is left out, and how many ticks."""


def usual_step(path: str, rate: Fraction | None, time_base: Fraction) -> int:
    """The distance of two frames by the rate that the file claims, >= 1; of 25 a second where that cannot be meant.

    Raises:
        MediaError: a single tick lasts too long.
    """
    if time_base > LONGEST_STILL_SECONDS:
        raise MediaError(
            f"the clock of {path!r} ticks every {float(time_base):.3g} s, expected at most {LONGEST_STILL_SECONDS} s; "
            "the file is damaged, so repair or re-encode it"
        )
    is_meant = rate and rate * LONGEST_STILL_SECONDS >= 1
    return max(1, round(1 / ((rate if is_meant else None) or _USUAL_FPS) / time_base))


def find_skips(ticks: Ticks, end_tick: int, step: int, time_base: Fraction) -> tuple[Skip, ...]:
    """Where frames stand still for too long, the last one too.

    Args:
        ticks: (F,) int64, strictly increasing.
        end_tick: where the last frame's display ends.
        step: the usual distance of two frames.
        time_base: seconds in a tick.
    """
    ends = np.append(ticks[1:], end_tick)
    distances = ends - ticks
    seconds = distances * float(time_base)
    others = seconds.sum() - seconds
    normal = seconds[seconds <= LONGEST_STILL_SECONDS].sum()
    too_long = (seconds > LONGEST_STILL_SECONDS) & (seconds > STILL_SHARE * normal)
    too_long |= (seconds > LONE_STILL_SECONDS) & (seconds > STILL_SHARE * others)
    shown = step if step * time_base <= LONE_STILL_SECONDS else max(1, round(1 / _USUAL_FPS / time_base))
    return tuple(zip(ends[too_long].tolist(), (distances[too_long] - shown).tolist(), strict=True))


def skip_notes(skips: tuple[Skip, ...], time_base: Fraction) -> tuple[str, ...]:
    """What there is to say, as sentences without a full stop."""
    if not skips:
        return ()
    frames = f"{len(skips)} frames claim" if len(skips) > 1 else "one frame claims"
    longest, total = (float(reduce(length for _, length in skips) * time_base) for reduce in (max, sum))
    claim = f"{frames} to be displayed for up to {longest:.3g} s, which cannot be meant"
    return (f"{claim}; {total:.3g} s of standing still are left out",)
