"""The summary of a small table, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.score_results import DONE, NAN, scores
from vidcam.pipelines.score.report import place_rows
from vidcam.pipelines.score.summarise import summarise
from vidcam.pipelines.score.summary import Accuracy, FailedClip, Mean, Summary
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
    assert summary.accuracy == Accuracy(1, 1.0, 1.0)
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


def test_a_summary_survives_its_json() -> None:
    """Tuples come back as lists."""
    summary = summarise(scores(), DONE, command="vidcam score a", ignored_columns=("x",), worst=("a line",))
    assert to_json(from_json(to_json(summary), Summary)) == to_json(summary)


def test_each_mean_has_its_own_n_and_no_interval_below_two_groups() -> None:
    """Temporal IoU has a value for one clip only, pointing for both."""
    table = scores()
    values = {"pointing": [[1.0, 0.0]] * 3, "temporal_iou": [[0.25, NAN]] * 3, "energy": [[NAN, NAN]] * 3}
    arrays = {name: np.array(rows) for name, rows in values.items()}
    table = replace(table, columns=(*table.columns, *arrays), _values=table._values | arrays)
    summary = summarise(table, DONE)
    gradcam = summary.methods["gradcam"]
    assert gradcam.temporal_iou == Mean(0.25, None, None, 1)
    assert gradcam.energy == Mean(None, None, None, 0)
    assert gradcam.pointing is not None
    assert (gradcam.pointing.n, gradcam.pointing.low, gradcam.pointing.high) == (2, 0.0, 100.0)
    row = place_rows(summary)[0]
    assert row == {"method": "gradcam", "pointing %": "50.00 [0.00, 100.00]", "temporal IoU": "0.25 (n = 1)", "n": "2"}
    same_group = replace(table, clips=replace(table.clips, group=["a", "a"]))
    assert summarise(same_group, DONE).methods["gradcam"].pointing == Mean(50.0, None, None, 2)
