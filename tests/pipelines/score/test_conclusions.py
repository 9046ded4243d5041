"""What a set of clips lets one conclude: sets of which the truth is made, read as a user reads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.score_results import DONE, scores
from vidcam.pipelines.score.conclusions import headline, notes, ranked, ranking_rows
from vidcam.pipelines.score.numbers import clips_that_would
from vidcam.pipelines.score.summarise import summarise, verdict_counts
from vidcam.pipelines.score.summary import AlphaFigures, Summary
from vidcam.pipelines.score.table import ClipInfo, ScoreTable

THETAS = ("0.25", "0.5", "0.75")


def table_of(kept: dict[str, float], clips: int, *, noise: float = 0.2) -> ScoreTable:
    """Methods that keep a share of the probability at every θ, with independent noise of the logarithm."""
    generator = np.random.default_rng(clips)
    logs = {name: np.log(share) + generator.normal(0.0, noise, clips) for name, share in kept.items()}
    rows = {name: np.full((len(kept), clips), 0.5) for name in ("probability", "drop", "increase", "area", "empty")}
    rows |= {"log_probability": np.log(rows["probability"]), "empty": np.zeros((len(kept), clips))}
    rows |= {name: np.full((len(kept), clips), np.nan) for name in ("alpha_median",)}
    rows["log_masked_probability"] = rows["log_probability"]
    rows |= {f"retention_{theta}": np.exp(list(logs.values())) for theta in THETAS}
    names = [f"{clip}.mp4" for clip in range(clips)]
    return ScoreTable(
        methods=tuple(kept),
        columns=tuple(rows),
        counts={"scored": clips, "failed": 0, "left out": 0},
        clips=ClipInfo(list(range(clips)), names, names, ["yoga"] * clips, [1] * clips),
        failures=[],
        labelled=(clips, clips, clips),
        evidence={},
        _values=rows,
    )


def summary_of(kept: dict[str, float], clips: int, *, noise: float = 0.2) -> Summary:
    return summarise(table_of(kept, clips, noise=noise), DONE)


TRUTH = {"gradcam": 0.3, "better": 0.6, "same": 0.3, "centre": 0.2}


def test_enough_clips_show_the_truth() -> None:
    summary = summary_of(TRUTH, 58)
    rows = {row["map"]: row for row in ranking_rows(summary)}
    assert ranked(summary)[0] == "better"
    assert headline(summary).startswith("better keeps most of the probability at equal area. Keeps more than ")
    assert "; keeps more than the control centre: 3." in headline(summary)
    assert rows["better"]["keeps (geometric mean)"].startswith(("59 % [", "60 % [", "61 % ["))
    first, second = (name for name in ranked(summary) if name in {"gradcam", "same"})
    assert f"58 clips do not separate it from {second}" in rows[first]["conclusion"]
    assert "would" in rows[first]["conclusion"]
    assert not rows["centre (control)"]["conclusion"]


def test_six_clips_cannot_show_a_difference_and_say_how_many_can() -> None:
    """Six comparisons: p must be below 0.05 / 6, and 2^(1 - 8) is the first that is."""
    summary = summary_of(TRUTH, 6, noise=0.01)
    assert headline(summary).startswith("6 clips cannot show which map keeps more: it takes 8 or more. So far, better")
    texts = [row["conclusion"] for row in ranking_rows(summary)]
    assert not any("keeps" in text or "do not separate" in text for text in texts)
    assert "6 clips cannot separate it from the control centre (so far 3.0" in texts[0]
    assert any("The smallest p of 6 clips is 0.031" in note for note in notes(summary))
    assert "Keeps more than" in headline(summary_of(TRUTH, 8, noise=0.01))


def test_a_control_that_keeps_more_than_every_method_comes_first() -> None:
    summary = summary_of({"gradcam": 0.3, "centre": 0.6, "uniform": 0.1}, 30)
    assert headline(summary).startswith("No method keeps more than the control centre. Of the methods, gradcam")
    assert "Keeps less than the control centre: 0.5" in headline(summary)


def test_maps_that_keep_the_same_are_equal() -> None:
    assert "Keeps as much as a, within 5 %" in headline(summary_of({"a": 0.5, "b": 0.501}, 40, noise=0.001))


def test_the_number_of_clips_that_would_show_a_difference_shows_it() -> None:
    close = {"a": 0.50, "b": 0.47}
    small = summary_of(close, 30)
    (pair,) = small.pairs
    assert pair.equal_area is not None
    needed = pair.equal_area.groups_needed
    assert needed is not None
    assert headline(small).startswith("On these 30 clips, a keeps most")
    assert f"; about {needed if needed < 100 else round(needed, -1)} would" in headline(small)
    assert "Keeps more than b" in headline(summary_of(close, 3 * needed))


def test_verdicts_are_counted_from_what_is_kept_at_half_area() -> None:
    """Three times the best control is reliable, half as much unreliable; the control itself has no verdict."""
    table = table_of({"a": 0.3, "b": 0.05, "c": 0.1, "centre": 0.1}, 5, noise=0.0)
    assert verdict_counts(table, "a") == {"reliable": 5}
    assert verdict_counts(table, "b") == {"unreliable": 5}
    assert verdict_counts(table, "c") == {"doubtful": 5}
    assert verdict_counts(table, "centre") == {}
    assert ranking_rows(summarise(table, DONE))[0]["verdicts"] == "5 reliable"


@pytest.mark.parametrize("missing", ["retention_0.5"])
def test_without_retention_nothing_is_ranked(missing: str) -> None:
    table = scores()
    summary = summarise(replace(table, columns=tuple(name for name in table.columns if name != missing)), DONE)
    assert ranking_rows(summary) == []
    assert list(notes(summary)) == []
    assert "needs the measure retention" in headline(summary)


@pytest.mark.parametrize(("low", "high", "is_said"), [(0.1, 0.5, False), (-33.0, 0.5, True), (0.1, 14.0, True)])
def test_alpha_that_leaves_its_range_is_said(low: float, high: float, is_said: bool) -> None:
    summary = summarise(scores(), DONE)
    alpha = AlphaFigures(
        min=low, q1=0.4, median=0.5, q3=0.5, max=high, all_min=low, all_max=high, correlation_with_gradcam_plus=0.1
    )
    name, figures = next(iter(summary.methods.items()))
    told = notes(replace(summary, methods={**summary.methods, name: replace(figures, alpha=alpha)}))
    found = [note for note in told if note.startswith(f"The map of {name} is not to be trusted")]
    assert [f"α goes from {low:.3g} to {high:.3g}" in note for note in found] == [True] * is_said


def test_the_number_of_clips_is_rounded() -> None:
    assert [clips_that_would(n) for n in (9, 94, 164, 1158, 29743)] == [
        "; about 9 would",
        "; about 94 would",
        "; about 160 would",
        "; about 1,200 would",
        "; more than 10,000 would",
    ]
    assert clips_that_would(None) == ""
