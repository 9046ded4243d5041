"""The tables and sentences of the report, for a small table."""

from __future__ import annotations

from dataclasses import replace

from tests.helpers.score_results import DONE, scores
from vidcam.pipelines.score.report import method_rows, pair_rows, report, sanity_text, table, verdict
from vidcam.pipelines.score.summarise import summarise
from vidcam.pipelines.score.summary import Sanity, Summary


def summary() -> Summary:
    return summarise(scores(), DONE, command="vidcam score a")


def test_the_table_for_the_terminal() -> None:
    gradcam, *_ = method_rows(summary())
    assert gradcam == {
        "method": "gradcam",
        "drop %": "65.0 [50.0, 80.0]",
        "increase %": "0.0 [0.0, 0.0]",
        "area": "0.30",
        "empty": "1",
        "retention % at θ=0.5": "80.0 [70.0, 90.0]",
    }
    assert pair_rows(summary())[0]["relative performance"] == "1.41 [1.00, 2.00]"


def test_a_verdict_names_the_better_method_or_why_there_is_none() -> None:
    pair = summary().pairs[0]
    sure = replace(pair, p_holm=0.01)
    equal = replace(pair, p_holm=0.001, relative_performance_low=0.98, relative_performance_high=0.99)
    assert verdict(replace(pair, p_holm=0.5, smallest_p_holm=0.01)).startswith(
        "No significant difference between gradcam+ and gradcam (relative performance of gradcam+ against gradcam 1.41"
    )
    assert verdict(replace(pair, p_holm=0.5, smallest_p_holm=0.1562)) == (
        "Too few clips to tell gradcam+ from gradcam (smallest possible p is 0.16)."
    )
    assert verdict(sure).startswith("gradcam+ keeps more of the probability than gradcam (")
    assert verdict(replace(sure, log_mean=-1.0)).startswith("gradcam keeps more of the probability than gradcam+ (")
    assert verdict(equal).startswith("gradcam+ and gradcam are practically equal (")
    assert verdict(replace(pair, p_holm=None)) == (
        "gradcam+ and gradcam cannot be compared: their relative performance is undefined."
    )


def test_the_report_escapes_bars_in_its_tables() -> None:
    assert table([{"a": "x|y"}]).splitlines()[-1] == r"| x\|y |"
    text = report(summary(), {"retention.png": "Confidence"})
    assert "n = 2 scored of 3; 1 failed, 0 left out; 2 groups" in text
    assert "![Confidence](retention.png)" in text
    assert "* b.mp4: no | video" in text


def test_the_sanity_text_of_a_model_without_weights() -> None:
    nothing = Sanity(requested_clips=1, clips=("a.mp4",), layers=(), cascading={}, independent={})
    assert sanity_text(nothing) == "The model has no weights to randomise."
