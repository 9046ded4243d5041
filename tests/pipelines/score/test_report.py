"""The tables and sentences of the report, for a small table."""

from __future__ import annotations

import math
from dataclasses import replace

from tests.helpers.score_results import DONE, scores
from vidcam.pipelines.score.conclusions import verdict
from vidcam.pipelines.score.report import equal_area_rows, method_rows, pair_rows, report, sanity_text, table
from vidcam.pipelines.score.sanity_figures import Sanity
from vidcam.pipelines.score.summarise import summarise
from vidcam.pipelines.score.summary import EqualArea, FailedClip, Mean, Summary


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
        "retention % at θ=0.25": "80.0 [80.0, 80.0]",
        "retention % at θ=0.5": "80.0 [70.0, 90.0]",
        "retention % at θ=0.75": "25.0 [10.0, 40.0]",
    }
    assert pair_rows(summary())[0]["relative performance"] == "1.41 [1.00, 2.00]"
    assert equal_area_rows(summary())[0] == {
        "a": "gradcam+",
        "b": "gradcam",
        "kept, a : b": "1.21 [1.09, 1.35]",
        "at θ=0.25": "1.00 [1.00, 1.00]",
        "at θ=0.5": "1.25 [1.22, 1.29]",
        "at θ=0.75": "1.41 [1.00, 2.00]",
        "p (Holm)": "1.000",
    }


def test_a_verdict_names_the_better_method_or_why_there_is_none() -> None:
    def sentence(value: float, low: float | None, high: float, *, p: float | None, smallest: float = 0.001) -> str:
        logs = [None if part is None else math.log(part) for part in (value, low, high)]
        mean = Mean(logs[0], logs[1], logs[2])
        equal_area = EqualArea(
            log_ratio=mean,
            by_theta={},
            p_value=p,
            p_holm=p,
            smallest_p=smallest,
            smallest_p_holm=smallest,
            groups=12 if smallest < 0.05 else 4,
            groups_that_differ=9 if smallest < 0.05 else 4,
            least_groups=10,
            groups_needed=40,
        )
        return verdict(replace(summary().pairs[0], equal_area=equal_area))

    assert sentence(2, 1.6, 2.5, p=0.01) == (
        "gradcam+ keeps more than gradcam at equal area (2.00 [1.60, 2.50] times as much, p = 0.010)."
    )
    assert sentence(0.5, 0.4, 0.8, p=1e-4) == (
        "gradcam keeps more than gradcam+ at equal area (2.00 [1.25, 2.50] times as much, p < 0.001)."
    )
    assert "keeps more than gradcam at equal area (379 [12.0, 4.00e+03] times" in sentence(379, 12, 4000, p=0.01)
    unclear = "No clear difference between gradcam+ and gradcam at equal area (gradcam+ keeps 2.00 ["
    assert sentence(2, 1.6, 2.5, p=0.06).startswith(unclear)
    assert sentence(2, 0.9, 2.5, p=0.01).startswith(unclear)  # the test and the interval must agree
    assert sentence(0.99, 0.98, 1.01, p=0.001).startswith("gradcam+ and gradcam are practically equal (gradcam+ keeps")
    assert sentence(2, 1.6, 2.5, p=0.2, smallest=0.156) == (
        "Too few clips to tell gradcam+ from gradcam (smallest possible p is 0.16; it takes 10 or more)."
    )
    assert sentence(1, 0.99, 1.01, p=1.0, smallest=0.156).startswith("Too few clips")  # nor that they are equal
    assert sentence(2, None, 2.5, p=0.01).startswith("Too few clips")
    assert (
        sentence(2, 1.6, 2.5, p=None)
        == "gradcam+ and gradcam cannot be compared: what they keep at equal area is undefined."
    )


def test_a_report_without_retention_says_what_the_pairs_need() -> None:
    whole = summary()
    bare = replace(whole, pairs=tuple(replace(pair, equal_area=None) for pair in whole.pairs))
    needs = "Which one is better needs the measure retention."
    assert needs in report(bare, {})
    assert needs not in report(whole, {})
    assert "keeps more than" not in report(bare, {})


def test_the_report_escapes_bars_in_its_tables() -> None:
    assert table([{"a": "x|y"}]).splitlines()[-1] == r"| x\|y |"
    text = report(summary(), {"retention.png": "Confidence"})
    assert "n = 2 scored of 3; 1 failed, 0 left out; 2 groups" in text
    assert "![Confidence](retention.png)" in text
    assert "* b.mp4: no | video" in text


def test_the_sanity_text_of_a_model_without_weights() -> None:
    nothing = Sanity(requested_clips=1, clips=("a.mp4",), layers=(), cascading={}, independent={})
    assert sanity_text(nothing) == "The model has no weights to randomise."


def test_names_of_strangers_are_no_markup() -> None:
    bad = FailedClip("<script>.mp4", "a [link](x)\n# title")
    settings = replace(summary().settings, model="<b>\u202etiny")
    text = report(replace(summary(), failures=(bad,), settings=settings), {})
    assert r"* &lt;script&gt;.mp4: a \[link\](x)\\n# title" in text
    assert r"on &lt;b>\u202etiny" in text
    assert "<script>" not in text
    assert "<b>" not in text
    assert table([{"a": "x\n<b>"}]).splitlines()[-1] == r"| x\n&lt;b> |"
