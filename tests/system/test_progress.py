"""Times of stages, and closing of generators."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from vidcam.system.progress import StageTimer


class _FakeClock:
    """A `time.perf_counter` that returns the values of a test."""

    def __init__(self, *readings: float) -> None:
        self._readings = iter(readings)

    def __call__(self) -> float:
        return next(self._readings)


def test_the_times_of_a_repeated_stage_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.system.progress.time.perf_counter", _FakeClock(0, 1, 10, 13, 20, 25))
    timer = StageTimer()
    for name in ("blend", "blend", "encode"):
        with timer.stage(name):
            pass
    assert timer.seconds == {"blend": 4.0, "encode": 5.0}


def test_the_time_until_an_error_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.system.progress.time.perf_counter", _FakeClock(0, 2))
    timer = StageTimer()
    with pytest.raises(KeyError), timer.stage("blend"):
        raise KeyError
    assert timer.seconds == {"blend": 2.0}


def test_only_the_making_of_items_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.system.progress.time.perf_counter", _FakeClock(0, 1, 100, 102, 200, 204))
    timer = StageTimer()
    assert list(timer.timed("decode", (item for item in range(2)))) == [0, 1]
    assert timer.seconds == {"decode": 1.0 + 2.0 + 4.0}  # the third time is for the end of the generator


def test_closing_closes_the_timed_generator() -> None:
    events: list[int | str] = []

    def numbers() -> Generator[int, None, None]:
        try:
            for number in range(10):
                events.append(number)
                yield number
        finally:
            events.append("closed")

    items = numbers()  # this reference keeps the garbage collector from closing it
    timed = StageTimer().timed("decode", items)
    assert next(timed) == 0
    timed.close()
    assert events == [0, "closed"]
