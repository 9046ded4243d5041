"""Frames of a size that cannot be meant are refused before memory is taken for them."""

from __future__ import annotations

import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.mutations import sample
from tests.helpers.odd import anamorphic, greys
from tests.helpers.videos import write_video
from vidcam.errors import MediaError
from vidcam.video import open_video
from vidcam.video.limits import is_reasonable, require_reasonable


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), True),
        ((1, 1), True),
        ((1, 100), True),
        ((4320, 7680), True),
        ((8192, 8192), True),
        ((1, 101), False),
        ((101, 1), False),
        ((8192, 8193), False),
        ((200, 16_385), False),
        ((65535, 65535), False),
    ],
)
def test_is_reasonable(size: tuple[int, int], expected: bool) -> None:
    assert is_reasonable(size) is expected


def test_the_message() -> None:
    expected = (
        "the frames of 'a' claim to be 3000×20 pixels, expected at most 67 million, 16384 a side and 100:1; the file"
    )
    with pytest.raises(MediaError, match=re.escape(expected)):
        require_reasonable("a", (20, 3000))


def test_a_gif_that_claims_too_many_pixels(tmp_path: Path) -> None:
    content = bytearray(sample("animation.gif").content)
    content[6:10] = struct.pack("<HH", 12_000, 12_000)
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(MediaError, match="claim to be 12000×12000 pixels"):
        open_video(tmp_path / "a.gif")


def test_a_strip_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", greys(2, 2, 300), codec="ffv1", pixel_format="yuv420p", options={})
    with pytest.raises(MediaError, match="claim to be 300×2 pixels"):
        open_video(path)


def test_pixels_that_are_not_square_count_as_shown(tmp_path: Path) -> None:
    from fractions import Fraction

    path = anamorphic(tmp_path / "a.mp4", Fraction(4), greys(2, 8, 400))
    with pytest.raises(MediaError, match="claim to be 1600×8 pixels"):
        open_video(path)


def test_an_image_that_claims_too_much_is_like_a_damaged_one(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(greys(1)[0]).save(tmp_path / f"{index}.png")
    content = bytearray((tmp_path / "1.png").read_bytes())
    content[16:24] = struct.pack(">II", 32, 2_000_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "1.png").write_bytes(content)
    with open_video(tmp_path, fps=None) as reader:
        tracemalloc.start()
        frames = [frame for _, frame in reader.frames()]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1e6
    np.testing.assert_array_equal(frames[1], frames[0])
    assert any("0.040–0.080 s cannot be decoded" in note for note in reader.notes)
