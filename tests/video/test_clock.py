"""Times that cannot be meant are left out, and said; times that can stay as they are."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.odd import greys, h264
from tests.helpers.videos import write_video
from vidcam.errors import MediaError
from vidcam.sampling import plan_windows
from vidcam.video import open_video
from vidcam.video.clock import find_skips, usual_step

MILLISECOND = Fraction(1, 1000)
NOTE = r"claims? to be displayed for up to .* s, which cannot be meant; .* s of standing still are left out"


def skipped(*distances: int, step: int = 40, time_base: Fraction = MILLISECOND) -> list[int]:
    """How much of each frame's display is left out."""
    ends = np.cumsum(distances)
    found = dict(find_skips(ends - np.array(distances), int(ends[-1]), step, time_base))
    return [found.get(int(end), 0) for end in ends]


@pytest.mark.parametrize(
    "seconds",
    [
        [0.04] * 20,
        [55, 0.04, 0.04],  # a title
        [90, 200, 300, 120],  # slides
        [120] * 20,  # one picture every two minutes
        [0.04] * 3000 + [900],  # a quarter of an hour of damage in two minutes of film
        [599] * 3,
    ],
)
def test_what_can_be_meant_stays(seconds: list[float]) -> None:
    assert not any(skipped(*(round(1000 * length) for length in seconds)))


@pytest.mark.parametrize(
    ("seconds", "left"),
    [
        ([0.04, 1e9, 0.04], [0.04, 0.04, 0.04]),
        ([0.04, 0.04, 70], [0.04, 0.04, 0.04]),
        ([0.04, 700, 0.04, 1e6], [0.04, 0.04, 0.04, 0.04]),
        ([1e6] * 5, [0.04] * 5),
        ([500], [0.04]),
    ],
)
def test_what_cannot_be_meant_lasts_one_step(seconds: list[float], left: list[float]) -> None:
    distances = np.array([round(1000 * length) for length in seconds])
    np.testing.assert_array_equal(distances - skipped(*distances.tolist()), np.round(1000 * np.array(left)))


def test_a_step_that_is_itself_too_long_is_replaced() -> None:
    assert skipped(512, step=512, time_base=Fraction(1)) == [511]


@pytest.mark.parametrize(
    ("rate", "step"), [(Fraction(50), 20), (None, 40), (Fraction(0), 40), (Fraction(-1), 40), (Fraction(1, 10**6), 40)]
)
def test_usual_step(rate: Fraction | None, step: int) -> None:
    assert usual_step("a.mp4", rate, MILLISECOND) == step


def test_a_clock_that_is_too_coarse_is_refused() -> None:
    with pytest.raises(MediaError, match=r"the clock of 'a.avi' ticks every 1e\+07 s, expected at most 600 s"):
        usual_step("a.avi", Fraction(25), Fraction(10**7))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_jump_of_days_is_closed(tmp_path: Path, name: str) -> None:
    ticks = [512 * index + (10_000 * 12_800 if index >= 8 else 0) for index in range(12)]
    path = h264(tmp_path / name, greys(12), ticks=ticks)
    with open_video(path) as reader:
        np.testing.assert_allclose(reader.info.pts_seconds, np.arange(12) / 25, rtol=0, atol=2e-3)
        assert reader.info.duration_seconds == pytest.approx(12 / 25, abs=2e-3)
        assert len(plan_windows(reader.info, frames=8, fps=Fraction(25, 2))) == 1
        levels = [int(np.median(frame)) for _, frame in reader.frames()]
        late = next(iter(reader.frames_at(np.array([10 / 25]))))
    assert np.abs(np.array(levels) - greys(12)[:, 0, 0, 0]).max() <= 3
    assert abs(int(np.median(late[1])) - int(greys(12)[10, 0, 0, 0])) <= 3
    assert len(reader.notes) == 1
    assert re.search(NOTE, reader.notes[0])


def test_a_damaged_rate_of_an_avi_is_refused(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.avi", greys(12), codec="mjpeg", pixel_format="yuvj420p", options={}, time_base=Fraction(1, 25)
    )
    content = bytearray(path.read_bytes())
    place = content.index(b"strh") + 28  # scale, then rate: the frames' rate is rate / scale
    content[place : place + 8] = struct.pack("<II", 0x7FFFFFFF, 25)
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"the clock of .* ticks every"):
        open_video(path)
