"""Fine maps are scored like any map, beside maps of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.clipsets import write_set
from tests.helpers.nets import hidden_model
from tests.pipelines.score.test_clip import rows, sample
from vidcam.errors import InputError
from vidcam.pipelines.score.options import CONTROLS, ScoreOptions
from vidcam.pipelines.score.run import score_clips


def of_method(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(row for row in found if row["method"] == name)


def test_rows_of_fine_maps() -> None:
    methods = ("integrated-gradients", "gradcam", "gradcam-ig")
    found = rows(ScoreOptions(methods=methods, steps=3), sample())
    assert [row["method"] for row in found] == [*methods, *CONTROLS]
    for name in ("integrated-gradients", "gradcam-ig"):
        row = of_method(found, name)
        assert row["retention_0.5"] > 0
        assert -1 < row["completeness"] < 1
        assert row["log_masked_post_softmax"] is None
        assert "artifact" not in row
    assert of_method(found, "gradcam")["log_masked_post_softmax"] < 0
    assert "completeness" not in of_method(found, "gradcam")


def test_a_set_is_summarised_and_drawn(tmp_path: Path) -> None:
    manifest = write_set(tmp_path / "set", 3)
    methods = ("integrated-gradients", "gradcam", "gradcam-ig")
    made = score_clips(manifest, tmp_path / "out", model=hidden_model(), methods=methods, steps=2, sanity=1)
    assert (made.summary.settings.steps, made.summary.settings.fine, made.failed) == (2, "pooled", 0)
    compared = {(pair.a, pair.b): pair.post_softmax is not None for pair in made.summary.pairs}
    assert len(compared) > 3
    assert not any(compared.values())
    with pytest.raises(InputError, match="steps was 2, is 3"):
        score_clips(manifest, tmp_path / "out", model=hidden_model(), methods=methods, steps=3, sanity=1)


def test_a_fine_map_changes_no_other_row() -> None:
    """Ties and the shuffled control come from a map of the layer."""
    options: dict[str, Any] = {"measures": ("drop", "retention")}
    alone = rows(ScoreOptions(methods="gradcam", **options), sample())
    beside = rows(ScoreOptions(methods=("integrated-gradients", "gradcam"), steps=1, **options), sample())
    for name in ("gradcam", *CONTROLS):
        first, second = of_method(alone, name), of_method(beside, name)
        assert {key: first[key] for key in first if key != "batch_size"} == pytest.approx(
            {key: second[key] for key in first if key != "batch_size"}, nan_ok=True
        )


def test_a_fine_map_alone() -> None:
    found = rows(ScoreOptions(methods="integrated-gradients", steps=1, measures="all"), sample())
    assert [row["method"] for row in found] == ["integrated-gradients", *CONTROLS]
