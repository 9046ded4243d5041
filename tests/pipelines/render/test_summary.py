"""What is said of a moment: label, probability, leader; and the grid that several maps stand in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.helpers.saved import hot_film
from vidcam.pipelines.render.composition import MOST_SIZE, grid_of
from vidcam.pipelines.render.summary import MOST_MOMENTS, Shown, Story, caption, chosen, moments, percent, relative
from vidcam.results.timeline import Timeline

FILM = hot_film("film.mp4", np.linspace(0.0, 2.9, 30), 3.0)
SURE = float(np.exp(2.0) / (np.exp(2.0) + 2.0))
REST = float(1.0 / (np.exp(2.0) + 2.0))


def test_a_fixed_target_keeps_its_label_while_its_probability_changes() -> None:
    story = Story(FILM, 0)
    assert [story.label(second) for second in (0.5, 1.5, 2.5)] == ["running"] * 3
    assert [story.probability(second) for second in (0.5, 1.5, 2.9)] == pytest.approx([SURE, REST, REST])
    assert [story.probability(second) for second in (0.0, 1.0)] == pytest.approx(
        [SURE, REST]
    )  # windows are [start, end)
    assert story.probability(3.0) is None
    assert story.mean_probability == pytest.approx((SURE + 2 * REST) / 3)
    assert [story.probability(second) for second in (-0.1, 3.5)] == [None, None]


def test_per_window_each_moment_has_the_label_of_the_nearest_window() -> None:
    story = Story(FILM, 1)
    assert [story.label(second) for second in (0.5, 1.4, 2.9)] == ["running", "jumping", "sitting 座る"]
    assert caption(story, Shown(1, "gradcam++"), 1.5) == ("jumping", "79 % · gradcam++")
    assert caption(story, Shown(1, "gradcam"), 9.0) == ("sitting 座る", "gradcam")


def test_where_windows_overlap_a_label_of_its_own_goes_with_its_own_probability() -> None:
    line = Timeline(np.array([0.0, 1.0, 2.0]), np.array([2.0, 3.0, 4.0]), np.tile(np.arange(3.0), (3, 1)))
    logits = np.array([[9.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 5.0]], np.float32)
    made = dataclasses.replace(
        FILM,
        timeline=line,
        explanations=tuple(dataclasses.replace(each, logits=logits) for each in FILM.explanations),
    )
    fixed, own = Story(made, 0), Story(made, 1)
    chance = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(axis=1, keepdims=True)
    assert fixed.probability(1.4) == pytest.approx(chance[:2, 0].mean(), abs=1e-6)
    for second, window in ((0.5, 0), (1.4, 0), (1.6, 1), (2.4, 1), (3.9, 2)):
        assert own.label(second) == ("running", "jumping", "sitting 座る")[window]
        assert own.probability(second) == pytest.approx(chance[window, window], abs=1e-6)
    assert own.probability(4.1) is None


def test_the_foil_is_named() -> None:
    first = dataclasses.replace(FILM.explanations[0], foil=np.full(3, 2))
    contrasted = dataclasses.replace(FILM, explanations=(first, FILM.explanations[1]), class_labels={0: "running"})
    assert Story(contrasted, 0).label(1.0) == "running rather than class 2"


def test_leaders_are_the_highest_scores() -> None:
    assert Story(FILM, 0).leaders() == ["running", "jumping", "sitting 座る"]


def test_what_is_shown_without_being_asked() -> None:
    assert chosen(FILM, (), (), all_of_them=False) == (Shown(0, "gradcam"),)
    assert len(chosen(FILM, (), (), all_of_them=True)) == 4
    assert chosen(FILM, ("PER-WINDOW",), ("GradCAM++",), all_of_them=False) == (Shown(1, "gradcam++"),)
    assert chosen(FILM, (0, "running"), ("gradcam", "gradcam"), all_of_them=False) == (Shown(0, "gradcam"),)


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "0 %"), (0.001, "< 1 %"), (0.006, "1 %"), (0.934, "93 %"), (0.9999, "> 99 %"), (1.0, "100 %")],
)
def test_percent_never_rounds_to_certainty(probability: float, text: str) -> None:
    assert percent(probability) == text


def test_moments_of_a_long_film_are_few() -> None:
    assert moments(np.arange(100.0)).size == 100
    assert MOST_MOMENTS / 2 < moments(np.arange(200_001.0)).size <= MOST_MOMENTS


def test_evidence_is_relative_to_its_most() -> None:
    np.testing.assert_allclose(relative(np.array([0.1, 0.4])), [0.25, 1.0])
    np.testing.assert_array_equal(relative(np.zeros(2)), np.zeros(2))


@pytest.mark.parametrize(
    ("count", "size", "shape"),
    [
        (2, (1080, 1920), (1, 2)),
        (3, (1080, 1920), (1, 3)),
        (4, (1080, 1920), (2, 2)),
        (5, (1080, 1920), (2, 3)),
        (3, (256, 340), (1, 3)),
        (3, (1920, 1080), (1, 3)),
        (2, (2160, 3840), (1, 2)),
    ],
)
def test_grids(count: int, size: tuple[int, int], shape: tuple[int, int]) -> None:
    grid = grid_of(count, size)
    assert (grid.rows, grid.columns) == shape
    assert grid.size[0] <= MOST_SIZE[0] and grid.size[1] <= MOST_SIZE[1]  # noqa: PT018
    assert grid.cell[1] / grid.cell[0] == pytest.approx(size[1] / size[0], rel=0.01)
    height, width = grid.cell
    for number in range(count):
        row, column = divmod(number, grid.columns)  # as one reads
        rows, columns = grid.place(number)
        assert (rows.start, rows.stop, columns.start) == (row * height, (row + 1) * height, column * width)
        assert columns.stop - columns.start == width
