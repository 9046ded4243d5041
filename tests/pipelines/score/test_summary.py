"""The summary of a table that can be worked out in the head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidcam.pipelines.score.plots import _curve
from vidcam.pipelines.score.report import method_rows, pair_rows, report, sanity_text, table, verdicts
from vidcam.pipelines.score.summary import pair_names, summarise
from vidcam.pipelines.score.table import ScoreTable
from vidcam.pipelines.score.worst import worst_clips
from vidcam.render.score_plots import plot_retention

NAN = float("nan")
MAKER = {"from_clip": 0, "vidcam": "0", "torch": "1", "numpy": "2", "av": "3", "device": "cpu"}
COLUMNS = (
    "drop",
    "increase",
    "area",
    "empty",
    "log_masked",
    "log_masked_post",
    "probability",
    "retention_0.5",
    "start",
)


def scores() -> ScoreTable:
    """Two clips, two methods and a control; gradcam+ keeps twice as much of the second clip."""
    rows: dict[str, list[list[float]]] = {
        "drop": [[0.5, 0.8], [0.5, 0.6], [0.9, 1.0]],
        "increase": [[0, 0], [0, 1], [0, 0]],
        "area": [[0.2, 0.4], [0.3, 0.3], [0.36, 0.36]],
        "empty": [[0, 1], [0, 0], [0, 0]],
        "log_masked": np.log([[0.4, 0.1], [0.4, 0.2], [0.1, 0.1]]).tolist(),
        "log_masked_post": [*np.log([[0.4, 0.1], [0.2, 0.2]]).tolist(), [NAN, NAN]],
        "probability": [[0.8, 0.5]] * 3,
        "retention_0.5": [[0.9, 0.7], [1.1, 0.9], [0.2, 0.4]],
        "start": [[0.0, 1.5]] * 3,
    }
    names = ("alpha_min", "alpha_q1", "alpha_median", "alpha_q3", "alpha_max", "alpha_all_min", "alpha_all_max")
    rows |= {name: [[NAN, NAN]] * 3 for name in (*names, "like_gradcam_plus")}
    return ScoreTable(
        methods=("gradcam", "gradcam+", "centre"),
        columns=tuple(rows),
        clips={"scored": 2, "failed": 1, "left out": 0},
        facts={
            "clip": [0, 2],
            "path": ["a.mp4", "c.mp4"],
            "group": ["a", "c"],
            "label": ["yoga", ""],
            "class": ["yoga", "archery"],
            "correct": [True, None],
        },
        failures=[("b.mp4", "no | film")],
        answers=(1, 1),
        evidence={},
        _values={name: np.array(values) for name, values in rows.items()},
    )


def summary() -> dict[str, Any]:
    head = {"model": "tiny", "weights": "own", "layer": "relu", "fill": "black", "clips": 3, "seed": 0, "batch_size": 4}
    more: dict[str, Any] = {"made_with": [MAKER], "command": "vidcam score a", "sanity": None, "worst": []}
    return {**head, **summarise(scores(), seed=0), **more}


def test_means_by_hand() -> None:
    found = summary()
    gradcam, plus = found["methods"]["gradcam"], found["methods"]["gradcam+"]
    assert gradcam["average_drop"]["value"] == pytest.approx(65)
    assert plus["increase"]["value"] == 50
    assert plus["retention"]["0.5"]["value"] == pytest.approx(100)
    assert gradcam["area"]["value"] == pytest.approx(0.3)
    assert (gradcam["average_drop"]["low"], gradcam["average_drop"]["high"]) == pytest.approx((50, 80))
    assert (gradcam["empty"], plus["empty"]) == (1, 0)
    assert (found["n"], found["failed"], found["groups"]) == (2, 1, 2)
    assert found["accuracy"] == {"known": 1, "value": 1.0}
    assert found["classes"]["archery"] == {
        "n": 1,
        "average_drop": pytest.approx({"gradcam": 80, "gradcam+": 60, "centre": 100}),
    }
    assert found["failures"] == [{"path": "b.mp4", "reason": "no | film"}]
    assert found["time"] is None


def test_pairs_by_hand() -> None:
    first, *others = summary()["pairs"]
    assert (first["a"], first["b"]) == ("gradcam+", "gradcam")
    assert (first["win_a"], first["win_b"], first["ties"]) == (50, 0, 50)
    assert first["relative_performance"] == pytest.approx(np.sqrt(2))
    assert first["log_std"] == pytest.approx(np.log(2) / np.sqrt(2))
    assert first["post"]["relative_performance"] == pytest.approx(1.0)
    assert (first["relative_performance_low"], first["relative_performance_high"]) == pytest.approx((1, 2))
    assert first["groups_that_differ"] == 1
    assert [(pair["a"], pair["b"]) for pair in others] == [("gradcam", "centre"), ("gradcam+", "centre")]
    assert "post" not in others[0]


def test_which_are_compared() -> None:
    assert pair_names(("a", "b", "c", "random", "centre")) == [
        *(("b", "a"), ("c", "a"), ("c", "b")),
        *((method, control) for method in "abc" for control in ("random", "centre")),
    ]


def test_the_table_for_the_terminal() -> None:
    gradcam, *_ = method_rows(summary())
    assert gradcam == {
        "method": "gradcam",
        "drop %": "65.0 [50.0, 80.0]",
        "increase %": "0.0 [0.0, 0.0]",
        "area": "0.30",
        "empty": "1",
        "kept % at θ=0.5": "80.0 [70.0, 90.0]",
    }
    assert pair_rows(summary())[0]["relative performance"] == "1.41 [1.00, 2.00]"


def test_sentences_say_who_keeps_more_and_when_nothing_is_shown() -> None:
    pair = summary()["pairs"][0]
    for changed, sentence in (
        (
            {"p_holm": 0.5},
            "No difference between gradcam+ and gradcam is shown (relative performance of gradcam+ against gra",
        ),
        ({"p_holm": 0.01}, "gradcam+ keeps more of the probability than gradcam ("),
        ({"p_holm": 0.0001, "log_mean": -1.0}, "gradcam keeps more of the probability than gradcam+ ("),
        (
            {"p_holm": 0.001, "relative_performance_low": 0.98, "relative_performance_high": 0.99},
            "gradcam+ and gradcam are practically alike (",
        ),
        ({"p_holm": None}, "Nothing can be told about gradcam+ and gradcam."),
    ):
        assert verdicts({"pairs": [{**pair, **changed}]})[0].startswith(sentence)


def test_the_report_escapes_what_would_break_its_tables() -> None:
    assert table([{"a": "x|y"}]).splitlines()[-1] == r"| x\|y |"
    text = report(summary(), {"retention.png": "Confidence"})
    assert "n = 2 scored of 3; 1 failed, 0 left out; 2 groups" in text
    assert "![Confidence](retention.png)" in text
    assert "* b.mp4: no | film" in text


def test_sanity_of_a_model_without_weights_is_a_sentence() -> None:
    assert sanity_text({"layers": []}) == "The model has no weights that could be drawn anew."


def test_the_worst_clips_by_hand() -> None:
    (worst,) = worst_clips(scores(), 1)
    assert (worst.clip, worst.name, worst.start_seconds, worst.label) == (2, "c.mp4", 1.5, "archery")
    assert worst_clips(scores(), 0) == []


def test_a_curve_without_a_figure_is_drawn_with_a_gap(tmp_path: Path) -> None:
    undefined = {"value": None, "low": None, "high": None}
    curve = _curve({"0.5": undefined, "0.25": {"value": 50.0, "low": 40.0, "high": 60.0}})
    np.testing.assert_array_equal(curve[1], [100.0, 50.0, np.nan])
    plot_retention(tmp_path / "retention.png", {"gradcam": curve}, title="")
    assert (tmp_path / "retention.png").exists()
