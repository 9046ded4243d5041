"""The contact sheet's contents: its rows, its strip and its words."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.results.test_video import METHODS, PTS, film
from vidcam.media import Seconds
from vidcam.pipelines.render.sheet import contact_sheet
from vidcam.pipelines.render.summary import MOST_MOMENTS
from vidcam.pipelines.render.videos import Stills
from vidcam.render.sheet import Sheet
from vidcam.results.video import Film


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[Sheet]:
    """The sheets that were to be drawn."""
    taken: list[Sheet] = []

    def draw_sheet(sheet: Sheet) -> bytes:
        taken.append(sheet)
        return b"drawn"

    monkeypatch.setattr("vidcam.pipelines.render.sheet.draw_sheet", draw_sheet)
    return taken


def _stills(made: Film, seconds: Sequence[float] = (1.0, 3.0)) -> Stills:
    rows = {
        f"{method}, {label}" if len(made.labels) > 1 else method: (target, method)
        for target, label in enumerate(made.labels)
        for method in METHODS
    }
    blank = [np.full((6, 8, 3), index, np.uint8) for index, _ in enumerate(seconds)]
    return Stills(rows, list(seconds), blank, {row: [frame + 9 for frame in blank] for row in rows})


def _document(made: Film, foil: str | None = None) -> dict[str, Any]:
    return {
        "targets": [{"foil": foil, "probability": 0.25 + target} for target, _ in enumerate(made.labels)],
        "model": {"layer": "Mixed_5c"},
        "windows": [
            {"start_seconds": float(start), "end_seconds": float(end), "target_probability": 0.1 + 0.01 * n}
            for n, (start, end) in enumerate(zip(made.timeline.starts, made.timeline.ends, strict=True))
        ],
        "audit": ["A sentence.", "Another."],
    }


def test_the_strip_shows_each_evidence_relative_to_its_own_maximum(sheets: list[Sheet]) -> None:
    made = film(targets=2)
    stills = _stills(made)
    assert contact_sheet(made, stills, _document(made), PTS) == b"drawn"
    (sheet,) = sheets
    assert list(sheet.strip.evidence) == list(sheet.rows) == list(stills.rows)
    for row, (target, method) in stills.rows.items():
        means = made.heat(method, PTS, target=target).mean(axis=(1, 2), dtype=np.float64)
        assert 0.2 < means.max() < 0.9
        np.testing.assert_allclose(sheet.strip.evidence[row], means / means.max(), rtol=1e-5)
        assert sheet.strip.evidence[row].max() == 1.0
    np.testing.assert_array_equal(sheet.strip.seconds, PTS)


def test_without_any_evidence_the_strip_stays_at_zero(sheets: list[Sheet]) -> None:
    made = film()
    made.explanations[0].volumes["gradcam"][:] = 0.0
    made = Film(
        made.source,
        made.model,
        made.geometry,
        made.timeline,
        made.labels,
        made.explanations,
        ({**made.bounds[0], "gradcam": (0.0, 0.0)},),
    )
    contact_sheet(made, _stills(made), _document(made), PTS)
    assert not sheets[0].strip.evidence["gradcam"].any()
    assert sheets[0].strip.evidence["gradcam++"].max() == 1.0


def test_one_target_is_told_with_its_probability(sheets: list[Sheet]) -> None:
    made = film()
    contact_sheet(made, _stills(made), _document(made), PTS)
    (sheet,) = sheets
    assert (sheet.title, sheet.target, sheet.probability) == ("clip.mp4", "label 0, ü", 0.25)
    assert (sheet.model, sheet.layer) == ("i3d", "Mixed_5c")
    assert sheet.audit == ["A sentence.", "Another."]
    assert list(sheet.rows) == ["gradcam", "gradcam++"]
    assert sheet.frame_seconds.tolist() == [1.0, 3.0]
    assert [int(frame.max()) for frame in sheet.plain] == [0, 1]
    assert [int(frame.max()) for frame in sheet.rows["gradcam++"]] == [9, 10]


def test_several_targets_are_told_without_one_probability(sheets: list[Sheet]) -> None:
    made = film(targets=3)
    contact_sheet(made, _stills(made), _document(made, "walking"), PTS)
    (sheet,) = sheets
    assert sheet.target == "label 0, ü and label 1, ü and label 2, ü rather than walking"
    assert sheet.probability is None
    assert len(sheet.rows) == 6


def test_the_strip_spans_the_windows_with_their_probabilities(sheets: list[Sheet]) -> None:
    made = film(3, seconds=PTS[:64])
    contact_sheet(made, _stills(made, [1.0]), _document(made), PTS[:64])
    strip = sheets[0].strip
    assert list(strip.span_seconds) == pytest.approx([0.0, 2 * 0.64 + 1.28])
    np.testing.assert_allclose(strip.windows, [(0.0, 1.28, 0.1), (0.64, 1.92, 0.11), (1.28, 2.56, 0.12)])


def test_windows_that_only_touch_the_part_are_not_of_it(sheets: list[Sheet]) -> None:
    made = film(4, seconds=PTS[:80])
    edges = float(made.timeline.ends[0]), float(made.timeline.starts[3])
    assert edges == pytest.approx((1.28, 1.92))
    contact_sheet(made, _stills(made, [1.5]), _document(made), PTS[:80], span_seconds=edges)
    assert [window[2] for window in sheets[0].strip.windows] == pytest.approx([0.11, 0.12])


@pytest.mark.parametrize(("count", "step"), [(2000, 1), (2001, 2), (4000, 2), (4001, 3)])
def test_long_films_are_thinned_evenly(count: int, step: int, sheets: list[Sheet]) -> None:
    pts: Seconds = np.linspace(0.0, 7.0, count, dtype=np.float64)
    made = film()
    contact_sheet(made, _stills(made), _document(made), pts)
    moments = sheets[0].strip.seconds
    np.testing.assert_array_equal(moments, pts[::step])
    assert moments.size <= MOST_MOMENTS


def test_the_sheet_is_a_picture() -> None:
    made = film(targets=2)
    with Image.open(BytesIO(contact_sheet(made, _stills(made), _document(made), PTS))) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1800
