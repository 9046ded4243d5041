"""`render`: from saved maps to every form, found back after decoding; what is refused, and that nothing is left."""

from __future__ import annotations

import csv
import dataclasses
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from tests.helpers.films import load_film
from tests.helpers.saved import BOX, COUNT, SIZE, found_box, grey_film, save_hot, sheets_drawn, uneven_ticks
from tests.helpers.videos import TIME_BASE, click, click_seconds, write_video
from vidcam.errors import EncodeError, InputError, MediaError, NameNotFoundError, OutputError
from vidcam.pipelines.render.options import RenderOptions
from vidcam.pipelines.render.renderer import Rendered, render_film
from vidcam.render.captions import Box, caption_box
from vidcam.render.colormap import colour_table
from vidcam.render.video_strip import strip_height
from vidcam.system.fingerprint import sampled_sha256
from vidcam.video.reader import open_video

PTS = np.array(uneven_ticks(COUNT)) * float(TIME_BASE)
END = uneven_ticks(COUNT + 1)[-1] * float(TIME_BASE)
BARE: dict[str, Any] = {"style": "heat", "has_caption": False, "has_bar": False, "has_outline": False}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


def render(saved: Path, out: Path, **options: Any) -> Rendered:
    return render_film(saved, out, options=RenderOptions(**options))


def opened(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def read(path: Path) -> tuple[list[NDArray[np.uint8]], NDArray[np.float64], float]:
    """Frames, time stamps and end of any form that moves."""
    if path.is_dir():
        rows = list(csv.DictReader((path / "times.csv").read_text().splitlines()))
        frames = [opened(path / row["file"]) for row in rows[:-1]]
        return frames, np.array([float(row["seconds"]) for row in rows[:-1]]), float(rows[-1]["seconds"])
    if path.suffix in {".gif", ".webp"}:
        with Image.open(path) as animation:
            pages = [
                (np.asarray(page.convert("RGB")), page.info["duration"]) for page in ImageSequence.Iterator(animation)
            ]
        ends = np.cumsum([0.0, *(duration / 1000 for _, duration in pages)])
        return [frame for frame, _ in pages], ends[:-1], float(ends[-1])
    with open_video(path) as reader:
        return [frame for _, frame in reader.frames()], reader.info.pts_seconds, reader.info.duration_seconds


FORMS = [
    ("film.mp4", {}, 1e-9),
    ("film.mp4", {"codec": "hevc"}, 1e-9),
    ("film.mp4", {"codec": "av1"}, 1e-9),
    ("film.mp4", {"codec": "vp9"}, 1e-9),
    ("film.webm", {}, 6e-4),
    ("film.webm", {"codec": "av1"}, 6e-4),
    ("film.gif", {}, 6e-3),
    ("film.webp", {}, 6e-4),
    ("folder", {}, 1e-8),
]


@pytest.mark.parametrize(("name", "options", "rounding"), FORMS)
def test_the_box_is_found_back_at_its_place_and_its_times(
    name: str, options: dict[str, Any], rounding: float, saved: Path, tmp_path: Path
) -> None:
    result = render(saved, tmp_path / name, **BARE, has_strip=True, **options)  # in whose playhead all frames differ
    frames, seconds, end = read(tmp_path / name)
    assert (result.frames, result.notes, result.path) == (COUNT, (), tmp_path / name)
    assert {frame.shape for frame in frames} == {(SIZE[0] + strip_height(SIZE), SIZE[1], 3)}
    np.testing.assert_allclose(seconds, PTS, atol=rounding)
    assert end == pytest.approx(END, abs=rounding)
    peak = int(np.abs(PTS - END / 2).argmin())
    np.testing.assert_allclose(found_box(frames[peak][: SIZE[0]], colour_table()), BOX, atol=3)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize(("name", "options", "_"), FORMS)
def test_a_grey_ramp_comes_back(name: str, options: dict[str, Any], _: float, tmp_path: Path) -> None:
    """Patches of 32 greys; what is drawn lies where no evidence is, and the overlay leaves such pixels alone."""
    saved = save_hot(tmp_path)
    film = load_film(saved)
    empty = [
        dataclasses.replace(each, volumes={name: 0 * volume for name, volume in each.volumes.items()})
        for each in film.explanations
    ]
    ramp = np.repeat(np.linspace(0, 255, 32).round().astype(np.uint8), 5)
    frames = np.broadcast_to(ramp[None, None, :, None], (4, *SIZE, 3)).copy()
    frames[:, :8] = np.arange(0, 160, 40, dtype=np.uint8)[:, None, None, None]  # frames differ, or GIF joins them
    video = write_video(tmp_path / "film.mp4", frames, fps=Fraction(10))
    assert film.origin is not None
    origin = dataclasses.replace(film.origin, content_hash=sampled_sha256([video]), span_seconds=(0.0, 0.4))
    dataclasses.replace(film, explanations=tuple(empty), origin=origin).save(saved, overwrite=True)
    look = {**BARE, "style": "overlay"}
    render(saved, tmp_path / "out" if name == "folder" else tmp_path / f"out{Path(name).suffix}", **look, **options)
    (out,) = tmp_path.glob("out*")
    for frame in read(out)[0]:
        middles = frame[16:].reshape(112, 32, 5, 3)[:, :, 1:4].astype(float).mean(axis=(0, 2))
        assert np.abs(middles - ramp[::5, None]).max() <= 2.0


STYLES = ("overlay", "map", "side-by-side", "contour", "heat")
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("style", STYLES)
def test_golden_frames(style: str, saved: Path, tmp_path: Path) -> None:
    """Made by golden/make.py, looked at, and kept; text is drawn by whatever FreeType there is."""
    options: dict[str, Any] = {"style": style, "has_strip": style in {"overlay", "side-by-side"}, "height": 256}
    render(saved, tmp_path / "poster.png", **options)
    drawn = opened(tmp_path / "poster.png").astype(int)
    golden = opened(GOLDEN / f"{style}.png").astype(int)
    assert drawn.shape == golden.shape
    assert np.abs(drawn - golden).mean() < 1.0
    assert (np.abs(drawn - golden).max(axis=2) > 8).mean() < 0.02


def test_opacity_grows_with_the_evidence_and_leaves_what_has_none(saved: Path, tmp_path: Path) -> None:
    render(saved, tmp_path / "p.png", **{**BARE, "style": "overlay"}, opacity=1.0)
    picture = opened(tmp_path / "p.png").astype(int)
    assert (picture[:8] == picture[0, 0]).all()
    assert picture[50, 94].tolist() > picture[50, 76].tolist() > picture[0, 0].tolist()  # redder, the nearer
    assert (picture[110, 30] == picture[0, 0]).all()


def test_the_map_hides_with_the_dataset_s_mean_colour(saved: Path, tmp_path: Path) -> None:
    render(saved, tmp_path / "p.png", **{**BARE, "style": "map"}, fill="mean")
    picture = opened(tmp_path / "p.png")
    assert picture[0, 0].tolist() == picture[110, 30].tolist() == [40, 80, 160]
    assert np.ptp(picture[50, 94].astype(int)) < 8


def test_the_strip_enlarges_the_frame_and_nothing_else_does(saved: Path, tmp_path: Path) -> None:
    render(saved, tmp_path / "strip.mp4", has_strip=True)
    render(saved, tmp_path / "plain.mp4")
    with open_video(tmp_path / "strip.mp4") as strip, open_video(tmp_path / "plain.mp4") as plain:
        assert plain.info.size == SIZE
        assert strip.info.size == (SIZE[0] + strip_height(SIZE), SIZE[1])


def test_a_part_in_another_height(saved: Path, tmp_path: Path) -> None:
    result = render(saved, tmp_path / "p.mp4", height=64, start_seconds=0.3, end_seconds=0.6)
    _, seconds, end = read(tmp_path / "p.mp4")
    with open_video(tmp_path / "p.mp4") as reader:
        assert reader.info.size == (64, 80)
    inside = PTS[(PTS >= 0.28 - 1e-9) & (PTS < 0.6)]
    assert result.frames == inside.size
    np.testing.assert_allclose(seconds, inside - inside[0], atol=1e-9)
    assert end == pytest.approx(0.6 - inside[0], abs=1e-3)


def test_side_by_side_labels_all_that_was_explained(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, ...]] = []

    def say(lines: tuple[str, ...], unit_px: int, room_px: int) -> Box:
        said.append(lines)
        return caption_box(lines, unit_px, room_px)

    monkeypatch.setattr("vidcam.pipelines.render.composition.caption_box", say)
    render(saved, tmp_path / "p.png", style="side-by-side", height=256)
    assert said[0] == ("source",)
    assert {lines[1].split(" · ")[1] for lines in said[1:]} == {"gradcam", "gradcam++"}
    assert {lines[0] for lines in said[1:]} <= {"running", "jumping", "sitting 座る"}


def test_the_sheet_says_what_the_saved_maps_say(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheets, film = sheets_drawn(monkeypatch), load_film(saved)
    noted = tuple(dataclasses.replace(each, notes=("Do not believe it.",)) for each in film.explanations)
    other = saved.with_name("noted.npz")
    dataclasses.replace(film, explanations=noted).save(other)
    try:
        assert render(other, tmp_path / "s.png", form="sheet", targets=("running",)).frames == 8
    finally:
        other.unlink()
    assert sheets[0].audit[0] == "Do not believe it."
    assert list(sheets[0].rows) == ["gradcam", "gradcam++"]
    assert opened(tmp_path / "s.png").shape[1] == 1800


def test_maps_of_clips_are_no_film(tmp_path: Path, saved: Path) -> None:
    load_film(saved).explanations[0].save(tmp_path / "clips.npz")
    with pytest.raises(MediaError, match=r"clips\.npz holds an explanation of clips, expected one of a video"):
        render(tmp_path / "clips.npz", tmp_path / "a.mp4")


def test_sound_goes_with_the_picture(tmp_path: Path) -> None:
    saved = save_hot(tmp_path, sound=click(0.5, 1.0))
    for name in ("a.mp4", "a.webm"):
        render(saved, tmp_path / name)
        assert click_seconds(tmp_path / name) == pytest.approx(0.5, abs=0.03)
    render(saved, tmp_path / "still.mp4", has_sound=False)
    with open_video(tmp_path / "still.mp4") as reader:
        assert not reader.info.has_audio


def test_no_torch_is_loaded(saved: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom vidcam.cli.app import main\n"
        f"assert main(['render', {str(saved)!r}, '-o', {str(tmp_path / 'p.png')!r}]) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_hardware_encoder_that_is_not_there_is_said(saved: Path, tmp_path: Path) -> None:
    result = render(saved, tmp_path / "p.mp4", **BARE, encoder="h264_videotoolbox", end_seconds=0.2)
    if result.notes:  # there is none but on a Mac
        assert result.notes == ("h264_videotoolbox does not work here (not in this FFmpeg); libx264 takes its place",)


# ---- what is refused: one sentence, and nothing is left


Refused = tuple[str, dict[str, Any], type[Exception], str]
REFUSED: list[Refused] = [
    (
        "p.mp4",
        {"targets": ("swimming",)},
        NameNotFoundError,
        r"target 'swimming' not found; .*running, per-window was",
    ),
    (
        "p.mp4",
        {"methods": ("layercam",)},
        NameNotFoundError,
        r"method 'layercam' not found; .*gradcam, gradcam\+\+ was",
    ),
    (
        "p.mp4",
        {"methods": ("guided-gradcam",)},
        InputError,
        r"guided-gradcam cannot be drawn from saved maps",
    ),
    ("p.mp4", {"methods": ("gradcam", "gradcam++")}, InputError, r"2 maps were asked for, expected one in this style"),
    (
        "p.mp4",
        {"start_seconds": 5.0},
        InputError,
        r"nothing was explained from 5 to 1\.12 s, expected a part of 0 to",
    ),
    ("p.mp4", {"start_seconds": 0.5, "end_seconds": 0.5}, InputError, r"nothing was explained from 0\.5 to 0\.5 s"),
    ("p.mp4", {"start_seconds": float("nan")}, InputError, r"nothing was explained from nan to 1\.12 s"),
    ("p.avi", {}, InputError, r"'p\.avi' ends in '\.avi', expected one of \.mp4, \.webm"),
    ("p.mp4", {"form": "gif"}, InputError, r"form is 'gif' and the result 'p\.mp4', expected \.gif; change either"),
    ("p.webm", {"codec": "h264"}, InputError, r"h264 does not go into a \.webm, expected vp9 or av1"),
    ("p.mp4", {"codec": "mpeg1"}, InputError, r"codec is 'mpeg1', expected one of h264"),
    ("p.mp4", {"encoder": "x264"}, InputError, r"encoder is 'x264', expected auto or FFmpeg's name of one"),
    (
        "p.mp4",
        {"codec": "av1", "encoder": "hevc_nvenc"},
        InputError,
        r"'hevc_nvenc' makes hevc, expected one for av1",
    ),
    ("p.mp4", {"preset": "p4"}, InputError, r"preset is 'p4', libx264 has ultrafast"),
    ("p.mp4", {"quality": 52}, InputError, r"quality is 52, libx264 takes 0 to 51"),
    ("p.gif", {"quality": 52}, InputError, r"quality is 52, expected 0 to 100 for a \.webp and none for a \.gif"),
    (
        "p.gif",
        {"height": 4320},
        InputError,
        r"24 frames of 4320 × 5400 pixels are 1\.6 GB in memory, a \.gif",
    ),
    ("p.mp4", {"colours": "jett"}, NameNotFoundError, r"colour map 'jett' not found; the nearest are 'jet'"),
    ("p.mp4", {"opacity": 2.0}, InputError, r"opacity is 2\.0, it must be in \[0, 1\]"),
    ("no/p.mp4", {}, OutputError, r"the folder '.*no' does not exist"),
    ("no/p", {}, OutputError, r"the folder '.*no' does not exist"),
    ("no/p.gif", {}, OutputError, r"the folder '.*no' does not exist"),
    ("no/p.png", {}, OutputError, r"the folder '.*no' does not exist"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]} {case[1]}")
def test_refusals(case: Refused, saved: Path, tmp_path: Path) -> None:
    name, options, kind, sentence = case
    with pytest.raises(kind, match=sentence):
        render(saved, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"style": "cubist"}, r"style is 'cubist', expected one of overlay, map, side-by-side, contour, heat"),
        ({"fill": "red"}, r"fill is 'red', expected one of black"),
        ({"form": "avi"}, r"form is 'avi', expected one of mp4"),
        ({"height": 8}, r"height is 8, expected 16 to 4320 rows"),
    ],
)
def test_options_check_themselves(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RenderOptions(**options)


@pytest.mark.parametrize("name", ["p.mp4", "p.gif", "p", "p.png"])
def test_what_is_there_stays_unless_told(name: str, saved: Path, tmp_path: Path) -> None:
    render(saved, tmp_path / name, end_seconds=0.2)
    with pytest.raises(OutputError, match=r"exists already; expected a new"):
        render(saved, tmp_path / name)
    render(saved, tmp_path / name, overwrite=True)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_with_other_files_is_not_replaced(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "letter.txt").write_text("dear")
    with pytest.raises(OutputError, match=r"p' exists already; expected a new folder; choose another, or delete it"):
        render(saved, tmp_path / "p", overwrite=True)


def copied(saved: Path, folder: Path) -> Path:
    for name in ("film.npz", "film.mp4"):
        shutil.copy(saved.with_name(name), folder / name)
    return folder / "film.npz"


def test_a_source_that_is_gone(saved: Path, tmp_path: Path) -> None:
    mine = copied(saved, tmp_path)
    (tmp_path / "film.mp4").unlink()
    with pytest.raises(MediaError, match=r"film 'film\.mp4' is no longer at 'film\.mp4', where film\.npz expects it"):
        render(mine, tmp_path / "p.mp4")
    with pytest.raises(MediaError, match=r"nowhere\.mp4' does not exist; expected a video file"):
        render(mine, tmp_path / "p.mp4", source=tmp_path / "nowhere.mp4")
    shutil.copy(saved.with_name("film.mp4"), tmp_path / "moved.mp4")
    render(mine, tmp_path / "p.mp4", source=tmp_path / "moved.mp4", end_seconds=0.2)


def test_a_source_that_was_changed(saved: Path, tmp_path: Path) -> None:
    mine = copied(saved, tmp_path)
    grey_film(tmp_path / "film.mp4", count=COUNT - 1)
    with pytest.raises(MediaError, match=r"is not the film that was explained: its content hash is \w{12}…, exp"):
        render(mine, tmp_path / "p.mp4")
    assert not (tmp_path / "p.mp4").exists()


def test_maps_of_an_earlier_version_need_the_source_and_check_its_size(saved: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.npz"
    dataclasses.replace(load_film(saved), origin=None).save(old)
    with pytest.raises(MediaError, match=r"old\.npz does not say where its film 'film\.mp4' lies.*--source"):
        render(old, tmp_path / "p.mp4")
    render(old, tmp_path / "p.png", source=saved.with_name("film.mp4"))
    other = grey_film(tmp_path / "other.mp4", size=(64, 64), count=3)
    with pytest.raises(MediaError, match=r"has frames of \(64, 64\), the explained film had \(128, 160\)"):
        render(old, tmp_path / "p.mp4", source=other)


def test_no_saved_explanation(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("no")
    with pytest.raises(MediaError, match=r"a\.npz cannot be read as a saved explanation"):
        render(tmp_path / "a.npz", tmp_path / "p.mp4")


@pytest.mark.parametrize("name", ["p.mp4", "p.gif", "p", "p.png"])
def test_a_disk_that_fills_up(name: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    places = {"p.mp4": "vidcam.video.writer.VideoWriter._mux", "p.gif": "pathlib.Path.write_bytes"}
    monkeypatch.setattr(places.get(name, "PIL.Image.Image.save"), full)
    with pytest.raises(EncodeError, match=r"writing '.*p.*' failed \(No space left on device\); expected the"):
        render(saved, tmp_path / name, style="heat", form="poster" if name == "p.png" else None)
    assert list(tmp_path.iterdir()) == []
