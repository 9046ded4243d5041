"""The request of `render`: maps, part, and errors before the video is opened."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.loading import load_video
from tests.helpers.saved import SIZE, hot_video, save_hot
from vidcam.errors import InputError, OutputError, VidcamError
from vidcam.pipelines.render.composition import Grid
from vidcam.pipelines.render.frames import ShownMap
from vidcam.pipelines.render.options import RenderOptions
from vidcam.pipelines.render.renderer import render_video
from vidcam.pipelines.render.request import RenderRequest, resolve, select_maps
from vidcam.render.colormap import colour_table

VIDEO = hot_video("video.mp4", np.linspace(0.0, 2.9, 30), 3.0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


def resolved(saved: Path, out: str, **options: Any) -> RenderRequest:
    return resolve(saved, saved.with_name(out), RenderOptions(**options))


def test_the_default_maps() -> None:
    assert select_maps(VIDEO, (), (), all_of_them=False) == (ShownMap(0, "gradcam"),)
    assert len(select_maps(VIDEO, (), (), all_of_them=True)) == 4
    assert select_maps(VIDEO, ("PER-WINDOW",), ("GradCAM++",), all_of_them=False) == (ShownMap(1, "gradcam++"),)
    assert select_maps(VIDEO, (0, "running"), ("gradcam", "gradcam"), all_of_them=False) == (ShownMap(0, "gradcam"),)


def test_a_request_has_every_option_resolved(saved: Path) -> None:
    request = resolved(saved, "p.mp4", colormap="viridis", start=0.5, height=64, preset="fast", fill="mean")
    assert (request.form, request.maps) == ("mp4", (ShownMap(0, "gradcam"),))
    assert list(request.span_seconds) == pytest.approx([0.5, 1.12])
    assert (request.layout.grid, request.layout.kind) == (Grid(1, 1, (64, 80)), "overlay")
    assert request.encoder is not None
    assert ("preset", "fast") in request.encoder.options
    np.testing.assert_array_equal(request.style.table, colour_table("viridis"))
    assert request.style.mean_rgb == (40.0, 80.0, 160.0)
    assert str(request.source) == str(saved.with_name("video.mp4"))
    assert request.notes[0] == "--fill has no effect with --form mp4 --style overlay"
    assert request.notes[1].startswith("frames of 80 × 64 are too small for captions")


def test_side_by_side_has_all_maps_and_the_source(saved: Path) -> None:
    request = resolved(saved, "p.png", style="side-by-side", strip=True)
    assert len(request.maps) == 4
    assert (request.layout.kind, request.layout.has_source, request.layout.grid.cell) == ("overlay", True, SIZE)
    assert request.layout.grid.rows * request.layout.grid.columns >= 5


def test_a_sheet_has_all_maps_and_ignores_the_height(saved: Path) -> None:
    request = resolved(saved, "p.png", form="sheet", height=4320)
    assert (len(request.maps), request.encoder) == (4, None)
    assert request.layout.grid == Grid(1, 1, SIZE)


EARLY: list[tuple[str, dict[str, Any], str]] = [
    ("p.avi", {}, "has the unknown ending '.avi'"),
    ("no/p.mp4", {}, "does not exist"),
    ("no/p", {}, "does not exist"),
    ("video.npz.png", {"targets": ("swimming",)}, "target 'swimming' not found"),
    ("p.mp4", {"methods": ("layercam",)}, "method 'layercam' not found"),
    ("p.mp4", {"start": 5.0}, r"--start \(5 s\) and --end"),
    ("p.mp4", {"encoder": "x264"}, "--encoder 'x264' is unknown"),
    ("p.webm", {"codec": "h264"}, "a .webm cannot hold h264"),
    ("p.mp4", {"quality": 52}, "--quality must be 0 to 51 for libx264"),
    ("p.gif", {"quality": 3}, "--quality 3 does not apply to a .gif"),
    ("p.webp", {"quality": 101}, "--quality must be 0 to 100 for a .webp, got 101"),
    ("p.png", {"colormap": "jett"}, "colour map 'jett' not found"),
    ("folder", {}, "is a folder"),
]


@pytest.mark.parametrize("case", EARLY, ids=lambda case: f"{case[0]} {case[1]}")
def test_invalid_options_are_refused_before_the_video_is_opened(
    case: tuple[str, dict[str, Any], str], saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touched(*_: object, **__: object) -> None:
        pytest.fail("the video was opened or hashed")

    for place in ("open_video", "sampled_content_sha256"):
        monkeypatch.setattr(f"vidcam.pipelines.render.saved.{place}", touched)
    name, options, sentence = case
    if name == "folder":
        name = "p.mp4"
        (tmp_path / name).mkdir()
    with pytest.raises(VidcamError, match=sentence.replace(".", r"\.")):
        render_video(saved, tmp_path / name, **options)


def test_an_existing_file_is_refused_before_the_explanation_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.mp4").write_text("mine")
    with pytest.raises(OutputError, match=r"p\.mp4' exists already; pass --overwrite"):
        render_video(tmp_path / "nowhere.npz", tmp_path / "p.mp4")


def test_pictures_that_are_too_large_are_refused_before_the_video_is_opened(saved: Path, tmp_path: Path) -> None:
    video = load_video(saved)
    wide = tmp_path / "wide.npz"
    dataclasses.replace(video, geometry=dataclasses.replace(video.geometry, source_size=(100, 20_000))).save(wide)
    for name in ("p.mp4", "p.gif", "p.png"):
        with pytest.raises(InputError, match=r"the picture would have 20000 × 100 pixels, more than 16384"):
            render_video(wide, tmp_path / name, source=saved.with_name("video.mp4"))
    assert list(tmp_path.iterdir()) == [wide]
