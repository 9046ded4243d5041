"""The options of `score`."""

from __future__ import annotations

from typing import Any

import pytest

from vidcam.errors import InputError, NameNotFoundError
from vidcam.pipelines.score.measures import MEASURES, chosen_measures
from vidcam.pipelines.score.options import ScoreOptions


@pytest.mark.parametrize(
    ("measures", "chosen"),
    [
        ("default", ("drop", "relative", "retention")),
        ("all", MEASURES),
        ("time, curve", ("drop", "curve", "time")),
        (("default", "time"), ("drop", "relative", "retention", "time")),
    ],
)
def test_measures_by_name(measures: Any, chosen: tuple[str, ...]) -> None:
    assert chosen_measures(measures) == chosen


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"measures": "drops"}, "--measures is drops; use default, all or some of drop, relative"),
        ({"measures": ""}, "--measures is empty; use default"),
        (
            {"methods": ("guided-gradcam",)},
            "--method guided-gradcam cannot be scored, its values are signed; use one of gradcam",
        ),
        ({"fill": "red"}, "--fill is 'red'; it must be one of black"),
        ({"fusion": "median"}, "fusion is 'median', expected one of mean, max, sum"),
        ({"score_scale": -1.0}, "-1"),
        ({"min_confidence": 1.5}, "--min-confidence is 1.5; it must be from 0 to 1"),
        ({"batch_size": 0}, "--batch-size is 0; it must be at least 1"),
        ({"workers": 0}, "--workers is 0; it must be at least 1"),
        ({"seed": -1}, "--seed is -1; it must be at least 0"),
        ({"sanity": -1}, "--sanity is -1; it must be at least 0"),
        ({"render_worst": -2}, "--render-worst is -2; it must be at least 0"),
    ],
)
def test_invalid_options_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ScoreOptions(**given)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(NameNotFoundError, match="method 'gradcm' not found"):
        ScoreOptions(methods=("gradcm",))
