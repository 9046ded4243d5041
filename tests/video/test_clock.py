"""Time stamps that start again, jump or are scrambled: the frames follow each other, and the sound stays with them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream

from tests.helpers.clips import frames_of
from tests.helpers.odd import B_FRAMES, COUNT, GROUP, greys, h264, level
from tests.helpers.videos import click, flat_frames, sound_span, write_video
from tests.video.test_audio import copy_video
from vidcam.media import ClockPiece
from vidcam.video import VideoWriter, open_video
from vidcam.video.clock import SoundClock, unwrap

SECONDS = 2
LEVELS = [20 + 2 * index for index in range(50)]


def part(path: Path, click_at: float, *, first: int = 0, sound_codec: str = "aac") -> Path:
    """Two seconds of a transport stream, of known greys, with a click; the time stamps begin at frame `first`."""
    with av.open(str(path), "w", format="mpegts") as container:
        video = container.add_stream("libx264", rate=25, options=GROUP)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        sound = container.add_stream(sound_codec, rate=48_000, layout="mono")
        assert isinstance(sound, AudioStream)
        samples = click(click_at, SECONDS)[None]
        for index, frame in enumerate(flat_frames(LEVELS, 48, 64)):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = first + index, Fraction(1, 25)
            container.mux(video.encode(picture))
            piece = samples[:, index * 1920 : (index + 1) * 1920].copy()
            heard = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 48_000, (first + index) * 1920, Fraction(1, 48_000)
            if sound_codec == "mp2":
                (heard,) = av.AudioResampler(format="s16", layout="mono", rate=48_000).resample(heard)
            container.mux(sound.encode(heard))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def joined(folder: Path, *parts: tuple[float, int], sound_codec: str = "aac") -> Path:
    paths = [
        part(folder / f"{number}.ts", at, first=first, sound_codec=sound_codec)
        for number, (at, first) in enumerate(parts)
    ]
    whole = folder / "joined.ts"
    whole.write_bytes(b"".join(path.read_bytes() for path in paths))
    return whole


def clicks(path: Path) -> list[float]:
    """The moments of loud sound, by the container's time stamps counted from the first frame."""
    with av.open(str(path)) as container:
        zero = float(next(container.decode(video=0)).time or 0)
    found: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0].astype(np.float64)) > 0.3)
            if loud.size:
                moment = float(frame.time or 0) + loud[0] / frame.sample_rate - zero
                if not found or moment - found[-1] > 0.1:
                    found.append(moment)
    return found


@pytest.mark.parametrize("sound_codec", ["aac", "mp2"])  # copied, and transcoded
@pytest.mark.parametrize(
    ("second", "third", "note"),
    [
        (0, 0, r"the time stamps start again 2 times; the parts are shown one after the other"),
        (7, 3, r"the time stamps start again 2 times; .*"),  # no time stamp repeats
        (400_000, 900_000, r"the time stamps jump 2 times, .*; these jumps are removed .*"),
        (400_000, 5, r"the time stamps start again once; .*"),
    ],
)
def test_sound_and_pictures_go_on_after_a_restart_or_a_jump(
    tmp_path: Path, second: int, third: int, note: str, sound_codec: str
) -> None:
    path = joined(tmp_path, (0.5, 0), (1.0, second), (1.5, third), sound_codec=sound_codec)
    with open_video(path) as reader:
        info = reader.info
        found = [float(frame.mean()) for _, frame in reader.frames()]
        assert any(re.fullmatch(note, said) for said in reader.notes), reader.notes
    np.testing.assert_allclose(info.pts_seconds, np.arange(150) / 25, atol=2e-3)
    np.testing.assert_allclose(found, LEVELS * 3, atol=3)
    out = copy_video(path, tmp_path / "out.mp4")
    assert clicks(out) == pytest.approx([0.5, 3.0, 5.5], abs=0.06)
    assert sound_span(out)[1] == pytest.approx(6, abs=0.1)
    later = copy_video(path, tmp_path / "later.mp4", start_seconds=2.6, end_seconds=5.8)
    assert clicks(later) == pytest.approx([0.4, 2.9], abs=0.06)


def test_a_restart_of_the_sound_alone_stays_in_the_last_piece() -> None:
    """The pictures start again once, the sound twice: there it overlaps itself, and what overlaps is left out."""
    clock = (ClockPiece(Fraction(0), Fraction(2), Fraction(0)), ClockPiece(Fraction(0), Fraction(2), Fraction(2)))
    move = SoundClock(clock)
    stamps = [0.0, 1.0, 1.9, 0.0, 1.0, 0.0]
    assert [float(move(Fraction(stamp))) for stamp in stamps] == pytest.approx([0, 1, 1.9, 2, 3, 2])


def test_sound_that_is_left_out_is_said(tmp_path: Path) -> None:
    """The sound starts again once more than the clock states: that part of it is lost, and it is said."""
    path = joined(tmp_path, (0.5, 0), (1.0, 0), (1.5, 0))
    with open_video(path) as reader:
        clock = reader.info.clock
    said: list[str] = []
    with VideoWriter(
        tmp_path / "out.mp4",
        size=(48, 64),
        fps=Fraction(25),
        time_base=Fraction(1, 25),
        audio_from=path,
        audio_clock=clock[:2],
        on_lost_audio=said.append,
    ) as writer:
        for index, frame in enumerate(greys()):
            writer.write(frame, index / 25)
    (sentence,) = said
    assert re.fullmatch(r"(1\.\d+|2(\.\d+)?) s of the sound are left out, because they overlap .*", sentence)


def test_jumps_are_left_at_the_middle_of_the_gap() -> None:
    clock = (
        ClockPiece(Fraction(0), Fraction(2), Fraction(0)),
        ClockPiece(Fraction(100), Fraction(103), Fraction(-98)),
    )
    move = SoundClock(clock)
    assert [float(move(Fraction(second))) for second in (1, 3, 99, 101)] == [1, 3, 1, 3]


def test_unwrap() -> None:
    ticks = np.array([*range(100, 140), *range(20, 60), *range(40)])
    whole = unwrap(ticks, 1)
    assert (whole.restarts, whole.is_scrambled) == (2, False)
    assert whole.ticks.tolist() == list(range(100, 220))
    assert ticks[40] == 20  # the argument is left as it is
    reordered = np.array([0, 4, 2, 1, 3, 8, 6, 5, 7])
    assert unwrap(reordered, 1).ticks is reordered


# ---- scrambled


def scrambled(path: Path, order: list[int]) -> Path:
    """Frames whose presentation times are permuted; their decoding times are not."""
    plain = h264(path.with_name("plain.mkv"), greys(), options=GROUP)
    options = {"use_editlist": "0"} if path.suffix == ".mp4" else {}
    with av.open(str(plain)) as source, av.open(str(path), "w", container_options=options) as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        stamps = [packet.pts or 0 for packet in packets]
        for index, packet in enumerate(packets):
            packet.pts, packet.dts = stamps[order[index]] + 4000, stamps[index]
            packet.stream = copy
            target.mux(packet)
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
@pytest.mark.parametrize("reach", [8, COUNT])
def test_scrambled_time_stamps(tmp_path: Path, name: str, reach: int) -> None:
    """No frame is lost: they are shown in the order of the file."""
    random = np.random.default_rng(5)
    blocks = [random.permutation(np.arange(begin, min(begin + reach, COUNT))) for begin in range(0, COUNT, reach)]
    path = scrambled(tmp_path / name, np.concatenate(blocks).tolist())
    with open_video(path) as reader:
        found, _ = frames_of(reader, reader.info.pts_seconds + 1e-6)
        levels, notes = found.mean(axis=(1, 2, 3)), reader.notes
        np.testing.assert_allclose(reader.info.pts_seconds, np.arange(COUNT) / 25, atol=2e-3)
    np.testing.assert_allclose(levels, [level(index) for index in range(COUNT)], atol=2)
    said = [note for note in notes if "the time stamps are out of order" in note]
    assert len(said) == 1
    assert not any("cannot be decoded" in note for note in notes)


@pytest.mark.parametrize("options", [GROUP, B_FRAMES, {"g": "50", "bf": "8", "b-adapt": "0", "crf": "10"}])
def test_b_frames_are_not_out_of_order(tmp_path: Path, options: dict[str, str]) -> None:
    for name in ("a.mkv", "a.mp4", "a.ts"):
        with open_video(h264(tmp_path / name, greys(), options=options)) as reader:
            assert (reader.notes, len(reader.info.clock)) == ((), 1)


def test_time_stamps_that_are_too_coarse_are_said(tmp_path: Path) -> None:
    """Matroska counts milliseconds; at 2000 frames a second, pairs of frames have the same time stamp."""
    path = tmp_path / "a.mkv"
    write_video(path, greys(20), codec="ffv1", pixel_format="bgr0", options={}, fps=Fraction(2000))
    with open_video(path) as reader:
        assert "the file states 2000 fps, but its time stamps allow 1000; the video is shown slower" in reader.notes
