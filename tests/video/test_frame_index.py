"""Time stamps from packets alone equal those of a full decode; times that cannot be meant are left out, and said."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.odd import greys, h264
from tests.helpers.videos import TIME_BASE, flat_frames, frame_index_of, hide_beginning, noise_frames, write_video
from vidcam.errors import MediaError
from vidcam.sampling import plan_windows
from vidcam.video import open_video
from vidcam.video.encoders import encoder_of
from vidcam.video.frame_index import _in_order, find_skips, usual_step
from vidcam.video.writer import VideoWriter

B_FRAMES = {"bf": "3", "g": "6", "b-adapt": "0", "sc_threshold": "0", "preset": "veryfast"}

KINDS = {
    "h264.mp4": ("libx264", "yuv420p", B_FRAMES),
    "h264.mkv": ("libx264", "yuv420p", B_FRAMES),
    "h264.ts": ("libx264", "yuv420p", B_FRAMES),
    "raw.h264": ("libx264", "yuv420p", B_FRAMES),
    "mpeg4.avi": ("mpeg4", "yuv420p", {"bf": "2", "g": "6"}),
    "mpeg4.mp4": ("mpeg4", "yuv420p", {"bf": "2", "g": "6"}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "animation.gif": ("gif", "rgb8", {}),
    "vp8.webm": ("libvpx", "yuv420p", {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "realtime"}),
}


def decoded_seconds(path: Path) -> list[Fraction]:
    """The oracle: decode everything, sort, count from the first."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stamps = sorted(frame.pts for frame in container.decode(stream) if frame.pts is not None)
        return [(stamp - stamps[0]) * (stream.time_base or Fraction(0)) for stamp in stamps]


@pytest.mark.parametrize("name", KINDS)
def test_times_are_those_of_decoding(tmp_path: Path, name: str) -> None:
    codec, pixel_format, options = KINDS[name]
    path = write_video(
        tmp_path / name,
        noise_frames(20),
        codec=codec,
        pixel_format=pixel_format,
        options=options,
        time_base=Fraction(1, 25),
    )
    frame_index = frame_index_of(path)
    np.testing.assert_allclose(frame_index.seconds(), np.arange(20) / 25, rtol=0, atol=1e-12)
    assert frame_index.duration() == Fraction(20, 25)
    if name != "raw.h264":  # has no time stamps
        assert frame_index.seconds().tolist() == [float(seconds) for seconds in decoded_seconds(path)]


def test_seconds_are_whole_ticks(tmp_path: Path) -> None:
    ticks = [1001 * index for index in range(10)]
    path = write_video(tmp_path / "a.mp4", noise_frames(10), ticks=ticks, time_base=Fraction(1, 30_000))
    frame_index = frame_index_of(path)
    assert frame_index.time_base == Fraction(1, 30_000)
    assert frame_index.ticks.tolist() == ticks
    assert frame_index.seconds().tolist() == [tick / 30_000 for tick in ticks]


def test_key_frames_of_every_group_are_known(tmp_path: Path) -> None:
    options = {**B_FRAMES, "x264-params": "open-gop=0:scenecut=0"}
    path = write_video(tmp_path / "a.mp4", noise_frames(20), codec="libx264", pixel_format="yuv420p", options=options)
    assert (frame_index_of(path).key_ticks // 512).tolist() == [0, 6, 12, 18]


def test_out_of_order_times_forbid_seeking(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "raw.h264", noise_frames(12), codec="libx264", pixel_format="yuv420p", options=B_FRAMES
    )
    frame_index = frame_index_of(path)
    assert frame_index.is_counted
    assert not frame_index.key_ticks.size


def test_hidden_by_an_edit_list(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4", flat_frames(range(0, 200, 10)), codec="libx264", pixel_format="yuv420p", options=B_FRAMES
    )
    frame_index = frame_index_of(str(hide_beginning(path, 4 * 512)))
    assert frame_index.ticks.size == 16
    assert frame_index.seconds().tolist() == [float(seconds) for seconds in decoded_seconds(path)]


@pytest.mark.parametrize(
    ("decoded", "ticks", "is_counted"),
    [
        ([0, 1, 2], [0, 1, 2], True),
        ([1, 2, 4, 3, 5], [1, 2, 3, 4, 5], True),  # packed B-frames: merely sorted
        ([0, 1, 1, 2], [0, 1, 2], False),
        ([0, 3, 1, 3, 4], [0, 3, 4], False),
        ([], [], True),
    ],
)
def test_in_order(decoded: list[int], ticks: list[int], is_counted: bool) -> None:
    found, is_found_counted = _in_order(np.array(decoded, np.int64))
    assert found.tolist() == ticks
    assert is_found_counted == is_counted


def test_nothing_decodable(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.avi",
        noise_frames(5),
        codec="mpeg4",
        pixel_format="yuv420p",
        options={},
        time_base=Fraction(1, 25),
    )
    content = path.read_bytes()
    start, end = content.index(b"movi"), content.index(b"idx1")
    path.write_bytes(content[: start + 12] + bytes(end - start - 12) + content[end:])
    with pytest.raises(MediaError, match=r"no frame of .* can be decoded|cannot be read as video"):
        frame_index_of(path)


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_the_last_frame_of_uneven_times_ends_where_the_container_says(codec: str, tmp_path: Path) -> None:
    """FFmpeg guesses the durations of VP9 packets in MP4 where they are not all the same."""
    frames, ticks = flat_frames([30, 60, 90, 120]), [0, 512, 768, 2304]
    path, unit = tmp_path / "video.mp4", float(TIME_BASE)
    with VideoWriter(
        path,
        size=(32, 32),
        fps=Fraction(25),
        time_base=TIME_BASE,
        duration_seconds=5304 * unit,
        encoder=encoder_of(codec),
    ) as writer:
        for frame, tick in zip(frames, ticks, strict=True):
            writer.write(frame, tick * unit)
    frame_index = frame_index_of(path)
    assert frame_index.ticks.tolist() == ticks
    assert frame_index.end_tick == 5304


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
        [0.04] * 3000 + [900],  # a quarter of an hour of damage in two minutes of video
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
