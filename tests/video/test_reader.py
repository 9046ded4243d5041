"""Exact frames at exact times, in any order of access."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.clips import frames_of
from tests.helpers.videos import LOSSLESS_RGB, Frames, click, flat_frames, frame_index_of, noise_frames, write_video
from vidcam.errors import MediaError, ShapeError
from vidcam.media import Seconds
from vidcam.video import open_video, probe
from vidcam.video.pyav_reader import PyAVReader

COUNT = 60


@dataclass(frozen=True)
class SampleVideo:
    path: Path
    frames: Frames
    pts_seconds: Seconds


VARIABLE = np.cumsum([0, *np.random.default_rng(7).integers(100, 1500, COUNT - 1)]).tolist()
CONSTANT = [512 * index for index in range(COUNT)]
GROUPS = {**LOSSLESS_RGB, "preset": "veryfast", "g": "10", "bf": "3", "sc_threshold": "0"}

VIDEOS: dict[str, tuple[str, dict[str, str], Sequence[int]]] = {
    "constant": ("a.mp4", LOSSLESS_RGB, CONSTANT),
    "variable": ("a.mp4", LOSSLESS_RGB, VARIABLE),
    "b-frames": ("a.mp4", GROUPS, CONSTANT),
    "variable b-frames": ("a.mp4", GROUPS, VARIABLE),
    "late start": ("a.mp4", GROUPS, [tick + 5120 for tick in CONSTANT]),
    "matroska": ("a.mkv", GROUPS, [tick + 5120 for tick in CONSTANT]),
    "transport stream": ("a.ts", GROUPS, CONSTANT),
}


@pytest.fixture(scope="module", params=VIDEOS)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SampleVideo:
    name, options, ticks = VIDEOS[request.param]
    frames = noise_frames(COUNT)
    path = write_video(tmp_path_factory.mktemp("video") / name, frames, ticks=ticks, options=options)
    return SampleVideo(path, frames, (np.array(ticks) - ticks[0]) / 12_800)


def displayed(video: SampleVideo, seconds: float) -> int:
    """Reference: the last frame that is not later than `seconds`, by a plain loop."""
    index = 0
    while index + 1 < COUNT and video.pts_seconds[index + 1] <= seconds:
        index += 1
    return index


def test_info(video: SampleVideo) -> None:
    info = probe(video.path)
    assert info.path == str(video.path)
    assert (info.size, info.rotation_degrees, info.codec, info.pixel_format) == ((24, 32), 0, "h264", "gbrp")
    assert info.frame_count == COUNT
    assert not info.has_audio
    np.testing.assert_allclose(info.pts_seconds, video.pts_seconds, rtol=0, atol=1e-9)
    assert info.fps == pytest.approx(COUNT / info.duration_seconds, rel=1e-3)


def test_every_frame_is_exact(video: SampleVideo) -> None:
    with open_video(video.path) as reader:
        count = 0
        for (pts, frame), expected, time in zip(reader.frames(), video.frames, reader.info.pts_seconds, strict=True):
            assert pts == time
            np.testing.assert_array_equal(frame, expected)
            count += 1
    assert count == COUNT


def test_intervals_are_half_open(video: SampleVideo) -> None:
    with open_video(video.path) as reader:
        times = reader.info.pts_seconds
        for start, end in [(0, 1), (13, 14), (20, 45), (59, 60), (7, 7), (10, 11)]:
            end_seconds = times[end] if end < COUNT else None
            pairs = list(reader.frames(times[start], end_seconds))
            assert [pts for pts, _ in pairs] == times[start:end].tolist()
            for (_, frame), expected in zip(pairs, video.frames[start:end], strict=True):
                np.testing.assert_array_equal(frame, expected)
        assert not list(reader.frames(times[-1] + 1))
        assert len(list(reader.frames(-5.0, 1e9))) == COUNT


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_random_times_equal_sequential_reading(video: SampleVideo, seed: int) -> None:
    generator = np.random.default_rng(seed)
    with open_video(video.path) as reader:
        end = reader.info.duration_seconds
        for _ in range(5):
            seconds = np.sort(generator.uniform(-0.1, end + 0.2, generator.integers(1, 9)))
            for time, (pts, frame) in zip(seconds, reader.frames_at(seconds), strict=True):
                index = displayed(video, time)
                assert pts == reader.info.pts_seconds[index]
                np.testing.assert_array_equal(frame, video.frames[index])


def test_a_frame_starts_exactly_at_its_time_stamp(video: SampleVideo) -> None:
    with open_video(video.path) as reader:
        times = reader.info.pts_seconds
        assert [pts for pts, _ in reader.frames_at(times)] == times.tolist()
        before = np.nextafter(times[1:], -1)
        assert [pts for pts, _ in reader.frames_at(before)] == times[:-1].tolist()


def test_scattered_and_repeated_times(video: SampleVideo) -> None:
    order = [0, 2, 2, 18, 31, 31, 59]
    with open_video(video.path) as reader:
        frames, stamps = frames_of(reader, reader.info.pts_seconds[order])
        np.testing.assert_array_equal(frames, video.frames[order])
        assert stamps.tolist() == reader.info.pts_seconds[order].tolist()


def test_interleaved_readings_are_independent(video: SampleVideo) -> None:
    with open_video(video.path) as reader:
        first, second = reader.frames(), reader.frames(reader.info.pts_seconds[30])
        for index in range(20):
            np.testing.assert_array_equal(next(first)[1], video.frames[index])
            np.testing.assert_array_equal(next(second)[1], video.frames[30 + index])


@pytest.fixture
def short(tmp_path: Path) -> Path:
    return write_video(tmp_path / "short.mp4", noise_frames(12))


def test_repeated_frame_is_the_same_array(short: Path) -> None:
    with open_video(short) as reader:
        frames = [frame for _, frame in reader.frames_at(np.array([0.0, 0.01, 0.05, 0.05, 9.0, 10.0]))]
    assert frames[0] is frames[1]
    assert frames[1] is not frames[2]
    assert frames[2] is frames[3]
    assert frames[4] is frames[5]


def test_frames_are_released(short: Path) -> None:
    with open_video(short) as reader:
        references: list[weakref.ref[Frames]] = []
        for _, frame in reader.frames():
            references.append(weakref.ref(frame))
            assert sum(reference() is not None for reference in references) <= 2


def test_probing_does_not_decode_the_video(short: Path) -> None:
    with PyAVReader(short) as reader:
        assert reader._idle[0].decoded_count == 1


def test_stopping_in_the_middle(short: Path) -> None:
    with open_video(short) as reader:
        next(reader.frames())
        frames = reader.frames()
        next(frames)
        frames.close()  # type: ignore[attr-defined]
        assert len(list(reader.frames())) == 12
    reader.close()


def test_an_open_reading_continues_after_the_reader_is_closed(short: Path) -> None:
    reader = PyAVReader(short)
    frames = reader.frames()
    next(frames)
    reader.close()
    assert len(list(frames)) == 11
    assert not reader._idle


def test_closed_reader(short: Path) -> None:
    with open_video(short) as reader:
        pass
    with pytest.raises(MediaError, match="is closed; call open_video again"):
        next(reader.frames())


def test_repr_of_a_reader(short: Path) -> None:
    with open_video(short) as reader:
        assert repr(reader).startswith("PyAVReader(VideoInfo(path=")


def test_single_frame(tmp_path: Path) -> None:
    frames = noise_frames(1)
    with open_video(write_video(tmp_path / "a.mp4", frames)) as reader:
        assert reader.info.frame_count == 1
        assert reader.info.duration_seconds == 0.04
        np.testing.assert_array_equal(next(reader.frames_at(np.array([3.0])))[1], frames[0])


def test_packed_b_frames_in_avi_come_in_order(tmp_path: Path) -> None:
    values = list(range(20, 220, 10))
    path = write_video(
        tmp_path / "a.avi",
        flat_frames(values),
        codec="mpeg4",
        pixel_format="yuv420p",
        options={"bf": "2", "g": "6", "qmin": "1", "qmax": "2"},
        time_base=Fraction(1, 25),
    )
    with open_video(path) as reader:
        levels = [int(frame.mean().round()) for _, frame in reader.frames()]
        np.testing.assert_allclose(levels, values, atol=3)
        for index in (15, 3, 19, 8):
            _, frame = next(reader.frames_at(reader.info.pts_seconds[[index]]))
            assert int(frame.mean().round()) == levels[index]


def test_has_audio(tmp_path: Path) -> None:
    assert probe(write_video(tmp_path / "a.mp4", noise_frames(5), sound=click(0.1, 0.2))).has_audio


@pytest.mark.parametrize("fps", [Fraction(30_000, 1001), Fraction(25), Fraction(15)])
def test_the_nominal_frame_rate_is_preferred(tmp_path: Path, fps: Fraction) -> None:
    path = write_video(tmp_path / "a.mkv", noise_frames(31), fps=fps)  # whole milliseconds
    assert probe(path).fps == fps


def test_variable_frame_rate_is_the_mean(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise_frames(3), ticks=[0, 12_800, 14_080], fps=Fraction(10))
    info = probe(path)
    assert info.fps == Fraction(3) / Fraction(info.duration_seconds).limit_denominator(10_000)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        ([1.0, 0.5], "seconds must not decrease"),
        ([], r"seconds must be \(T,\) with T >= 1"),
        ([[0.0]], r"seconds must be \(T,\)"),
        ([np.nan], "finite"),
    ],
)
def test_bad_times(short: Path, seconds: object, message: str) -> None:
    with open_video(short) as reader, pytest.raises(ShapeError, match=message):
        reader.frames_at(np.array(seconds, np.float64))


def test_unusable_files(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        open_video(tmp_path / "none.mp4")
    with pytest.raises(MediaError, match="is a folder"):
        probe(tmp_path)


def test_two_readings_in_two_threads(tmp_path: Path) -> None:
    frames = noise_frames(40)
    path = write_video(tmp_path / "a.mp4", frames)
    with open_video(path) as reader, ThreadPoolExecutor(2) as pool:
        readings = pool.map(lambda start: [frame for _, frame in reader.frames(start)], [0.0, 0.4])
        for reading, expected in zip(readings, [frames, frames[10:]], strict=True):
            np.testing.assert_array_equal(np.stack(reading), expected)


def test_no_frame_at_the_expected_times(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame_index = frame_index_of(short)
    monkeypatch.setattr(
        "vidcam.video.pyav_reader.read_frame_index",
        lambda _: (replace(frame_index, ticks=frame_index.ticks[:3] - 1), None),
    )
    with pytest.raises(MediaError, match=r"no frame of .* can be decoded"):
        open_video(short)


def test_undecodable_first_frame(short: Path) -> None:
    content = short.read_bytes()
    start = content.index(b"mdat") + 4
    size = int.from_bytes(content[start - 8 : start - 4], "big") - 8
    short.write_bytes(content[:start] + b"\x00" * size + content[start + size :])
    with pytest.raises(MediaError, match=r"no frame of .* can be decoded"):
        open_video(short)
