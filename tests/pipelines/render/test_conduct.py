"""`render`: small frames, options without effect, and sources that are never overwritten."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.loading import load_video
from tests.helpers.rendered import BARE, captions_drawn, copied, opened, render
from tests.helpers.saved import COUNT, save_hot, sheets_drawn
from vidcam.errors import InputError, OutputError
from vidcam.pipelines.render.options import RenderOptions
from vidcam.pipelines.render.renderer import render_saved
from vidcam.pipelines.render.videos import DRAWING
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import drawn_colours
from vidcam.system.fingerprint import sampled_sha256


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


# ---- sizes: what small frames leave out, and what is too large


def titles(saved: Path, out: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> set[str]:
    """Return the first rows of the captions of a poster."""
    drawn = captions_drawn(monkeypatch)
    render(saved, out, overwrite=True, **options)
    return {f"{caption.rows[0].before}{caption.rows[0].label}" for caption in drawn}


def test_a_small_frame_has_the_label_or_what_differs_between_cells(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, beside = tmp_path / "p.png", {"style": "side-by-side"}
    assert titles(saved, out, monkeypatch) == {"running"}
    methods = titles(saved, out, monkeypatch, **beside, targets=("running",))
    assert methods == {"source", "gradcam", "gradcam++"}
    both = titles(saved, out, monkeypatch, **beside, methods=("gradcam++",))
    assert both == {"source", "running", "jumping"}
    all_of_them = titles(saved, out, monkeypatch, **beside, height=192)
    assert all_of_them >= {"gradcam – · running", "gradcam++ – · jumping"}  # their verdicts are not known
    assert titles(saved, out, monkeypatch, height=64) == set()


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        (
            {},
            ("frames of 160 × 128 are too small for further classes, the method, the time and the colour bar; --capt",),
        ),
        ({"height": 64}, ("frames of 80 × 64 are too small for captions",)),
        ({"height": 64, "captions": "none"}, ()),
        ({"height": 300}, ()),
        ({"captions": "margin"}, ()),
    ],
)
@pytest.mark.parametrize("name", ["p.png", "p.mp4"])
def test_a_note_names_what_is_left_out(
    name: str, options: dict[str, Any], notes: tuple[str, ...], saved: Path, tmp_path: Path
) -> None:
    made = render(saved, tmp_path / name, end=0.1, **options)
    assert len(made.notes) == len(notes)
    assert all(note.startswith(start) for note, start in zip(made.notes, notes, strict=True))


def test_a_caption_never_covers_more_than_a_sixth_of_a_picture(saved: Path, tmp_path: Path) -> None:
    for height in range(16, 300, 12):
        out = tmp_path / f"{height}.png"
        render(saved, out, style="heat", outline=False, height=height)
        bare = tmp_path / f"{height}-bare.png"
        render(saved, bare, style="heat", outline=False, height=height, captions="none")
        assert (opened(out) != opened(bare)).any(axis=2).mean() <= 1 / 6


# ---- the video is not lost, and what an option cannot do is said


def test_the_source_video_is_never_overwritten(saved: Path, tmp_path: Path) -> None:
    mine = copied(saved, tmp_path)
    video, bytes_before = tmp_path / "video.mp4", (tmp_path / "video.mp4").read_bytes()
    (tmp_path / "hard.mp4").hardlink_to(video)
    (tmp_path / "soft.mp4").symlink_to(video)
    for name in ("video.mp4", "hard.mp4", "soft.mp4"):
        with pytest.raises(OutputError, match=rf"{name}' would overwrite the source video or its images"):
            render(mine, tmp_path / name, overwrite=True)
    assert video.read_bytes() == bytes_before
    assert len(list(tmp_path.iterdir())) == 4


def test_the_images_of_a_source_folder_are_never_overwritten(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    render(saved, folder, **BARE)
    video = load_video(saved)
    assert video.origin is not None
    images = sorted(folder.glob("*.png"))
    origin = dataclasses.replace(video.origin, path="frames", content_hash=sampled_sha256(images), fps="25")
    again = tmp_path / "again.npz"
    dataclasses.replace(video, origin=origin).save(again, overwrite=True)
    for place in (folder, folder / "poster.png"):
        with pytest.raises(OutputError, match=r"would overwrite the source video or its images"):
            render(again, place, overwrite=True)
    assert sorted(folder.glob("*.png")) == images
    render(again, folder / "video.mp4", **BARE)  # no image: the video stays what it is
    render(again, tmp_path / "p.png", **BARE)


def test_a_folder_of_any_name(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"-o 'take\.2' has the unknown ending '\.2'; use one of .*, or --form frames for a folder"
    ):
        render(saved, tmp_path / "take.2", **BARE)
    render(saved, tmp_path / "take.2", **BARE, form="frames", end=0.1)
    assert (tmp_path / "take.2" / "times.csv").is_file()
    with pytest.raises(InputError, match=r"--form frames does not fit -o 'p\.mp4'; it needs no ending"):
        render(saved, tmp_path / "p.mp4", **BARE, form="frames")


@pytest.mark.parametrize(
    ("name", "options", "note"),
    [
        (
            "p.gif",
            {"codec": "av1", "preset": "3"},
            ("--codec, --preset have no effect with --form gif --style heat",),
        ),
        ("p", {"quality": 3}, ("--quality has no effect with --form frames --style heat",)),
        ("p.png", {"encoder": "libx265"}, ("--encoder has no effect with --form poster --style heat",)),
        (
            "p.png",
            {"form": "sheet", "strip": True},
            ("--style, --captions, --strip have no effect with --form sheet --style heat",),
        ),
        ("p.mp4", {"fill": "blur"}, ("--fill has no effect with --form mp4 --style heat",)),
        ("p.mp4", {"style": "map", "fill": "blur", "quality": 20}, ()),
        ("p.webp", {"quality": 20}, ()),
    ],
)
def test_options_without_effect_are_reported(
    name: str, options: dict[str, Any], note: tuple[str, ...], saved: Path, tmp_path: Path
) -> None:
    assert render(saved, tmp_path / name, **{**BARE, **options}, end=0.1).notes == note


def test_the_sheet_has_the_requested_maps(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets = sheets_drawn(monkeypatch)
    asked: dict[str, Any] = {"form": "sheet", "targets": ("per-window",), "colormap": "viridis"}
    render(saved, tmp_path / "s.png", **asked, start=0.5, end=0.8)
    (sheet,) = sheets
    (block,) = sheet.blocks
    strip = block.strip
    assert [row.name for row in block.rows] == ["gradcam"]  # gradcam++ has the same map
    assert sheet.table.tolist() == drawn_colours(colour_table("viridis")).tolist()
    assert strip.span_seconds == (0.48, 0.8)
    assert [window[:2] for window in strip.windows] == [
        pytest.approx((0.3733, 0.7467), abs=1e-4),
        pytest.approx((0.7467, 1.12), abs=1e-4),
    ]
    assert strip.seconds.min() >= 0.48
    assert strip.seconds.max() < 0.8


def test_progress_is_called_for_every_frame(saved: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float, float | None]] = []
    options = RenderOptions(**BARE)
    render_saved(saved, tmp_path / "p.mp4", options, progress=lambda *what: told.append(what))
    assert told == [(DRAWING, done, COUNT) for done in range(1, COUNT + 1)]


def test_a_video_that_was_moved_together_with_its_maps_is_found(saved: Path, tmp_path: Path) -> None:
    mine = copied(saved, tmp_path)
    video = load_video(mine)
    assert video.origin is not None
    dataclasses.replace(video, origin=dataclasses.replace(video.origin, path="../elsewhere/video.mp4")).save(
        mine, overwrite=True
    )
    render(mine, tmp_path / "p.png", **BARE)
