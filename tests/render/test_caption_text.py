"""How probabilities are written in captions."""

from __future__ import annotations

import pytest

from vidcam.render.caption_text import percent


@pytest.mark.parametrize(
    ("probability", "text", "short", "exact"),
    [
        (0.0, "0 %", "0 %", "0.0 %"),
        (0.00001, "< 0.1 %", "< 1 %", "< 0.1 %"),
        (0.0012, "0.1 %", "< 1 %", "0.1 %"),
        (0.006, "0.6 %", "1 %", "0.6 %"),
        (0.0994, "9.9 %", "10 %", "9.9 %"),
        (0.0996, "10 %", "10 %", "10.0 %"),
        (0.932, "93 %", "93 %", "93.2 %"),
        (0.9951, "> 99 %", "> 99 %", "99.5 %"),
        (0.99996, "> 99 %", "> 99 %", "> 99.9 %"),
        (1.0, "100 %", "100 %", "100.0 %"),
    ],
)
def test_percentages_never_round_to_0_or_100(probability: float, text: str, short: str, exact: str) -> None:
    assert percent(probability) == text
    assert percent(probability, digits=0) == short
    assert percent(probability, digits=1) == exact
