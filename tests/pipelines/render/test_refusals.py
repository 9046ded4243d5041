"""Errors of `render`: one sentence each, and no file is left."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.loading import load_video
from tests.helpers.rendered import copied, render
from tests.helpers.saved import COUNT, grey_video, save_hot
from vidcam.errors import EncodeError, InputError, MediaError, NameNotFoundError, OutputError, ShapeError
from vidcam.geometry import Geometry
from vidcam.pipelines.render.options import RenderOptions
from vidcam.results.timeline import Timeline


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


Refused = tuple[str, dict[str, Any], type[Exception], str]
REFUSED: list[Refused] = [
    ("p.mp4", {"targets": 1.0}, NameNotFoundError, "target '1.0' not found"),
    (
        "p.mp4",
        {"targets": ("swimming",)},
        NameNotFoundError,
        r"target 'swimming' not found; the explanation has running, per-window",
    ),
    (
        "p.mp4",
        {"methods": ("layercam",)},
        NameNotFoundError,
        r"method 'layercam' not found; .*the explanation has gradcam, gradcam\+\+",
    ),
    (
        "p.mp4",
        {"methods": ("guided-gradcam",)},
        InputError,
        r"--method guided-gradcam cannot be drawn from saved maps",
    ),
    ("p.mp4", {"methods": ("gradcam", "gradcam++")}, InputError, "this style shows one map, not 2"),
    (
        "p.mp4",
        {"start": 5.0},
        InputError,
        r"--start \(5 s\) and --end \(1\.12 s\) must select a part of the explained 0 to",
    ),
    ("p.mp4", {"start": 0.5, "end": 0.5}, InputError, r"--start \(0\.5 s\) and --end \(0\.5 s\)"),
    ("p.mp4", {"start": float("nan")}, InputError, r"--start \(nan s\) and --end \(1\.12 s\)"),
    ("p.avi", {}, InputError, r"-o 'p\.avi' has the unknown ending '\.avi'; use one of \.mp4, \.webm"),
    ("p.mp4", {"form": "gif"}, InputError, r"--form gif does not fit -o 'p\.mp4'; it needs \.gif"),
    ("p.webm", {"codec": "h264"}, InputError, r"a \.webm cannot hold h264; use vp9 or av1"),
    ("p.mp4", {"codec": "mpeg1"}, InputError, r"--codec must be one of h264, .*, got 'mpeg1'"),
    ("p.mp4", {"encoder": "x264"}, InputError, r"--encoder 'x264' is unknown; use auto or FFmpeg's name"),
    (
        "p.mp4",
        {"codec": "av1", "encoder": "hevc_nvenc"},
        InputError,
        r"'hevc_nvenc' makes hevc, not av1",
    ),
    ("p.mp4", {"preset": "p4"}, InputError, r"--preset 'p4' is unknown to libx264; choose from ultrafast"),
    ("p.mp4", {"quality": 52}, InputError, r"--quality must be 0 to 51 for libx264 .*, got 52"),
    ("p.gif", {"quality": 52}, InputError, r"--quality 52 does not apply to a \.gif"),
    (
        "p.gif",
        {"height": 4320},
        InputError,
        r"24 frames of 5400×4320 pixels take 1\.6 GB, a \.gif",
    ),
    ("p.mp4", {"colormap": "jett"}, NameNotFoundError, r"colour map 'jett' not found; the nearest are 'jet'"),
    ("p.mp4", {"opacity": 2.0}, InputError, r"--opacity is 2\.0; it must be from 0 to 1"),
    ("no/p.mp4", {}, OutputError, r"the folder '.*no' does not exist"),
    ("no/p", {}, OutputError, r"the folder '.*no' does not exist"),
    ("no/p.gif", {}, OutputError, r"the folder '.*no' does not exist"),
    ("no/p.png", {}, OutputError, r"the folder '.*no' does not exist"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]} {case[1]}")
def test_invalid_input_is_refused(case: Refused, saved: Path, tmp_path: Path) -> None:
    name, options, kind, sentence = case
    with pytest.raises(kind, match=sentence):
        render(saved, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"style": "cubist"}, r"--style is 'cubist'; it must be one of overlay, map, side-by-side, contour, heat"),
        ({"fill": "red"}, r"--fill is 'red'; it must be one of black"),
        ({"form": "avi"}, r"--form is 'avi'; it must be one of mp4"),
        ({"height": 8}, r"--height is 8; it must be from 16 to 4320 rows"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RenderOptions(**options)


@pytest.mark.parametrize("name", ["p.mp4", "p.gif", "p", "p.png"])
def test_an_existing_file_is_kept_without_overwrite(name: str, saved: Path, tmp_path: Path) -> None:
    render(saved, tmp_path / name, end=0.2)
    with pytest.raises(OutputError, match=r"exists already; "):
        render(saved, tmp_path / name)
    render(saved, tmp_path / name, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_with_other_files_is_not_replaced(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match=r"p' exists already; choose another folder, or delete it"):
        render(saved, tmp_path / "p", overwrite=True)


def test_a_missing_source_is_refused(saved: Path, tmp_path: Path) -> None:
    mine = copied(saved, tmp_path)
    (tmp_path / "video.mp4").unlink()
    with pytest.raises(MediaError, match=r"'video\.mp4' is no longer at 'video\.mp4'; pass it with --source"):
        render(mine, tmp_path / "p.mp4")
    with pytest.raises(MediaError, match=r"nowhere\.mp4' does not exist; expected a video file"):
        render(mine, tmp_path / "p.mp4", source=tmp_path / "nowhere.mp4")
    shutil.copy(saved.with_name("video.mp4"), tmp_path / "moved.mp4")
    render(mine, tmp_path / "p.mp4", source=tmp_path / "moved.mp4", end=0.2)


def test_a_changed_source_is_refused(saved: Path, tmp_path: Path) -> None:
    mine = copied(saved, tmp_path)
    grey_video(tmp_path / "video.mp4", count=COUNT - 1)
    with pytest.raises(MediaError, match=r"is not the explained video \(its hash is \w{12}…, not \w{12}…\)"):
        render(mine, tmp_path / "p.mp4")
    assert not (tmp_path / "p.mp4").exists()


def test_maps_of_an_earlier_version_need_the_source_and_check_its_size(saved: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.npz"
    dataclasses.replace(load_video(saved), origin=None).save(old)
    with pytest.raises(MediaError, match=r"old\.npz has no path of 'video\.mp4'.*--source"):
        render(old, tmp_path / "p.mp4")
    render(old, tmp_path / "p.png", source=saved.with_name("video.mp4"))
    other = grey_video(tmp_path / "other.mp4", size=(64, 64), count=3)
    with pytest.raises(MediaError, match=r"has frames of \(64, 64\), the explained video \(128, 160\)"):
        render(old, tmp_path / "p.mp4", source=other)


def test_a_file_that_is_not_an_explanation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no")
    with pytest.raises(MediaError, match=r"a\.npz is not a saved explanation"):
        render(tmp_path / "a.npz", tmp_path / "p.mp4")


@pytest.mark.parametrize("name", ["p.mp4", "p.gif", "p", "p.png"])
def test_a_full_disk_is_one_sentence(name: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    places = {"p.mp4": "vidcam.video.writer.VideoWriter._mux", "p.gif": "pathlib.Path.write_bytes"}
    monkeypatch.setattr(places.get(name, "PIL.Image.Image.save"), full)
    with pytest.raises(EncodeError, match=r"writing '.*p.*' failed \(No space left on device\)"):
        render(saved, tmp_path / name, style="heat", form="poster" if name == "p.png" else None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("out", "form"), [("p.mp4", None), ("p.png", "sheet"), ("p.png", "poster")])
@pytest.mark.parametrize("zoom", [(64, 64), (64, 1), (1, 64)], ids=["both", "rows", "columns"])
def test_a_view_without_a_pixel_is_refused(
    out: str, form: Any, zoom: tuple[int, int], saved: Path, tmp_path: Path
) -> None:
    explanation = load_video(copied(saved, tmp_path))
    height, width = explanation.geometry.source_size
    resized = (height * zoom[0], width * zoom[1])
    crop = (16 if zoom[0] > 1 else height, 16 if zoom[1] > 1 else width)
    changed = dataclasses.replace(explanation, geometry=Geometry((height, width), resized, crop, 0, 0))
    changed.save(tmp_path / "changed.npz")
    with pytest.raises(ShapeError, match="the model's view has no pixel of the frame"):
        render(tmp_path / "changed.npz", tmp_path / out, form=form)
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize("shift", [1.12, 100.0])
def test_a_sheet_of_windows_after_the_video_is_refused(shift: float, saved: Path, tmp_path: Path) -> None:
    explanation = load_video(copied(saved, tmp_path))
    line = explanation.timeline
    later = Timeline(line.starts + shift, line.ends + shift, line.frame_seconds + shift)
    dataclasses.replace(explanation, timeline=later).save(tmp_path / "changed.npz")
    with pytest.raises(ShapeError, match=r"the windows begin at .* s, after the shown part, which ends at 1\.12 s"):
        render(tmp_path / "changed.npz", tmp_path / "p.png", form="sheet")
