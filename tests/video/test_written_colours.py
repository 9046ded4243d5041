"""Sizes and colours of written videos, read back: even and odd sizes, all codecs."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.videos import Frames, smooth_colours
from vidcam.video import VideoWriter, open_video
from vidcam.video.encoders import software_encoder


def write_and_read(path: Path, frames: Frames, encoder: str) -> Frames:
    lossy = software_encoder(encoder, quality=1)
    tick = Fraction(1, 25)
    with VideoWriter(path, size=frames.shape[1:3], fps=1 / tick, time_base=tick, encoder=lossy) as writer:
        for index, frame in enumerate(frames):
            writer.write(frame, index / 25)
    with open_video(path) as reader:
        return np.stack([frame for _, frame in reader.frames()])


def largest_inner_error(decoded: Frames, frames: Frames) -> int:
    """Leave the outermost pixels out: beyond the last chroma sample its colour is repeated, half a pixel off."""
    return int(np.abs(decoded.astype(int) - frames)[:, 1:-1, 1:-1].max())


@pytest.mark.parametrize("size", [(80, 121), (81, 120), (81, 121), (80, 120)])
@pytest.mark.parametrize(("name", "ending"), [("libvpx-vp9", "webm"), ("libvpx-vp9", "mp4"), ("libsvtav1", "mp4")])
def test_an_odd_size_is_kept(tmp_path: Path, name: str, ending: str, size: tuple[int, int]) -> None:
    frames = smooth_colours(*size)[None].repeat(3, axis=0)
    decoded = write_and_read(tmp_path / f"a.{ending}", frames, name)
    assert decoded.shape == frames.shape
    assert largest_inner_error(decoded, frames) <= 3


@pytest.mark.parametrize("name", ["libx264", "libx265"])
@pytest.mark.parametrize("size", [(80, 121), (81, 120), (81, 121), (80, 120)])
def test_h264_and_hevc_store_an_even_size(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    frames = smooth_colours(*size)[None].repeat(3, axis=0)
    decoded = write_and_read(tmp_path / "a.mp4", frames, name)
    assert decoded.shape == (3, size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert largest_inner_error(decoded[:, : size[0], : size[1]], frames) <= 3


@pytest.mark.parametrize("name", ["libx264", "libx265"])
def test_colours_are_read_at_the_place_where_they_were_written(tmp_path: Path, name: str) -> None:
    """H.264 without a tag is read half a pixel to the side, which is 5 levels of this wave of blue."""
    blue = 74 * np.sin(np.arange(120) / 7.6)
    frames = np.round(128 + blue[:, None] * (0.0, -0.1, 1.0)).astype(np.uint8)[None, None].repeat(80, axis=1)
    decoded = write_and_read(tmp_path / "a.mp4", frames.repeat(3, axis=0), name)
    assert largest_inner_error(decoded, frames) <= 3
