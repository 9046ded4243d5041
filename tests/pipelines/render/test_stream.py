"""Encoding behind the drawing: order, what fails, and that nothing waits without end."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack
from itertools import islice
from typing import Self

import numpy as np
import pytest

from vidcam.errors import EncodeError
from vidcam.media import Frames
from vidcam.pipelines.render.stream import AHEAD, BEHIND, opened, played
from vidcam.system.threads import Clock

FRAME = np.zeros((2, 2, 3), np.uint8)


class Tray:
    """A sink that keeps what it gets, slowly, and may fail."""

    def __init__(self, *, fails_at: int = -1, pause_seconds: float = 0.0) -> None:
        self.seconds: list[float] = []
        self.ended: object = "open"
        self._fails_at, self._pause = fails_at, pause_seconds

    def write(self, frame: Frames, pts_seconds: float, /) -> None:
        time.sleep(self._pause)
        if len(self.seconds) == self._fails_at:
            raise EncodeError("full")
        self.seconds.append(pts_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.ended = kind


def _write(tray: Tray, count: int, *, error: Exception | None = None) -> None:
    with ExitStack() as stack:
        sink = opened(stack, tray, Clock())
        for number in range(count):
            sink.write(FRAME, float(number))
        if error is not None:
            raise error


def test_all_frames_in_order_before_it_is_closed() -> None:
    tray, clock = Tray(pause_seconds=0.002), Clock()
    with ExitStack() as stack:
        sink = opened(stack, tray, clock)
        for number in range(20):
            sink.write(FRAME, float(number))
    assert (tray.seconds, tray.ended) == ([float(number) for number in range(20)], None)
    assert clock.seconds["encode"] >= 0.04


def test_few_frames_wait() -> None:
    tray = Tray(pause_seconds=0.05)
    with ExitStack() as stack:
        sink = opened(stack, tray, Clock())
        for number in range(BEHIND + 3):
            sink.write(FRAME, float(number))
        assert len(tray.seconds) >= 2
    assert len(tray.seconds) == BEHIND + 3


def test_few_frames_are_made_ahead() -> None:
    """So that memory is flat: six frames wait at most, before and behind the drawing together."""
    made: list[float] = []

    def frames() -> Generator[tuple[float, Frames], None, None]:
        for number in range(100):
            made.append(float(number))
            yield float(number), FRAME

    with played(frames(), Clock()) as ahead:
        for taken, (second, _) in enumerate(islice(ahead, 10), start=1):
            time.sleep(0.02)
            assert second == taken - 1
            assert len(made) <= taken + AHEAD
    assert 10 < len(made) <= 10 + AHEAD
    assert AHEAD + BEHIND <= 6


@pytest.mark.parametrize("fails_at", [0, 3, 19])
def test_what_fails_in_the_thread_is_raised_and_the_sink_told(fails_at: int) -> None:
    tray = Tray(fails_at=fails_at)
    with pytest.raises(EncodeError, match="full"):
        _write(tray, 20)
    assert tray.ended is EncodeError
    assert len(tray.seconds) == fails_at


def test_what_fails_outside_ends_the_thread() -> None:
    tray = Tray(pause_seconds=0.01)
    with pytest.raises(KeyError):
        _write(tray, 1, error=KeyError())
    assert tray.ended is KeyError
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vidcam-encode")]
