"""The summary of a small table, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.score_results import DONE, scores
from vidcam.metrics.paired import PairedTest
from vidcam.pipelines.score.summarise import _smallest_p_holm, pair_names, summarise
from vidcam.pipelines.score.summary import Accuracy, FailedClip, Summary
from vidcam.system.json_files import from_json, to_json


def test_means_by_hand() -> None:
    summary = summarise(scores(), DONE)
    gradcam, plus = summary.methods["gradcam"], summary.methods["gradcam+"]
    assert gradcam.average_drop.value == pytest.approx(65)
    assert plus.increase.value == 50
    assert plus.retention["0.5"].value == pytest.approx(100)
    assert gradcam.area.value == pytest.approx(0.3)
    assert (gradcam.average_drop.low, gradcam.average_drop.high) == pytest.approx((50, 80))
    assert (gradcam.empty, plus.empty) == (1, 0)
    assert (summary.n, summary.clips, summary.failed, summary.groups) == (2, 3, 1, 2)
    assert summary.accuracy == Accuracy(1, 1.0)
    archery = summary.classes["archery"]
    assert archery.n == 1
    assert archery.average_drop == pytest.approx({"gradcam": 80, "gradcam+": 60, "centre": 100})
    assert summary.failures == (FailedClip("b.mp4", "no | video"),)


def test_unmeasured_values_are_none_or_empty() -> None:
    summary = summarise(scores(), DONE)
    gradcam = summary.methods["gradcam"]
    assert summary.time is None
    assert summary.sanity is None
    assert (gradcam.insertion, gradcam.retention_auc, gradcam.pointing, gradcam.alpha, gradcam.artifact) == (None,) * 5
    assert (gradcam.n_with_boxes, gradcam.localization) == (None, {})


def test_pairs_by_hand() -> None:
    first, *others = summarise(scores(), DONE).pairs
    assert (first.a, first.b) == ("gradcam+", "gradcam")
    assert (first.win_a, first.win_b, first.ties) == (50, 0, 50)
    assert first.relative_performance == pytest.approx(np.sqrt(2))
    assert first.log_std == pytest.approx(np.log(2) / np.sqrt(2))
    assert first.post_softmax is not None
    assert first.post_softmax.relative_performance == pytest.approx(1.0)
    assert (first.relative_performance_low, first.relative_performance_high) == pytest.approx((1, 2))
    assert first.groups_that_differ == 1
    assert [(pair.a, pair.b) for pair in others] == [("gradcam", "centre"), ("gradcam+", "centre")]
    assert others[0].post_softmax is None


def test_pair_names_compare_methods_with_each_other_and_with_controls() -> None:
    assert pair_names(("a", "b", "c", "random", "centre")) == [
        *(("b", "a"), ("c", "a"), ("c", "b")),
        *((method, control) for method in "abc" for control in ("random", "centre")),
    ]


@pytest.mark.parametrize(
    ("p_values", "test", "smallest"),
    [
        ([0.9] * 5, PairedTest(0.9, 6), 5 * 2 / 2**6),
        ([0.9, 1e-9], PairedTest(0.9, 6), 2 / 2**6),  # the other pair is first in Holm's order
        ([0.02], PairedTest(0.02, 6), 0.02),  # by the normal approximation
        ([1.0], PairedTest(1.0, 0), 1.0),
    ],
)
def test_the_smallest_possible_p_by_hand(p_values: list[float], test: PairedTest, smallest: float) -> None:
    assert _smallest_p_holm(p_values, 0, test) == pytest.approx(smallest)


def test_a_summary_survives_its_json() -> None:
    """Tuples come back as lists."""
    summary = summarise(scores(), DONE, command="vidcam score a", ignored_columns=("x",), worst=("a line",))
    assert to_json(from_json(to_json(summary), Summary)) == to_json(summary)
