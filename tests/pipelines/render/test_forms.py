"""`render` in every form: grey levels, sound, and a missing or different video."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tests.helpers.loading import load_video
from tests.helpers.rendered import BARE, END, FORMS, copied, opened, read, render
from tests.helpers.saved import COUNT, SIZE, grey_video, save_hot, uneven_ticks
from tests.helpers.videos import TIME_BASE, click, click_seconds, flat_frames, write_video
from vidcam.cli.app import main
from vidcam.system.fingerprint import sampled_sha256

Capture = pytest.CaptureFixture[str]
PICTURES: list[tuple[str, dict[str, Any]]] = [
    ("p.png", {}),
    ("p.jpg", {}),
    ("s.png", {"form": "sheet"}),
    ("s.svg", {}),
    ("s.pdf", {}),
]
ALL_FORMS = [*((name, options) for name, options, _ in FORMS), *PICTURES]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_hot(tmp_path_factory.mktemp("saved"))


def saved_for(video: Path, end: float, *, is_empty: bool = False) -> Path:
    """Maps by hand for another video of their size; `video.npz` beside it."""
    npz = save_hot(video.parent)
    source = load_video(npz)
    if is_empty:
        nothing = [
            dataclasses.replace(each, volumes={name: 0 * volume for name, volume in each.volumes.items()})
            for each in source.explanations
        ]
        source = dataclasses.replace(source, explanations=tuple(nothing))
    assert source.origin is not None
    origin = dataclasses.replace(
        source.origin, path=video.name, content_hash=sampled_sha256([video]), span_seconds=(0.0, end)
    )
    dataclasses.replace(source, origin=origin).save(npz, overwrite=True)
    return npz


# ---- colour


RAMP = np.linspace(0, 255, 32).round().astype(np.uint8)
_MPEG, _JPEG = 1, 2


def ramp_video(path: Path, *, matrix: int, colour_range: int) -> Path:
    """Four frames with 32 greys from left to right, stored in a range and tagged so; the upper rows differ."""
    width, greys = SIZE[1] // RAMP.size, RAMP.astype(float)
    luma = np.repeat(greys if colour_range == _JPEG else 16 + greys * 219 / 255, width).round().astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "0"})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.color_range, stream.codec_context.colorspace = colour_range, matrix
        for number in range(4):
            planes = np.full((SIZE[0] * 3 // 2, SIZE[1]), 128, np.uint8)
            planes[: SIZE[0]] = luma
            planes[:8] = 40 + 40 * number  # or GIF joins them
            frame = VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.color_range, frame.colorspace = colour_range, matrix
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("name", "options"), [*((name, options) for name, options, _ in FORMS), *PICTURES[:2]])
@pytest.mark.parametrize("colour_range", [_MPEG, _JPEG], ids=["limited", "full"])
def test_a_grey_ramp_keeps_its_values_in_both_ranges(
    name: str, options: dict[str, Any], colour_range: int, tmp_path: Path
) -> None:
    matrix = 6 if colour_range == _MPEG else 1
    saved = saved_for(ramp_video(tmp_path / "ramp.mp4", matrix=matrix, colour_range=colour_range), 0.4, is_empty=True)
    look = {**BARE, "style": "overlay"}
    place = tmp_path / f"out-{name}"
    render(saved, place, **look, **options)
    frames = [opened(place)] if place.suffix in {".png", ".jpg"} else read(place)[0]
    assert len(frames) in {1, 4}
    for frame in frames:
        middles = frame[16:].reshape(SIZE[0] - 16, RAMP.size, -1, 3)[:, :, 1:-1].astype(float).mean(axis=(0, 2))
        assert np.abs(middles - RAMP[:, None]).max() <= 2.0


# ---- sound


def sounds(path: Path) -> tuple[str, list[bytes]]:
    """The codec of a file's sound and its packets; ('', []) without."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return "", []
        stream = container.streams.audio[0]
        return stream.codec_context.codec.canonical_name, [bytes(p) for p in container.demux(stream) if p.size]


SOUNDS = [
    ("aac", "talk.mp4", "p.mp4", "aac", True),
    ("libmp3lame", "talk.mkv", "p.mp4", "mp3", True),
    ("libopus", "talk.mkv", "p.mp4", "opus", True),
    ("pcm_s16le", "talk.mov", "p.mp4", "aac", False),
    ("libopus", "talk.mkv", "p.webm", "opus", True),
    ("aac", "talk.mp4", "p.webm", "opus", False),
    ("pcm_s16le", "talk.mov", "p.webm", "opus", False),
]


@pytest.mark.parametrize("case", SOUNDS, ids=lambda case: f"{case[0]} {case[2]}")
def test_sound_is_copied_if_the_container_allows_it_else_encoded(
    case: tuple[str, str, str, str, bool], tmp_path: Path
) -> None:
    codec, source, name, expected, is_copied = case
    frames = np.broadcast_to(flat_frames(range(70, 70 + COUNT))[:, :1, :1], (COUNT, *SIZE, 3))
    video = write_video(
        tmp_path / source,
        np.ascontiguousarray(frames),
        ticks=uneven_ticks(COUNT),
        time_base=TIME_BASE,
        codec="libx264",
        pixel_format="yuv420p",
        options={},
        sound=click(0.5, 1.0),
        sound_codec=codec,
    )
    result = render(saved_for(video, END), tmp_path / name, **BARE)
    assert result.notes == ()
    (_, before), (found, after) = sounds(video), sounds(tmp_path / name)
    assert found == expected
    assert (len(after) > 5 and set(after) <= set(before)) is is_copied
    assert click_seconds(tmp_path / name) == pytest.approx(0.5, abs=0.03)
    with av.open(str(tmp_path / name)) as container:
        layout = container.streams.audio[0].codec_context.channels
        assert layout == 1


@pytest.mark.parametrize("name", ["p.mp4", "p.webm"])
def test_encoded_sound_keeps_its_quality(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.2, 48_000).astype(np.float32)
    options: dict[str, Any] = {"codec": "libx264", "pixel_format": "yuv420p", "options": {}}
    frames = np.repeat(np.zeros((1, *SIZE, 3), np.uint8), 25, axis=0)
    video = write_video(tmp_path / "talk.mov", frames, sound=noise, sound_codec="pcm_s16le", **options)
    render(saved_for(video, 1.0), tmp_path / name, **BARE)
    assert 8 * sum(map(len, sounds(tmp_path / name)[1])) > 80_000  # bits of a second


@pytest.mark.parametrize("name", ["p.gif", "p.webp", "folder", "p.png"])
def test_a_form_without_sound_drops_it(name: str, tmp_path: Path) -> None:
    mine = save_hot(tmp_path, sound=click(0.5, 1.0))
    assert render(mine, tmp_path / name, **BARE).notes == ()


# ---- the video between `explain` and `render`


def gone(video: Path) -> None:
    video.unlink()


def changed(video: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(video.read_bytes())
    data[len(data) // 2] ^= 1
    video.write_bytes(data)


def another(video: Path) -> None:
    grey_video(video, count=COUNT - 1)


SAID: dict[Callable[[Path], None], str] = {
    gone: "'video.mp4' is no longer at 'video.mp4'; pass it with --source",
    changed: "is not the explained video (its hash is ",
    another: "is not the explained video (its hash is ",
}


@pytest.mark.parametrize("form", ALL_FORMS, ids=lambda form: f"{form[0]} {form[1]}")
@pytest.mark.parametrize("happen", [gone, changed, another])
def test_a_missing_or_different_video_is_one_sentence(
    happen: Callable[[Path], None], form: tuple[str, dict[str, Any]], saved: Path, tmp_path: Path, capsys: Capture
) -> None:
    (name, options), mine, out = form, copied(saved, tmp_path), tmp_path / "out"
    out.mkdir()
    happen(tmp_path / "video.mp4")
    more: Sequence[str] = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    assert main(["render", str(mine), "-o", str(out / name), *more]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert captured.out == ""
    assert line.startswith("vidcam: error: ")
    assert SAID[happen] in line
    assert list(out.iterdir()) == []


def test_the_test_video_has_uneven_time_stamps() -> None:
    """Else no test here would distinguish a variable frame rate from a constant one."""
    steps = np.diff(uneven_ticks(COUNT + 1)) * float(TIME_BASE)
    assert {Fraction(step).limit_denominator(100) for step in steps} == {Fraction(1, 25), Fraction(2, 25)}
