"""Progress over several passes: how much time is left of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from vidcam.system.progress import Course, expect, silent

Told = tuple[str, float, float | None, float, float | None]


def course() -> tuple[Course, list[Told], list[float]]:
    told: list[Told] = []
    now = [100.0]
    return Course(lambda *what: told.append(what), lambda: now[0]), told, now


def test_what_lies_ahead_counts_as_expected_and_what_runs_more_and_more_by_its_own_speed() -> None:
    made, told, now = course()
    expect(made, "explaining", 10, 5.0)
    expect(made, "drawing", 100, 0.2)
    made("explaining", 0, 10)
    now[0] += 4.0
    made("explaining", 2, 10)
    now[0] += 16.0
    made("explaining", 10, 10)
    now[0] += 5.0
    made("drawing", 95, 100)
    assert [each[:4] for each in told] == [
        ("explaining", 0, 10, 0.0),
        ("explaining", 2, 10, 4.0),
        ("explaining", 10, 10, 20.0),
        ("drawing", 95, 100, 25.0),
    ]
    left = [each[4] for each in told]
    assert left[0] is None
    assert left[1] == pytest.approx(0.8 * 16.0 + 0.2 * 40.0 + 20.0)  # 0.2 / (0.2 + 0.05) of its own speed
    assert left[2] == pytest.approx(20.0)
    assert left[3] == pytest.approx(0.95 * 5 / 19 + 0.05 * 1.0)


def test_after_a_while_the_own_speed_counts_however_long_the_pass_is() -> None:
    made, told, now = course()
    expect(made, "drawing", 10_000, 0.1)
    made("drawing", 0, 10_000)
    now[0] += 45.0
    made("drawing", 100, 10_000)
    assert told[-1][4] == pytest.approx(0.9 * 45.0 * 99 + 0.1 * 990.0)


def test_what_comes_but_once_before_the_first_frame_does_not_make_the_time_jump() -> None:
    made, told, now = course()
    expect(made, "explaining", 1, 1.0)
    expect(made, "drawing", 1000, 0.01)
    made("explaining", 1, 1)
    now[0] += 0.3  # the scale, the fonts, an encoder
    for done in range(1, 1001):
        now[0] += 0.01
        made("drawing", done, 1000)
    left = np.array([each[4] for each in told[1:]], float)
    truth = 0.01 * (1000 - np.arange(1, 1001))
    assert (left < 2.9 * truth + 0.1).all()
    assert (left >= 0.9 * truth).all()
    assert (left[50:] < 1.35 * truth[50:] + 0.1).all()
    assert (left[300:] < 1.15 * truth[300:] + 0.1).all()


def test_a_second_film_begins_anew() -> None:
    made, told, now = course()
    for _ in range(2):
        expect(made, "explaining", 1, 1.0)
        expect(made, "drawing", 1, 1.0)
        for stage in ("explaining", "drawing"):
            made(stage, 0, 1)
            now[0] += 3.0
            made(stage, 1, 1)
        assert told[-1] == ("drawing", 1, 1, 6.0, 0.0)


def test_a_pass_that_nobody_announced_and_one_without_an_end() -> None:
    made, told, now = course()
    made("fetching", 1, None)
    now[0] += 2.0
    made("decoding", 0, 4)
    now[0] += 1.0
    made("decoding", 1, 4)
    assert told[::2] == [("fetching", 1, None, 0.0, None), ("decoding", 1, 4, 1.0, 3.0)]


def test_others_need_not_know() -> None:
    expect(silent, "explaining", 10, 5.0)
