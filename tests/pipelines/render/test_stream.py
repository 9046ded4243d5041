"""Drawing frames in one pass with threads: order, errors, and no deadlock."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import ExitStack
from typing import Self

import numpy as np
import pytest

from tests.pipelines.test_windows import Reel
from vidcam.errors import EncodeError
from vidcam.media import Frames
from vidcam.pipelines.render.videos import AHEAD, BEHIND, BackgroundWriter, stream_frames
from vidcam.system.progress import StageTimer, silent

FRAME = np.zeros((2, 2, 3), np.uint8)


class Tray:
    """A slow writer that collects frames and may fail."""

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


def _write(tray: Tray, count: int, clock: StageTimer | None = None, *, error: Exception | None = None) -> None:
    with ExitStack() as stack:
        writer = stack.enter_context(BackgroundWriter(stack.enter_context(tray), clock or StageTimer()))
        for number in range(count):
            writer.write(FRAME, float(number))
        if error is not None:
            raise error


def test_all_frames_are_written_in_order_before_closing() -> None:
    tray, clock = Tray(pause_seconds=0.002), StageTimer()
    _write(tray, 20, clock)
    assert (tray.seconds, tray.ended) == ([float(number) for number in range(20)], None)
    assert clock.seconds["encode"] >= 0.04


def test_few_frames_wait_for_encoding() -> None:
    tray = Tray(pause_seconds=0.05)
    with tray, BackgroundWriter(tray, StageTimer()) as writer:
        for number in range(BEHIND + 3):
            writer.write(FRAME, float(number))
        assert len(tray.seconds) >= 2
    assert len(tray.seconds) == BEHIND + 3


def _reel(count: int) -> Reel:
    return Reel(np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 3)))


def test_each_writer_has_its_own_picture_of_every_frame() -> None:
    reel, trays, told, clock = _reel(9), (Tray(), Tray()), [], StageTimer()

    def pictures(second: float, frame: Frames) -> Generator[Frames, None, None]:
        for number in (0, 1):
            assert frame[0, 0, 0] == round(25 * second)
            yield frame + number

    stream_frames(
        reel,
        reel.info.pts_seconds[2:],
        [lambda: trays[0], lambda: trays[1]],
        pictures,
        clock=clock,
        progress=lambda *what: told.append(what),
    )
    for tray in trays:
        assert tray.seconds == pytest.approx([number / 25 for number in range(7)])
        assert tray.ended is None
    assert told == [("drawing frames", done, 7) for done in range(1, 8)]
    assert set(clock.seconds) == {"decode for drawing", "draw", "encode"}


def test_without_writers_pictures_are_still_drawn() -> None:
    """Frames are drawn also without a writer, for the contact sheet."""
    reel, seen = _reel(5), []

    def pictures(second: float, _: Frames) -> Generator[Frames, None, None]:
        seen.append(second)
        yield from ()

    stream_frames(reel, reel.info.pts_seconds, [], pictures, clock=StageTimer(), progress=silent)
    assert seen == reel.info.pts_seconds.tolist()


def test_few_frames_are_decoded_ahead() -> None:
    """Memory is flat: at most six frames wait for drawing and encoding."""
    reel, taken = _reel(30), []

    def pictures(second: float, _: Frames) -> Generator[Frames, None, None]:
        time.sleep(0.02)
        taken.append(second)
        assert len(reel.asked) <= len(taken) + AHEAD
        yield FRAME

    stream_frames(reel, reel.info.pts_seconds, [Tray], pictures, clock=StageTimer(), progress=silent)
    assert len(taken) == 30
    assert AHEAD + BEHIND <= 6


def test_if_a_writer_cannot_be_opened_the_others_are_closed() -> None:
    reel, first = _reel(3), Tray()

    def fails() -> Tray:
        raise EncodeError("no")

    def pictures(*_: object) -> Generator[Frames, None, None]:
        yield FRAME

    with pytest.raises(EncodeError, match="no"):
        stream_frames(
            reel, reel.info.pts_seconds, [lambda: first, fails], pictures, clock=StageTimer(), progress=silent
        )
    assert first.ended is EncodeError
    assert reel.asked == []


@pytest.mark.parametrize("fails_at", [0, 3, 19])
def test_an_error_in_the_thread_is_raised_and_passed_to_the_writer(fails_at: int) -> None:
    tray = Tray(fails_at=fails_at)
    with pytest.raises(EncodeError, match="full"):
        _write(tray, 20)
    assert tray.ended is EncodeError
    assert len(tray.seconds) == fails_at


def test_an_error_outside_ends_the_thread() -> None:
    tray = Tray(pause_seconds=0.01)
    with pytest.raises(KeyError):
        _write(tray, 1, error=KeyError())
    assert tray.ended is KeyError
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vidcam-encode")]
