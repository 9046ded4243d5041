"""Time stamps from packets equal those of a full decode. Implausible time stamps are repaired, with a note."""

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
from vidcam.video.clock import find_jumps, jump_notes
from vidcam.video.encoders import software_encoder
from vidcam.video.frame_index import _in_order, nominal_step
from vidcam.video.writer import VideoWriter

B_FRAMES = {"bf": "3", "g": "6", "b-adapt": "0", "sc_threshold": "0", "preset": "veryfast"}

FORMATS = {
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
    """Reference: decode everything, sort the time stamps, and count from the first."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        ticks = sorted(frame.pts for frame in container.decode(stream) if frame.pts is not None)
        return [(tick - ticks[0]) * (stream.time_base or Fraction(0)) for tick in ticks]


@pytest.mark.parametrize("name", FORMATS)
def test_times_equal_those_of_decoding(tmp_path: Path, name: str) -> None:
    codec, pixel_format, options = FORMATS[name]
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
    if name != "raw.h264":  # it has no time stamps
        assert frame_index.seconds().tolist() == [float(seconds) for seconds in decoded_seconds(path)]


def test_seconds_are_exact_multiples_of_the_time_base(tmp_path: Path) -> None:
    ticks = [1001 * index for index in range(10)]
    path = write_video(tmp_path / "a.mp4", noise_frames(10), ticks=ticks, time_base=Fraction(1, 30_000))
    frame_index = frame_index_of(path)
    assert frame_index.time_base == Fraction(1, 30_000)
    assert frame_index.ticks.tolist() == ticks
    assert frame_index.seconds().tolist() == [tick / 30_000 for tick in ticks]


def test_all_key_frames_are_found(tmp_path: Path) -> None:
    options = {**B_FRAMES, "x264-params": "open-gop=0:scenecut=0"}
    path = write_video(tmp_path / "a.mp4", noise_frames(20), codec="libx264", pixel_format="yuv420p", options=options)
    assert (frame_index_of(path).key_ticks // 512).tolist() == [0, 6, 12, 18]


def test_no_seeking_with_time_stamps_out_of_order(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "raw.h264", noise_frames(12), codec="libx264", pixel_format="yuv420p", options=B_FRAMES
    )
    frame_index = frame_index_of(path)
    assert frame_index.is_matched_by_order
    assert not frame_index.key_ticks.size


def test_an_edit_list_hides_the_first_frames(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mp4", flat_frames(range(0, 200, 10)), codec="libx264", pixel_format="yuv420p", options=B_FRAMES
    )
    frame_index = frame_index_of(str(hide_beginning(path, 4 * 512)))
    assert frame_index.ticks.size == 16
    assert frame_index.seconds().tolist() == [float(seconds) for seconds in decoded_seconds(path)]


@pytest.mark.parametrize(
    ("decoded", "ticks", "is_matched_by_order"),
    [
        ([0, 1, 2], [0, 1, 2], True),
        ([1, 2, 4, 3, 5], [1, 2, 3, 4, 5], True),  # packed B-frames: sorted
        ([0, 1, 1, 2], [0, 1, 2], False),
        ([0, 3, 1, 3, 4], [0, 3, 4], False),
        ([], [], True),
    ],
)
def test_in_order(decoded: list[int], ticks: list[int], is_matched_by_order: bool) -> None:
    ordered, is_matched = _in_order(np.array(decoded, np.int64))
    assert ordered.tolist() == ticks
    assert is_matched == is_matched_by_order


def test_no_decodable_frame(tmp_path: Path) -> None:
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
def test_the_last_frame_ends_at_the_stated_duration(codec: str, tmp_path: Path) -> None:
    """FFmpeg guesses the durations of VP9 packets in MP4 if the frame rate is variable."""
    frames, ticks = flat_frames([30, 60, 90, 120]), [0, 512, 768, 2304]
    path, tick_seconds = tmp_path / "video.mp4", float(TIME_BASE)
    with VideoWriter(
        path,
        size=(32, 32),
        fps=Fraction(25),
        time_base=TIME_BASE,
        duration_seconds=5304 * tick_seconds,
        encoder=software_encoder(codec),
    ) as writer:
        for frame, tick in zip(frames, ticks, strict=True):
            writer.write(frame, tick * tick_seconds)
    frame_index = frame_index_of(path)
    assert frame_index.ticks.tolist() == ticks
    assert frame_index.end_tick == 5304


MILLISECOND = Fraction(1, 1000)


def removed_ticks(*distances: int, step: int = 40, time_base: Fraction = MILLISECOND) -> list[int]:
    """Return how much of each frame's duration is removed."""
    ends = np.cumsum(distances)
    jumps = dict(find_jumps(ends - np.array(distances), int(ends[-1]), step, time_base))
    return [jumps.get(int(end), 0) for end in ends]


@pytest.mark.parametrize(
    "seconds",
    [
        [0.04] * 20,
        [55, 0.04, 0.04],  # a title
        [90, 200, 300, 120],  # slides
        [120] * 20,  # one frame every two minutes
        [0.04] * 3000 + [900],  # a gap of 15 minutes in a video of two minutes
        [599] * 3,
    ],
)
def test_plausible_durations_do_not_change(seconds: list[float]) -> None:
    assert not any(removed_ticks(*(round(1000 * length) for length in seconds)))


@pytest.mark.parametrize(
    ("seconds", "repaired"),
    [
        ([0.04, 1e9, 0.04], [0.04, 0.04, 0.04]),
        ([0.04, 0.04, 70], [0.04, 0.04, 0.04]),
        ([0.04, 700, 0.04, 1e6], [0.04, 0.04, 0.04, 0.04]),
        ([1e6] * 5, [0.04] * 5),
        ([500], [0.04]),
    ],
)
def test_an_implausible_duration_becomes_one_step(seconds: list[float], repaired: list[float]) -> None:
    distances = np.array([round(1000 * length) for length in seconds])
    np.testing.assert_array_equal(distances - removed_ticks(*distances.tolist()), np.round(1000 * np.array(repaired)))


def test_a_nominal_step_that_is_too_long_is_replaced() -> None:
    assert removed_ticks(512, step=512, time_base=Fraction(1)) == [511]


def test_the_note_names_number_and_length_of_the_jumps() -> None:
    assert jump_notes(((5, 90_000),), MILLISECOND) == ("the time stamps jump by 90 s; this jump is removed",)
    expected = "the time stamps jump 2 times, by up to 90 s; these jumps are removed (160 s in all)"
    assert jump_notes(((5, 90_000), (7, 70_000)), MILLISECOND) == (expected,)


@pytest.mark.parametrize(
    ("rate", "step"), [(Fraction(50), 20), (None, 40), (Fraction(0), 40), (Fraction(-1), 40), (Fraction(1, 10**6), 40)]
)
def test_nominal_step(rate: Fraction | None, step: int) -> None:
    assert nominal_step("a.mp4", rate, MILLISECOND) == step


def test_a_time_base_that_is_too_coarse_is_refused() -> None:
    with pytest.raises(MediaError, match=r"the time base of 'a.avi' is 1e\+07 s, the limit is 600 s"):
        nominal_step("a.avi", Fraction(25), Fraction(10**7))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_jump_of_days_is_removed(tmp_path: Path, name: str) -> None:
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
    assert re.fullmatch(r"the time stamps jump by 1e\+04 s; this jump is removed", reader.notes[0])


def test_a_damaged_rate_of_an_avi_is_refused(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.avi", greys(12), codec="mjpeg", pixel_format="yuvj420p", options={}, time_base=Fraction(1, 25)
    )
    content = bytearray(path.read_bytes())
    offset = content.index(b"strh") + 28  # scale, then rate: the frame rate is rate / scale
    content[offset : offset + 8] = struct.pack("<II", 0x7FFFFFFF, 25)
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"the time base of .* is .* s, the limit is 600 s"):
        open_video(path)
