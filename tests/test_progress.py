"""Progress over several passes: how much time is left of all of them."""

from __future__ import annotations

from vidcam.progress import Course, expect, silent

Told = tuple[str, float, float | None, float, float | None]


def course() -> tuple[Course, list[Told], list[float]]:
    told: list[Told] = []
    now = [100.0]
    return Course(lambda *what: told.append(what), lambda: now[0]), told, now


def test_what_lies_ahead_counts_as_expected_and_what_runs_by_its_own_speed() -> None:
    made, told, now = course()
    expect(made, "explaining", 10, 5.0)
    expect(made, "drawing", 100, 0.2)
    made("explaining", 0, 10)
    now[0] += 4.0
    made("explaining", 2, 10)
    now[0] += 16.0
    made("explaining", 10, 10)
    now[0] += 5.0
    made("drawing", 50, 100)
    assert told == [
        ("explaining", 0, 10, 0.0, None),
        ("explaining", 2, 10, 4.0, 16.0 + 20.0),
        ("explaining", 10, 10, 20.0, 20.0),
        ("drawing", 50, 100, 25.0, 5.0),
    ]


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
