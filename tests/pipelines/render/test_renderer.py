"""`render` in every form, checked after decoding."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.loading import load_video
from tests.helpers.rendered import BARE, END, FORMS, PTS, captions_drawn, opened, read, render
from tests.helpers.saved import BOX, COUNT, SIZE, found_box, save_hot, sheets_drawn
from tests.helpers.videos import click, click_seconds, write_video
from vidcam.errors import MediaError
from vidcam.render.caption_text import Row
from vidcam.render.colormap import colour_table
from vidcam.render.video_strip import strip_height
from vidcam.system.fingerprint import sampled_sha256
from vidcam.video.reader import open_video


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


@pytest.mark.parametrize(("name", "options", "rounding"), FORMS)
def test_the_box_has_its_place_and_times_after_decoding(
    name: str, options: dict[str, Any], rounding: float, saved: Path, tmp_path: Path
) -> None:
    result = render(saved, tmp_path / name, **BARE, strip=True, **options)  # in whose playhead all frames differ
    frames, seconds, end = read(tmp_path / name)
    assert (result.frames, result.notes, result.path) == (COUNT, (), tmp_path / name)
    assert {frame.shape for frame in frames} == {(SIZE[0] + strip_height(SIZE), SIZE[1], 3)}
    np.testing.assert_allclose(seconds, PTS, atol=rounding)
    assert end == pytest.approx(END, abs=rounding)
    peak = int(np.abs(PTS - END / 2).argmin())
    np.testing.assert_allclose(found_box(frames[peak][: SIZE[0]], colour_table()), BOX, atol=3)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.parametrize(("name", "options", "_"), FORMS)
def test_a_grey_ramp_keeps_its_values(name: str, options: dict[str, Any], _: float, tmp_path: Path) -> None:
    """Patches of 32 grey levels without evidence, which the overlay must not change."""
    saved = save_hot(tmp_path)
    source = load_video(saved)
    empty = [
        dataclasses.replace(each, volumes={name: 0 * volume for name, volume in each.volumes.items()})
        for each in source.explanations
    ]
    ramp = np.repeat(np.linspace(0, 255, 32).round().astype(np.uint8), 5)
    frames = np.broadcast_to(ramp[None, None, :, None], (4, *SIZE, 3)).copy()
    frames[:, :8] = np.arange(0, 160, 40, dtype=np.uint8)[:, None, None, None]  # frames differ, or GIF joins them
    video = write_video(tmp_path / "video.mp4", frames, fps=Fraction(10))
    assert source.origin is not None
    origin = dataclasses.replace(source.origin, content_hash=sampled_sha256([video]), span_seconds=(0.0, 0.4))
    dataclasses.replace(source, explanations=tuple(empty), origin=origin).save(saved, overwrite=True)
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
    """Compare with the pictures of golden/make.py; text differs a little between FreeType versions."""
    options: dict[str, Any] = {"style": style, "strip": style in {"overlay", "side-by-side"}, "height": 256}
    render(saved, tmp_path / "poster.png", **options)
    drawn = opened(tmp_path / "poster.png").astype(int)
    golden = opened(GOLDEN / f"{style}.png").astype(int)
    assert drawn.shape == golden.shape
    assert np.abs(drawn - golden).mean() < 1.0
    assert (np.abs(drawn - golden).max(axis=2) > 8).mean() < 0.02


def test_opacity_grows_with_the_evidence_and_is_zero_without(saved: Path, tmp_path: Path) -> None:
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


def test_only_the_strip_and_the_margin_enlarge_the_frame(saved: Path, tmp_path: Path) -> None:
    sizes: dict[str, tuple[int, int]] = {}
    each: dict[str, dict[str, Any]] = {"plain": {}, "strip": {"strip": True}, "margin": {"captions": "margin"}}
    for name, options in each.items():
        render(saved, tmp_path / f"{name}.mp4", **options)
        with open_video(tmp_path / f"{name}.mp4") as reader:
            sizes[name] = reader.info.size
    assert sizes["plain"] == SIZE
    assert sizes["strip"] == (SIZE[0] + strip_height(SIZE), SIZE[1])
    assert sizes["margin"][0] > SIZE[0]
    assert sizes["margin"][0] % 2 == 0
    assert sizes["margin"][1] == SIZE[1]


def test_a_margin_leaves_every_pixel_of_the_frame(saved: Path, tmp_path: Path) -> None:
    for style, name in (("overlay", "p.png"), ("side-by-side", "s.png")):
        render(saved, tmp_path / name, style=style, captions="margin")
        render(saved, tmp_path / f"bare-{name}", style=style, captions="none")
    picture, bare = opened(tmp_path / "p.png"), opened(tmp_path / "bare-p.png")
    np.testing.assert_array_equal(picture[: SIZE[0]], bare)
    grid, bare = opened(tmp_path / "s.png"), opened(tmp_path / "bare-s.png")
    rows, (height, width) = bare.shape[0] // SIZE[0], SIZE
    margin = grid.shape[0] // rows - height
    assert margin > 0
    for row in range(rows):
        cells = grid[row * (height + margin) :][: height + margin]
        np.testing.assert_array_equal(cells[:height], bare[row * height : (row + 1) * height])
        assert cells[height:, :width].max() == 255


def test_a_part_in_another_height(saved: Path, tmp_path: Path) -> None:
    result = render(saved, tmp_path / "p.mp4", height=64, start=0.3, end=0.6)
    _, seconds, end = read(tmp_path / "p.mp4")
    with open_video(tmp_path / "p.mp4") as reader:
        assert reader.info.size == (64, 80)
    inside = PTS[(PTS >= 0.28 - 1e-9) & (PTS < 0.6)]
    assert result.frames == inside.size
    np.testing.assert_allclose(seconds, inside - inside[0], atol=1e-9)
    assert end == pytest.approx(0.6 - inside[0], abs=1e-3)


def test_side_by_side_labels_all_explained_maps(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = captions_drawn(monkeypatch)
    render(saved, tmp_path / "p.png", style="side-by-side", height=256)
    assert said[0].rows == (Row("source"),)
    assert {caption.method for caption in said[1:]} == {"gradcam", "gradcam++"}
    assert {caption.rows[0].label for caption in said[1:]} == {"running", "jumping"}


def test_the_sheet_has_the_audit_of_the_saved_maps(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets, video = sheets_drawn(monkeypatch), load_video(saved)
    noted = tuple(dataclasses.replace(each, notes=("Do not believe it.",)) for each in video.explanations)
    other = saved.with_name("noted.npz")
    dataclasses.replace(video, explanations=noted).save(other)
    try:
        assert render(other, tmp_path / "s.png", form="sheet", targets=("running",)).frames == 5
    finally:
        other.unlink()
    assert sheets[0].remarks[0] == "Do not believe it."
    (row,) = sheets[0].blocks[0].rows
    assert row.name == "gradcam"
    assert "gradcam++" in row.note
    assert opened(tmp_path / "s.png").shape[1] == 1800


def test_maps_of_clips_are_refused(tmp_path: Path, saved: Path) -> None:
    load_video(saved).explanations[0].save(tmp_path / "clips.npz")
    with pytest.raises(MediaError, match=r"clips\.npz explains clips, not a video"):
        render(tmp_path / "clips.npz", tmp_path / "a.mp4")


def test_sound_goes_with_the_picture(tmp_path: Path) -> None:
    saved = save_hot(tmp_path, sound=click(0.5, 1.0))
    for name in ("a.mp4", "a.webm"):
        render(saved, tmp_path / name)
        assert click_seconds(tmp_path / name) == pytest.approx(0.5, abs=0.03)
    render(saved, tmp_path / "still.mp4", sound=False)
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


def test_a_missing_hardware_encoder_is_reported(saved: Path, tmp_path: Path) -> None:
    result = render(saved, tmp_path / "p.mp4", **BARE, encoder="h264_videotoolbox", end=0.2)
    if result.notes:  # there is none but on a Mac
        assert result.notes == ("h264_videotoolbox does not work here (not in this FFmpeg); libx264 is used instead",)
