"""Time stamps from packets alone equal those of a full decode, in many containers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.videos import TIME_BASE, flat_frames, frame_index_of, hide_beginning, noise_frames, write_video
from vidcam.errors import MediaError
from vidcam.video.encoders import encoder_of
from vidcam.video.frame_index import _in_order
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
    path, unit = tmp_path / "film.mp4", float(TIME_BASE)
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
