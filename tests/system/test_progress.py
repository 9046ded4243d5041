"""Times of stages, and closing of generators."""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import ModuleType, SimpleNamespace

import pytest

from vidcam.system.progress import StageTimer, part_of, progress_or_default, silent


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


class Shown:
    """A display of a notebook; keeps what was shown."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def update(self, page: str) -> None:
        self.pages.append(page)


def fake_notebook(monkeypatch: pytest.MonkeyPatch, shell: object) -> list[Shown]:
    displays: list[Shown] = []

    def display(page: str, *, display_id: bool) -> Shown:
        assert display_id
        displays.append(Shown())
        displays[-1].update(page)
        return displays[-1]

    package = ModuleType("IPython")
    package.get_ipython = lambda: shell  # type: ignore[attr-defined]
    tools = ModuleType("IPython.display")
    tools.HTML, tools.display = str, display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", tools)
    return displays


def test_a_notebook_shows_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    displays = fake_notebook(monkeypatch, SimpleNamespace(kernel=1))
    progress = progress_or_default(None)
    for done in range(1, 101):
        progress("reading <a>", done, 100)
    progress("writing", 1, None)
    (shown,) = displays
    assert shown.pages[-2:] == [
        '<progress value="1.000" max="1"></progress> reading &lt;a&gt;',
        "<progress></progress> writing",
    ]
    assert len(shown.pages) < 50  # not once a call


@pytest.mark.parametrize("shell", [None, SimpleNamespace()])
def test_a_terminal_shows_no_bar(shell: object, monkeypatch: pytest.MonkeyPatch) -> None:
    displays = fake_notebook(monkeypatch, shell)
    progress_or_default(None)("reading", 1, 2)
    monkeypatch.delitem(sys.modules, "IPython")
    progress_or_default(None)("reading", 1, 2)
    assert displays == []


def test_a_callback_of_the_caller_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_notebook(monkeypatch, SimpleNamespace(kernel=1))
    assert progress_or_default(silent) is silent


def test_parts_of_a_step_are_fractions_of_it() -> None:
    told: list[tuple[str, float, float | None]] = []
    report = part_of(lambda *step: told.append(step), "explaining", 4, 10, step=2, parts=2)
    for units in (1, 2, 4):
        report("occlusion", units, 4)
    report("rise", 1, 2)
    report("rise", 2, 2)
    report("one more", 1, 2)
    assert told == [("explaining", done, 10) for done in (4.25, 4.5, 5, 5.5, 6, 6)]
