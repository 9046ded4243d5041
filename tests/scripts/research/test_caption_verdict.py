"""The tables of the verdict on captions, on made rows and one real clip."""

from __future__ import annotations

import numpy as np
from click.testing import CliRunner

from scripts.research import caption_verdict as script
from scripts.research.verdict_tables import FEWEST


def row(method: str, *, good: bool) -> script.Row:
    """A map that points and is called reliable, or neither."""
    kept = 0.9 if good else 0.1
    checks = {"kept": kept, "kept_centre": 0.3, "peak": 1.0 - kept, "peak_random": 0.5, "confidence": 0.9}
    return {"method": method, "points": float(good), "energy": 9.0 * good, "checks": checks}


def test_auc_within_a_method_needs_maps_of_both_kinds() -> None:
    rows = [row("gradcam", good=good) for good in (True, False) for _ in range(FEWEST)]
    rows += [row("hirescam", good=True)]
    score = script.auc_table(rows)[2]
    assert score.split(" | ")[1:] == ["points", "1.00", "1.00", "–", "–", "–", "– |"]
    assert script.word_table(rows)[2:] == [
        "| reliable | 1.00 of 6 |",
        "| doubtful | none |",
        "| unreliable | 0.00 of 5 |",
    ]


def test_within_ranks_one_method_alone() -> None:
    methods = np.array(["gradcam"] * 10 + ["hirescam"] * 10)
    truth = np.tile(np.repeat([True, False], 5), 2)
    values = np.where(methods == "gradcam", truth, ~truth).astype(float)
    assert script.within(values, truth, methods) == ["1.00", "–", "–", "0.00", "–"]


def test_a_clip_is_measured() -> None:
    result = CliRunner().invoke(script.caption_verdict, ["--clips", "2"], catch_exceptions=False)
    assert "| score | points | " in result.output
