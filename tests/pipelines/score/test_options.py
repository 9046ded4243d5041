from __future__ import annotations

from typing import Any

import pytest

from vidcam.errors import InputError, NameNotFoundError
from vidcam.pipelines.score.options import MEASURES, ScoreOptions, chosen_measures


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
        ({"measures": "drops"}, "measures are drops, expected default, all or some of drop, relative"),
        ({"measures": ""}, "measures are none, expected default"),
        (
            {"methods": ("guided-gradcam",)},
            "method 'guided-gradcam' is signed and not scored, expected some of gradcam",
        ),
        ({"fill": "red"}, "fill is 'red', expected one of black"),
        ({"fusion": "sum"}, "fusion is 'sum', expected one of mean, max"),
        ({"score_scale": -1.0}, "-1"),
        ({"min_confidence": 1.5}, "min_confidence is 1.5, expected a probability from 0 to 1"),
        ({"batch_size": 0}, "batch_size is 0, expected at least 1"),
        ({"workers": 0}, "workers is 0, expected at least 1"),
        ({"seed": -1}, "seed is -1, expected 0 or more"),
        ({"sanity": -1}, "sanity is -1, expected 0 or more"),
        ({"render_worst": -2}, "render_worst is -2, expected 0 or more"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ScoreOptions(**given)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(NameNotFoundError, match="method 'gradcm' not found"):
        ScoreOptions(methods=("gradcm",))
