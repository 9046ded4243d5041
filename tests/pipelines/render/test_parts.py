"""`render` of a part of a video: its strip, its sheet, its sound, and where it begins and ends."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from tests.helpers.loading import load_video
from tests.helpers.rendered import BARE, PTS, opened, read, render
from tests.helpers.saved import BOX, COUNT, SIZE, found_box, save_hot, sheets_drawn
from tests.helpers.videos import click, click_seconds, sound_span, write_video
from vidcam.errors import InputError, MediaError
from vidcam.pipelines.render.frames import ShownMap
from vidcam.pipelines.render.summary import time_strip
from vidcam.render.box import Box
from vidcam.render.caption_plan import CaptionPlan
from vidcam.render.caption_text import Caption
from vidcam.render.captions import ColourBar, draw_caption
from vidcam.render.colormap import colour_table
from vidcam.render.strip import TimeStrip
from vidcam.render.video_strip import VideoStrip
from vidcam.results.timeline import Timeline
from vidcam.system.fingerprint import sampled_sha256


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


def strips(monkeypatch: pytest.MonkeyPatch) -> list[TimeStrip]:
    """Collect the strips that are drawn."""
    taken: list[TimeStrip] = []

    def draw(strip: TimeStrip, size: tuple[int, int]) -> VideoStrip:
        taken.append(strip)
        return VideoStrip(strip, size)

    monkeypatch.setattr("vidcam.pipelines.render.composition.VideoStrip", draw)
    return taken


def test_the_strip_of_a_part_shows_that_part(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = strips(monkeypatch)
    render(saved, tmp_path / "p.png", strip=True, start=0.8, end=1.0)
    (strip,) = taken
    assert strip.span_seconds == (0.8, 1.0)
    assert [window[0] for window in strip.windows] == [pytest.approx(0.7467, abs=1e-4)]
    assert strip.top_labels == ["sitting 座る"]
    assert strip.probability_of == ""
    assert strip.seconds.min() == pytest.approx(0.8)
    assert strip.seconds.max() < 1.0


def test_windows_that_only_touch_the_part_are_excluded(saved: Path) -> None:
    video = load_video(saved)
    start, end = float(video.timeline.ends[0]), float(video.timeline.starts[2])
    strip = time_strip(video, [ShownMap(0, "gradcam")], np.array([start, start + 0.1]), (start, end))
    assert [window[:2] for window in strip.windows] == [(start, end)]
    assert strip.top_labels == ["jumping"]


def test_each_curve_of_the_strip_belongs_to_its_map(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = load_video(saved)
    second = dataclasses.replace(
        video.explanations[1],
        volumes={name: volume[::-1] ** 2 for name, volume in video.explanations[1].volumes.items()},
    )
    mine = tmp_path / "two.npz"
    bounds = {name: (0.0, max(high, high**2)) for name, (_, high) in video.bounds.items()}
    assert video.origin is not None
    origin = dataclasses.replace(video.origin, path=str(saved.with_name("video.mp4")))
    video = dataclasses.replace(video, explanations=(video.explanations[0], second), bounds=bounds, origin=origin)
    video.save(mine)
    taken = strips(monkeypatch)
    render(mine, tmp_path / "p.png", style="side-by-side", strip=True)
    (strip,) = taken
    assert strip.probability_of == "running"
    for name, values in strip.evidence.items():
        method, label = name.split(", ")
        of_targets = [video.evidence(method, PTS, target=target) for target in range(2)]
        own = of_targets[video.labels.index(label)]
        np.testing.assert_allclose(values, own / np.max(of_targets), rtol=1e-6)
    assert not np.allclose(strip.evidence["gradcam, running"], strip.evidence["gradcam, per-window"])


def test_each_colour_bar_has_the_values_of_its_map(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def draw(plan: CaptionPlan, caption: Caption, bar: ColourBar | None) -> Box:
        if bar is not None:
            given.append(bar.raw)
        return draw_caption(plan, caption, bar)

    monkeypatch.setattr("vidcam.pipelines.render.captions.draw_caption", draw)
    render(saved, tmp_path / "p.png", style="side-by-side", height=256)
    assert given == [(0.0, 0.02), (0.0, 250.0), (0.0, 0.02), (0.0, 250.0)]


def test_the_video_may_be_an_address(saved: Path, tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/rendered.mp4", saved.with_name("video.mp4").read_bytes())
    assert render(saved, tmp_path / "p.mp4", **BARE, source="memory://rendered.mp4").frames == COUNT
    with pytest.raises(MediaError, match=r"'memory://gone\.mp4' cannot be read"):
        render(saved, tmp_path / "q.mp4", **BARE, source="memory://gone.mp4")


def test_a_clip_that_starts_while_a_frame_is_displayed(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame from 0.04 s on is drawn with the maps of 0.05 s, where they begin."""
    video = load_video(saved)
    line = Timeline(np.array([0.05]), np.array([0.15]), np.array([[0.04, 0.08, 0.12, 0.12]]))
    assert video.origin is not None
    origin = dataclasses.replace(video.origin, path=str(saved.with_name("video.mp4")), span_seconds=(0.05, 0.15))
    first = video.explanations[0]
    one = dataclasses.replace(
        first,
        volumes={name: volume[1:2] for name, volume in first.volumes.items()},
        logits=first.logits[:1],
        target=first.target[:1],
    )
    mine = tmp_path / "clip.npz"
    dataclasses.replace(video, timeline=line, explanations=(one,), labels=("running",), origin=origin).save(mine)
    taken = strips(monkeypatch)
    render(mine, tmp_path / "p.png", **{**BARE, "style": "overlay", "opacity": 0.0, "strip": True})
    assert opened(tmp_path / "p.png")[0, 0].tolist() == [73] * 3  # the second frame, not the third
    assert taken[0].seconds.tolist() == [0.05, 0.08, 0.12]
    assert taken[0].evidence["gradcam"].tolist() == [1.0] * 3
    render(mine, tmp_path / "v.mp4", **BARE)
    frames, seconds, end = read(tmp_path / "v.mp4")
    assert (len(frames), seconds.tolist(), round(end, 6)) == (3, [0.0, 0.04, 0.08], 0.11)
    assert found_box(frames[0], colour_table()) == found_box(frames[1], colour_table())


def test_the_sound_of_a_part_begins_and_ends_with_it(tmp_path: Path) -> None:
    mine = save_hot(tmp_path, sound=click(0.5, 1.0))
    for name in ("p.mp4", "p.webm"):
        render(mine, tmp_path / name, **BARE, start=0.3, end=0.7)
        assert click_seconds(tmp_path / name) == pytest.approx(
            0.5 - 0.28, abs=0.03
        )  # a frame is on display from 0.28 on
        start, end = sound_span(tmp_path / name)
        assert -0.05 < start < 0.05
        assert end == pytest.approx(0.42, abs=0.06)


def test_only_the_explained_part_is_drawn(saved: Path, tmp_path: Path) -> None:
    """Windows may be longer than the part that explain was run on."""
    video = load_video(saved)
    assert video.origin is not None
    origin = dataclasses.replace(video.origin, path=str(saved.with_name("video.mp4")), span_seconds=(0.08, 0.5))
    mine = tmp_path / "part.npz"
    dataclasses.replace(video, origin=origin).save(mine)
    inside = PTS[(PTS >= 0.08 - 1e-9) & (PTS < 0.5 - 1e-9)]
    for options in ({}, {"start": -1.0, "end": 9.0}):
        render(mine, tmp_path / "p.mp4", **BARE, **options, overwrite=True)
        _, seconds, end = read(tmp_path / "p.mp4")
        np.testing.assert_allclose(seconds, inside - inside[0], atol=1e-9)
        assert end == pytest.approx(0.42, abs=1e-4)
    with pytest.raises(
        InputError, match=r"--start \(0\.6 s\) and --end \(0\.5 s\) must select a part of the explained 0\.08 to 0\.5"
    ):
        render(mine, tmp_path / "q.mp4", **BARE, start=0.6)


def test_notes_of_the_reader_are_reported(saved: Path, tmp_path: Path) -> None:
    video, cut = load_video(saved), tmp_path / "cut.mkv"
    greys = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, *SIZE, 3))
    write_video(cut, np.random.default_rng(0).integers(0, 9, greys.shape, dtype=np.uint8) + greys)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    assert video.origin is not None
    origin = dataclasses.replace(
        video.origin, path="cut.mkv", content_hash=sampled_sha256([cut]), span_seconds=(0.0, 0.4)
    )
    mine = tmp_path / "cut.npz"
    dataclasses.replace(video, origin=origin).save(mine)
    (note,) = render(mine, tmp_path / "p.mp4", **BARE).notes
    assert note.startswith("the file is cut short: only the first ")
    assert " of 1.6" in note


def test_the_sheet_has_the_probability_and_contrast_of_its_target(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets = sheets_drawn(monkeypatch)
    video = load_video(saved)
    first, second = video.explanations
    assert video.origin is not None
    origin = dataclasses.replace(video.origin, path=str(saved.with_name("video.mp4")))
    mine = tmp_path / "contrast.npz"
    contrasted = (dataclasses.replace(first, contrast=np.full(3, 2)), second)
    dataclasses.replace(video, explanations=contrasted, origin=origin).save(mine)
    for target in ("running", "per-window"):
        render(mine, tmp_path / "s.png", form="sheet", targets=(target,), overwrite=True)
    sure = float(np.exp(2.0) / (np.exp(2.0) + 2.0))
    lines = [sheet.classes[0] for sheet in sheets]
    assert [line.name for line in lines] == ["running rather than sitting 座る", "each window's top class"]
    assert lines[0].probability == pytest.approx((sure + 2 * (1 - sure) / 2) / 3)
    assert lines[1].probability == pytest.approx(sure)
    assert lines[1].note == "running, jumping, sitting 座る"
    assert [window[2] for window in sheets[1].blocks[0].strip.windows] == pytest.approx([sure] * 3)


def test_the_scale_by_window_covers_the_whole_explanation(saved: Path, tmp_path: Path) -> None:
    """The first window has 0.6 of the strongest evidence of the video; relative to itself it has 1."""
    for scale, hottest in (("video", 0.6), ("window", 1.0)):
        render(saved, tmp_path / f"{scale}.png", **BARE, colormap="gray", scale=scale, end=0.1)
        assert opened(tmp_path / f"{scale}.png").max() == pytest.approx(255 * hottest, rel=0.04)
    with pytest.raises(InputError, match="--scale is 'frame'; it must be one of video, window"):
        render(saved, tmp_path / "p.png", scale="frame")


def test_a_saved_scale_stays_unless_another_is_asked_for(saved: Path, tmp_path: Path) -> None:
    video = load_video(saved)
    assert video.origin is not None
    origin = dataclasses.replace(video.origin, path=str(saved.with_name("video.mp4")))
    dataclasses.replace(video.rescaled("window", PTS), origin=origin).save(tmp_path / "window.npz")
    for name, options in (("kept", {}), ("window", {"scale": "window"}), ("video", {"scale": "video"})):
        render(tmp_path / "window.npz", tmp_path / f"{name}.png", **BARE, **options, end=0.1)
    assert np.array_equal(opened(tmp_path / "kept.png"), opened(tmp_path / "window.png"))
    assert not np.array_equal(opened(tmp_path / "kept.png"), opened(tmp_path / "video.png"))


def test_cells_are_drawn_without_interpolation(saved: Path, tmp_path: Path) -> None:
    """The hot cell is a square of one colour; all around it the frame is unchanged."""
    plain: dict[str, Any] = {"captions": "none", "outline": False}
    render(saved, tmp_path / "cells.png", style="cells", **plain)
    render(saved, tmp_path / "source.png", style="overlay", opacity=0.0, **plain)
    cells, source = opened(tmp_path / "cells.png").astype(int), opened(tmp_path / "source.png").astype(int)
    changed = (cells != source).any(axis=2)
    top, bottom, left, right = BOX
    assert changed[top:bottom, left:right].all()
    assert changed.sum() == (bottom - top) * (right - left)
    assert len(np.unique(cells[top:bottom, left:right].reshape(-1, 3), axis=0)) == 1
