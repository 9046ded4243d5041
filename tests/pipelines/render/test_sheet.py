"""The contact sheet: its rows, its strip and its text."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.results.test_video import METHODS, PTS, video
from vidcam.pipelines.render.frames import ShownMap
from vidcam.pipelines.render.sheet import SheetFrames, contact_sheet
from vidcam.render.caption_text import percent
from vidcam.render.sheet import Sheet
from vidcam.results.video import VideoExplanation


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[Sheet]:
    """Collect the sheets that are drawn."""
    taken: list[Sheet] = []

    def draw_sheet(sheet: Sheet) -> bytes:
        taken.append(sheet)
        return b"drawn"

    monkeypatch.setattr("vidcam.pipelines.render.sheet.draw_sheet", draw_sheet)
    return taken


def _frames(made: VideoExplanation, seconds: Sequence[float] = (1.0, 3.0)) -> SheetFrames:
    maps = [ShownMap(target, method) for target in range(len(made.labels)) for method in METHODS]
    blank = [np.full((6, 8, 3), index, np.uint8) for index, _ in enumerate(seconds)]
    return SheetFrames(maps, list(seconds), blank, {shown: [frame + 9 for frame in blank] for shown in maps})


def test_the_strip_shows_each_evidence_relative_to_the_maximum_of_its_method(sheets: list[Sheet]) -> None:
    made = video(targets=2)
    assert contact_sheet(made, _frames(made), PTS) == b"drawn"
    (sheet,) = sheets
    names = {f"{method}, {label}": (target, method) for target, label in enumerate(made.labels) for method in METHODS}
    assert list(sheet.strip.evidence) == list(sheet.rows) == list(names)
    for row, (target, method) in names.items():
        means = [made.heat(method, PTS, target=each).mean(axis=(1, 2), dtype=np.float64) for each in (0, 1)]
        assert 0.2 < np.max(means) < 0.9
        np.testing.assert_allclose(sheet.strip.evidence[row], means[target] / np.max(means), rtol=1e-5)
    np.testing.assert_array_equal(sheet.strip.seconds, PTS)


def test_without_any_evidence_the_strip_stays_at_zero(sheets: list[Sheet]) -> None:
    made = video()
    made.explanations[0].volumes["gradcam"][:] = 0.0
    made = VideoExplanation(
        made.source,
        made.model,
        made.geometry,
        made.timeline,
        made.labels,
        made.explanations,
        {**made.bounds, "gradcam": (0.0, 0.0)},
    )
    contact_sheet(made, _frames(made), PTS)
    assert not sheets[0].strip.evidence["gradcam"].any()
    assert sheets[0].strip.evidence["gradcam++"].max() == 1.0


def test_one_target_is_written_with_its_probability(sheets: list[Sheet]) -> None:
    made = video()
    contact_sheet(made, _frames(made), PTS, audit=["A sentence.", "Another."])
    (sheet,) = sheets
    mean = made.explanations[0].probabilities().mean(axis=0)
    assert sheet.title == "clip.mp4"
    assert sheet.target.startswith(f"label 0, ü – {percent(float(mean[0]), digits=1)}")
    assert (sheet.model, sheet.layer) == ("i3d", "Mixed_5c")
    assert sheet.audit == ["A sentence.", "Another."]
    assert list(sheet.rows) == ["gradcam", "gradcam++"]
    assert sheet.frame_seconds.tolist() == [1.0, 3.0]
    assert [int(frame.max()) for frame in sheet.source_frames] == [0, 1]
    assert [int(frame.max()) for frame in sheet.rows["gradcam++"]] == [9, 10]


def test_several_targets_are_written_with_their_ranks(sheets: list[Sheet]) -> None:
    made = video(targets=3)
    contrasted = tuple(dataclasses.replace(each, contrast=np.full(len(each), 4)) for each in made.explanations)
    contact_sheet(dataclasses.replace(made, explanations=contrasted, class_labels={4: "walking"}), _frames(made), PTS)
    mean = made.explanations[0].probabilities().mean(axis=0)
    ranks = (-mean).argsort().argsort()[:3] + 1
    assert ranks[0] == 1
    assert sheets[0].target == "; ".join(
        f"label {target}, ü rather than walking – {percent(float(mean[target]), digits=1)}, rank {ranks[target]}"
        for target in range(3)
    )
    assert len(sheets[0].rows) == 6


def test_the_top_class_is_named_if_it_is_no_target(sheets: list[Sheet]) -> None:
    made = video()
    other = dataclasses.replace(made.explanations[0], target=np.ones(len(made.timeline), np.int64))
    made = dataclasses.replace(made, explanations=(other,), class_labels={0: "the top"})
    contact_sheet(made, _frames(made), PTS)
    mean = other.probabilities().mean(axis=0)
    rank = int((mean > mean[1]).sum()) + 1
    shares = [percent(float(mean[index]), digits=1) for index in (1, 0)]
    assert sheets[0].target == f"label 0, ü – {shares[0]}, rank {rank} · top class: the top – {shares[1]}"


def test_the_strip_spans_the_windows_with_their_probabilities(sheets: list[Sheet]) -> None:
    made = video(3, seconds=PTS[:64])
    contact_sheet(made, _frames(made, [1.0]), PTS[:64])
    strip = sheets[0].strip
    assert list(strip.span_seconds) == pytest.approx([0.0, 2 * 0.64 + 1.28])
    starts, ends = np.array([0.0, 0.64, 1.28]), np.array([1.28, 1.92, 2.56])
    np.testing.assert_allclose(strip.windows, np.column_stack([starts, ends, made.explanations[0].probability]))


def test_windows_that_only_touch_the_part_are_excluded(sheets: list[Sheet]) -> None:
    made = video(4, seconds=PTS[:80])
    edges = float(made.timeline.ends[0]), float(made.timeline.starts[3])
    assert edges == pytest.approx((1.28, 1.92))
    contact_sheet(made, _frames(made, [1.5]), PTS[:80], span_seconds=edges)
    assert [window[2] for window in sheets[0].strip.windows] == pytest.approx(made.explanations[0].probability[1:3])


def test_the_sheet_is_a_picture() -> None:
    made = video(targets=2)
    with Image.open(BytesIO(contact_sheet(made, _frames(made), PTS))) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1800
