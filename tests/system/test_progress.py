"""Time of stages: what is counted, and what is closed."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from vidcam.system.progress import StageTimer


class _Ticks:
    """`time.perf_counter` that reads what the test says."""

    def __init__(self, *readings: float) -> None:
        self._readings = iter(readings)

    def __call__(self) -> float:
        return next(self._readings)


def test_a_stage_that_is_entered_twice_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.system.progress.time.perf_counter", _Ticks(0, 1, 10, 13, 20, 25))
    timer = StageTimer()
    for name in ("blend", "blend", "encode"):
        with timer.stage(name):
            pass
    assert timer.seconds == {"blend": 4.0, "encode": 5.0}


def test_the_time_until_an_error_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.system.progress.time.perf_counter", _Ticks(0, 2))
    timer = StageTimer()
    with pytest.raises(KeyError), timer.stage("blend"):
        raise KeyError
    assert timer.seconds == {"blend": 2.0}


def test_making_items_is_timed_and_using_them_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.system.progress.time.perf_counter", _Ticks(0, 1, 100, 102, 200, 204))
    timer = StageTimer()
    assert list(timer.timed("decode", (item for item in range(2)))) == [0, 1]
    assert timer.seconds == {"decode": 1.0 + 2.0 + 4.0}  # that there is no third took its time too


def test_closing_what_is_timed_closes_the_generator() -> None:
    made: list[int | str] = []

    def numbers() -> Generator[int, None, None]:
        try:
            for number in range(10):
                made.append(number)
                yield number
        finally:
            made.append("closed")

    items = numbers()  # held here, so that nothing but closing closes it
    timed = StageTimer().timed("decode", items)
    assert next(timed) == 0
    timed.close()
    assert made == [0, "closed"]
