"""The contact sheet: its rows, its strip and its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.results.test_video import METHODS, PTS, video
from vidcam.pipelines.render.equal_maps import DistinctMap, distinct_maps
from vidcam.pipelines.render.frames import ShownMap
from vidcam.pipelines.render.sheet import SheetFrames, contact_sheet
from vidcam.render.sheet import Sheet, SheetFormat
from vidcam.results.verdict import Verdict
from vidcam.results.video import VideoExplanation


@pytest.fixture
def sheets(monkeypatch: pytest.MonkeyPatch) -> list[Sheet]:
    """Collect the sheets that are drawn."""
    taken: list[Sheet] = []

    def draw_sheet(sheet: Sheet, form: SheetFormat) -> bytes:
        taken.append(sheet)
        return f"drawn as {form}".encode()

    monkeypatch.setattr("vidcam.pipelines.render.sheet.draw_sheet", draw_sheet)
    return taken


def _frames(made: VideoExplanation, seconds: Sequence[float] = (1.0, 3.0)) -> SheetFrames:
    maps = [ShownMap(target, method) for target in range(len(made.labels)) for method in METHODS]
    blank = [np.full((6, 8, 3), index, np.uint8) for index, _ in enumerate(seconds)]
    return SheetFrames(
        distinct_maps(made, maps, PTS),
        tuple(seconds),
        seconds[-1],
        list(seconds),
        blank,
        {shown: [frame + 9 for frame in blank] for shown in maps},
    )


def test_the_strips_show_the_evidence_relative_to_the_maximum_of_its_method(sheets: list[Sheet]) -> None:
    made = video(targets=2)
    assert contact_sheet(made, _frames(made), PTS, form="svg") == b"drawn as svg"
    (sheet,) = sheets
    for target, block in enumerate(sheet.blocks):
        assert [row.name for row in block.rows] == [row.curve for row in block.rows] == list(METHODS)
        assert list(block.strip.evidence) == list(METHODS)
        for method in METHODS:
            means = [made.heat(method, PTS, target=each).mean(axis=(1, 2), dtype=np.float64) for each in (0, 1)]
            assert 0.2 < np.max(means) < 0.9
            np.testing.assert_allclose(block.strip.evidence[method], means[target] / np.max(means), rtol=1e-5)
        np.testing.assert_array_equal(block.strip.seconds, PTS)
        probability = made.explanations[target].probability
        assert [window[2] for window in block.strip.windows] == pytest.approx(probability)


def test_two_targets_may_have_the_same_label(sheets: list[Sheet]) -> None:
    made = replace(video(targets=2), labels=("same", "same"))
    contact_sheet(made, _frames(made), PTS)
    first, second = sheets[0].blocks
    assert list(first.strip.evidence) == list(second.strip.evidence) == list(METHODS)
    assert not np.array_equal(first.strip.evidence["gradcam"], second.strip.evidence["gradcam"])


def test_without_any_evidence_the_strip_stays_at_zero(sheets: list[Sheet]) -> None:
    made = video()
    made.explanations[0].volumes["gradcam"][:] = 0.0
    made = replace(made, bounds={**made.bounds, "gradcam": (0.0, 0.0)})
    contact_sheet(made, _frames(made), PTS)
    evidence = sheets[0].blocks[0].strip.evidence
    assert not evidence["gradcam"].any()
    assert evidence["gradcam++"].max() == 1.0


def test_one_target_is_written_with_its_probability(sheets: list[Sheet]) -> None:
    made = video()
    contact_sheet(made, _frames(made), PTS)
    (sheet,) = sheets
    assert (sheet.title, sheet.subtitle) == ("clip.mp4", "i3d, layer Mixed_5c")
    assert sheet.classes[0].name == "label 0, ü"
    assert sheet.classes[0].probability == pytest.approx(made.explanations[0].probability.mean())
    assert [(moment.seconds, moment.note) for moment in sheet.moments] == [(1.0, ""), (3.0, "peak")]
    assert [int(frame.max()) for frame in sheet.source_frames] == [0, 1]
    assert [int(frame.max()) for frame in sheet.blocks[0].rows[1].frames] == [9, 10]


def _with_logits(made: VideoExplanation, logits: NDArray[np.float32]) -> VideoExplanation:
    each = tuple(replace(explanation, logits=logits) for explanation in made.explanations)
    return replace(made, explanations=each, class_labels={0: "archery", 2: "yoga", 4: "walking"})


def test_each_target_has_its_probability_and_rank_and_the_top_class_is_named(sheets: list[Sheet]) -> None:
    logits = np.tile(np.log(np.array([0.1, 0.2, 0.6, 0.04, 0.06])), (11, 1)).astype(np.float32)
    made = _with_logits(video(targets=2), logits)
    contact_sheet(made, _frames(made), PTS)
    lines = [(line.name, round(line.probability, 3), line.note) for line in sheets[0].classes]
    assert lines == [
        ("label 0, ü", 0.1, "rank 3 of 5"),
        ("label 1, ü rather than walking", 0.2, "rank 2 of 5"),
        ("yoga", 0.6, "top class of the video, not explained"),
    ]
    contact_sheet(made, replace(_frames(made), maps=distinct_maps(made, [ShownMap(1, "gradcam")], PTS)), PTS)
    lines = [(line.name, round(line.probability, 3), line.note) for line in sheets[1].classes]
    assert lines == [
        ("label 1, ü rather than walking", 0.2, "rank 2 of 5"),
        ("walking", 0.06, "contrast, rank 4 of 5"),
        ("yoga", 0.6, "top class of the video, not explained"),
    ]
    assert [block.name for block in sheets[0].blocks] == [
        "label 0, ü – 10.0 %",
        "label 1, ü rather than walking – 20.0 %",
    ]


def test_windows_of_another_class_are_named(sheets: list[Sheet]) -> None:
    """The windows start every 0.64 s and last 1.28 s: the nearest one at 1 s is the first, at 3 s the fourth."""
    logits = np.zeros((11, 5), np.float32)
    logits[:, 0] = np.log(4.0)
    logits[4:, 2] = np.log(8.0)
    made = replace(_with_logits(video(), logits), labels=("archery",))
    contact_sheet(made, _frames(made), PTS)
    assert [moment.top_class for moment in sheets[0].moments] == ["", "top class: yoga, 53 %"]
    assert sheets[0].blocks[0].has_windows
    logits[:, 2] = 0.0
    contact_sheet(made, _frames(made), PTS)
    assert not any(moment.top_class for moment in sheets[1].moments)
    assert not sheets[1].blocks[0].has_windows


def test_the_same_map_is_shown_once_and_said_so(sheets: list[Sheet]) -> None:
    made = video()
    volumes = made.explanations[0].volumes
    volumes["gradcam++"][:] = 7 * volumes["gradcam"]
    contact_sheet(made, _frames(made), PTS)
    (row,) = sheets[0].blocks[0].rows
    assert (row.name, row.note) == ("gradcam", "gradcam++ has the same map (r = 1.0000)")
    assert list(sheets[0].blocks[0].strip.evidence) == ["gradcam"]


def test_a_guided_map_has_the_curve_of_the_map_that_it_multiplies(sheets: list[Sheet]) -> None:
    made = video()
    frames = _frames(made)
    guided = ShownMap(0, "guided-gradcam")
    overlays = {**frames.overlays, guided: frames.source}
    contact_sheet(made, replace(frames, maps=(*frames.maps, DistinctMap(guided, {})), overlays=overlays), PTS)
    (block,) = sheets[0].blocks
    assert [(row.name, row.curve) for row in block.rows][-1] == ("guided-gradcam", "gradcam")
    assert list(block.strip.evidence) == ["gradcam", "gradcam++"]


def test_the_verdicts_and_the_remarks_below_them(sheets: list[Sheet]) -> None:
    good, bad = Verdict("reliable", "keeps 80 %", 0.9), Verdict("unreliable", "keeps 3 %", 0.1)
    made = replace(video(targets=2), verdicts=({"gradcam": good, "gradcam++": bad}, {"gradcam": bad}))
    made.explanations[1].volumes["gradcam"][3] = 0.0
    contact_sheet(made, _frames(made), PTS)
    assert [verdict for _, verdict in sheets[0].verdicts] == [good, bad, bad]
    assert sheets[0].remarks == ("Some maps are empty: no evidence for 'label 1, ü' (gradcam: 1 of 11 windows).",)
    assert [row.word for row in sheets[0].blocks[0].rows] == ["reliable", "unreliable"]


def test_the_strip_spans_the_windows_with_their_probabilities(sheets: list[Sheet]) -> None:
    made = video(3, seconds=PTS[:64])
    contact_sheet(made, _frames(made, [1.0]), PTS[:64])
    strip = sheets[0].blocks[0].strip
    assert list(strip.span_seconds) == pytest.approx([0.0, 2 * 0.64 + 1.28])
    starts, ends = np.array([0.0, 0.64, 1.28]), np.array([1.28, 1.92, 2.56])
    np.testing.assert_allclose(strip.windows, np.column_stack([starts, ends, made.explanations[0].probability]))


def test_windows_that_only_touch_the_part_are_excluded(sheets: list[Sheet]) -> None:
    made = video(4, seconds=PTS[:80])
    edges = float(made.timeline.ends[0]), float(made.timeline.starts[3])
    assert edges == pytest.approx((1.28, 1.92))
    contact_sheet(made, _frames(made, [1.5]), PTS[:80], span_seconds=edges)
    windows = sheets[0].blocks[0].strip.windows
    assert [window[2] for window in windows] == pytest.approx(made.explanations[0].probability[1:3])


def test_the_sheet_is_a_picture() -> None:
    made = video(targets=2)
    with Image.open(BytesIO(contact_sheet(made, _frames(made), PTS))) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1800
