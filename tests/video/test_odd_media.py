"""Unusual but valid files: all frames are read, in order, upright, at their times."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.clips import frames_of
from tests.helpers.odd import COUNT, ODD, VARIABLE, anamorphic, h264, level
from tests.helpers.videos import Frames, noise_frames
from vidcam.media import VideoInfo
from vidcam.video import open_video, probe

DISPLAYED_SIZES = {
    "rotated-90.mp4": (64, 48),
    "rotated-180.mp4": (48, 64),
    "rotated-270.mov": (64, 48),
    "anamorphic.mp4": (48, 80),
    "anamorphic.mkv": (48, 80),
    "anamorphic-rotated.mp4": (80, 48),
    "odd-size.mp4": (47, 33),
    "no-duration.mkv": (48, 64),
    "no-count.mp4": (48, 64),
    "no-times.h264": (48, 64),
    "open-gop.mp4": (48, 64),
    "open-gop.ts": (48, 64),
    "b-frames.mp4": (48, 64),
    "b-frames.avi": (48, 64),
    "animation.gif": (48, 64),
    "mjpeg.avi": (48, 64),
    "vp8.webm": (48, 64),
    "vp9.webm": (48, 64),
    "av1.mp4": (48, 64),
    "mpeg1.mpg": (48, 64),
    "mpeg2.mpg": (48, 64),
    "mpeg2.ts": (48, 64),
    "prores.mov": (48, 64),
    "ten-bit.mp4": (48, 64),
    "grey.mkv": (48, 64),
    "tiny.mp4": (8, 8),
    "portrait.mp4": (128, 72),
}


def read_levels(path: Path) -> tuple[VideoInfo, list[float]]:
    with open_video(path) as reader:
        levels = [float(frame.mean()) for _, frame in reader.frames()]
        assert reader.notes == ()
        assert reader.readable_seconds == ((0.0, reader.info.duration_seconds),)
        return reader.info, levels


@pytest.mark.parametrize("name", DISPLAYED_SIZES)
def test_every_frame_at_its_time(tmp_path: Path, name: str) -> None:
    path = ODD[name](tmp_path / name)
    info, levels = read_levels(path)
    assert info.size == DISPLAYED_SIZES[name]
    np.testing.assert_allclose(levels, [level(index) for index in range(COUNT)], atol=2)
    np.testing.assert_allclose(info.pts_seconds, np.arange(COUNT) / 25, atol=1e-3)
    assert info.duration_seconds == pytest.approx(COUNT / 25, abs=2e-3)
    assert float(info.fps) == pytest.approx(25, rel=1e-3)


@pytest.mark.parametrize("name", DISPLAYED_SIZES)
def test_random_access_gives_the_same_frames(tmp_path: Path, name: str) -> None:
    order = np.random.default_rng(1).permutation(COUNT)[:16]
    with open_video(ODD[name](tmp_path / name)) as reader:
        frames, _ = frames_of(reader, reader.info.pts_seconds[order] + 1e-6)
        np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), [level(index) for index in order], atol=2)


def test_variable_rate(tmp_path: Path) -> None:
    info, levels = read_levels(ODD["variable-rate.mp4"](tmp_path / "a.mp4"))
    np.testing.assert_allclose(info.pts_seconds, np.array(VARIABLE) / 12_800, atol=1e-9)
    np.testing.assert_allclose(levels, [level(index) for index in range(COUNT)], atol=2)


def test_an_edit_list_hides_the_beginning(tmp_path: Path) -> None:
    info, levels = read_levels(ODD["edit-list.mp4"](tmp_path / "a.mp4"))
    np.testing.assert_allclose(levels, [level(index) for index in range(4, COUNT)], atol=2)
    np.testing.assert_allclose(info.pts_seconds, np.arange(COUNT - 4) / 25, atol=1e-9)


def test_one_frame(tmp_path: Path) -> None:
    info, levels = read_levels(ODD["one-frame.mp4"](tmp_path / "a.mp4"))
    assert (len(levels), info.duration_seconds) == (1, 0.04)


@pytest.mark.slow
def test_a_4k_video(tmp_path: Path) -> None:
    info, levels = read_levels(ODD["4k.mp4"](tmp_path / "a.mp4"))
    assert info.size == (2160, 3840)
    np.testing.assert_allclose(levels, [level(index) for index in range(4)], atol=2)


@pytest.mark.parametrize("name", ["pq.mp4", "hlg.mp4"])
def test_high_dynamic_range_is_tone_mapped(tmp_path: Path, name: str) -> None:
    info, levels = read_levels(ODD[name](tmp_path / name))
    assert info.frame_count == COUNT
    assert np.all(np.diff(levels) >= 0)
    assert levels[-1] > 250
    code = level(28) / 255  # 132 of 255: below reference white in both curves; read as SDR it would stay a mid tone
    assert levels[28] > 255 * code


def test_transparent_pixels_are_composited_on_black(tmp_path: Path) -> None:
    with open_video(ODD["alpha.mov"](tmp_path / "a.mov")) as reader:
        for index, (_, frame) in enumerate(reader.frames()):
            np.testing.assert_allclose(frame[:24], level(index), atol=1)
            np.testing.assert_allclose(frame[24:], level(index) * 128 / 255, atol=1)


def test_no_key_frame_at_the_start(tmp_path: Path) -> None:
    """The recording starts in the middle of a group of pictures. Frames before the first key frame are lost."""
    with open_video(ODD["no-first-key.ts"](tmp_path / "a.ts")) as reader:
        levels = [float(frame.mean()) for _, frame in reader.frames()]
        assert reader.info.pts_seconds[0] == 0.0
        (note,) = reader.notes
    np.testing.assert_allclose(levels, [level(index) for index in range(20, COUNT)], atol=2)
    assert re.search(r"the first 0\.\d+ s cannot be decoded, because no key frame", note)


# ---- non-square pixels


def stretched(frame: Frames, width: int) -> Frames:
    """Reference: nearest columns of a frame of vertical bars."""
    columns = ((np.arange(width) + 0.5) * frame.shape[1] / width).astype(int)
    return frame[:, columns]


@pytest.mark.parametrize("aspect", [Fraction(64, 51), Fraction(8, 9), Fraction(2, 1), Fraction(1024, 765)])
def test_width_is_scaled_to_square_pixels(tmp_path: Path, aspect: Fraction) -> None:
    bars = np.repeat(np.array([30, 220] * 4, np.uint8), 32)[None, None, :, None]
    frames = np.broadcast_to(bars, (3, 64, 256, 3)).copy()
    with open_video(anamorphic(tmp_path / "a.mp4", aspect, frames)) as reader:
        assert reader.info.size == (64, round(256 * aspect))
        assert reader.info.pixel_aspect == aspect
        _, frame = next(iter(reader.frames()))
    expected = stretched(frames[0], reader.info.size[1])
    flat = np.abs(np.diff(expected[0, :, 0].astype(int), prepend=0, append=0)) == 0
    inside = np.convolve(flat[:-1] & flat[1:], np.ones(5), "same") == 5  # away from the bars' edges
    np.testing.assert_allclose(frame[:, inside], expected[:, inside], atol=4)


@pytest.mark.parametrize("aspect", [Fraction(640, 639), Fraction(80, 81)])
def test_almost_square_pixels_count_as_square(tmp_path: Path, aspect: Fraction) -> None:
    info = probe(anamorphic(tmp_path / "a.mp4", aspect))
    assert (info.size, info.pixel_aspect, info.notes) == ((48, 64), Fraction(1), ())


def test_an_implausible_pixel_aspect_is_ignored(tmp_path: Path) -> None:
    info = probe(anamorphic(tmp_path / "a.mp4", Fraction(10, 1)))
    assert (info.size, info.pixel_aspect) == ((48, 64), Fraction(1))
    assert info.notes == ("the pixel aspect 10:1 is implausible; square pixels are assumed",)


def test_seeking_in_open_gops_is_exact(tmp_path: Path) -> None:
    """Frames that are displayed before a key frame but stored after it are decoded from the previous key frame."""
    path = h264(
        tmp_path / "a.mp4", noise_frames(COUNT, 48, 64), options={"g": "10", "bf": "3", "x264-params": "open-gop=1"}
    )
    with open_video(path) as reader:
        plain = [frame for _, frame in reader.frames()]
        for index in (12, 9, 31, 29, 30, 45, 19, 8, 38):
            _, frame = next(reader.frames_at(reader.info.pts_seconds[[index]]))
            np.testing.assert_array_equal(frame, plain[index])
