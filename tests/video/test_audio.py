"""Audio stays in sync with any container, codec and cut, measured with a click."""

from __future__ import annotations

import logging
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import pytest

from tests.helpers.videos import click, click_seconds, flat_frames, loudness, sound_span, write_video
from vidcam.errors import MediaError
from vidcam.video import VideoWriter, open_video
from vidcam.video.audio import _packets_from

CLICK_SECONDS = 2.5
SAMPLE = 1 / 48_000

# container, audio codec, video codec, audio codec of the output
SOURCES = [
    ("a.mp4", "aac", "libx264", "aac"),
    ("a.mp4", "alac", "libx264", "alac"),
    ("a.mkv", "libopus", "libx264", "opus"),
    ("a.mkv", "flac", "libx264", "flac"),
    ("a.mkv", "ac3", "libx264", "ac3"),
    ("a.ts", "aac", "libx264", "aac"),
    ("a.avi", "libmp3lame", "mpeg4", "mp3"),
    ("a.avi", "pcm_s16le", "mpeg4", "aac"),
    ("a.mov", "pcm_s16le", "libx264", "aac"),
]


def write_source(folder: Path, name: str, sound_codec: str, codec: str, first_tick: int = 0) -> Path:
    (folder / name).write_bytes(encoded(name, sound_codec, codec, first_tick))
    return folder / name


@cache
def encoded(name: str, sound_codec: str, codec: str, first_tick: int) -> bytes:
    with TemporaryDirectory() as folder:
        return encode(Path(folder) / name, sound_codec, codec, first_tick).read_bytes()


def encode(path: Path, sound_codec: str, codec: str, first_tick: int) -> Path:
    return write_video(
        path,
        flat_frames(range(0, 160, 2)),
        ticks=[first_tick + index for index in range(80)],
        codec=codec,
        pixel_format="yuv420p",
        options={},
        time_base=Fraction(1, 25),
        sound=click(CLICK_SECONDS, 3.2),
        sound_codec=sound_codec,
    )


def copy_video(source: Path, path: Path, *, start_seconds: float = 0.0, end_seconds: float | None = None) -> Path:
    """Copy video and audio. The output's zero is the first frame from `start_seconds` on."""
    with open_video(source) as reader:
        info = reader.info
        zero = min(pts for pts in info.pts_seconds.tolist() if pts >= start_seconds)
        with VideoWriter(
            path,
            size=info.size,
            fps=info.fps,
            time_base=info.time_base,
            duration_seconds=(end_seconds or info.duration_seconds) - zero,
            audio_from=source,
            audio_start_seconds=zero,
            audio_end_seconds=end_seconds,
            audio_clock=info.clock,
        ) as writer:
            for pts, frame in reader.frames(zero, end_seconds):
                writer.write(frame, pts - zero)
    return path


def audio_codec_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.codec.canonical_name


@pytest.mark.parametrize("source_format", SOURCES, ids="-".join)
@pytest.mark.parametrize("start_seconds", [0.0, 0.72, 2.0])
def test_sync(tmp_path: Path, source_format: tuple[str, str, str, str], start_seconds: float) -> None:
    name, sound_codec, codec, expected = source_format
    source = write_source(tmp_path, name, sound_codec, codec)
    path = copy_video(source, tmp_path / "out.mp4", start_seconds=start_seconds)
    assert audio_codec_of(path) == expected
    # Matroska's time base is a millisecond.
    tolerance = 0.001 if name.endswith("mkv") else 2 * SAMPLE
    with open_video(source) as reader:
        zero = min(pts for pts in reader.info.pts_seconds.tolist() if pts >= start_seconds)
    assert click_seconds(path) == pytest.approx(click_seconds(source) - zero, abs=tolerance)
    assert sound_span(path)[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("source_format", SOURCES[::4], ids="-".join)
def test_video_that_starts_late(tmp_path: Path, source_format: tuple[str, str, str, str]) -> None:
    source = write_source(tmp_path, *source_format[:3], first_tick=10)
    path = copy_video(source, tmp_path / "out.mp4")
    assert click_seconds(source) == pytest.approx(CLICK_SECONDS - 0.4, abs=0.03)
    assert click_seconds(path) == pytest.approx(click_seconds(source), abs=0.001)


@pytest.mark.parametrize("source_format", SOURCES[::4], ids="-".join)
def test_cut_at_the_end(tmp_path: Path, source_format: tuple[str, str, str, str]) -> None:
    source = write_source(tmp_path, *source_format[:3])
    path = copy_video(source, tmp_path / "out.mp4", start_seconds=0.4, end_seconds=1.6)
    start, end = sound_span(path)
    assert start == pytest.approx(0, abs=1e-9)
    assert 1.2 <= end < 1.2 + 2 * 1152 / 44_100  # to the end of a packet


def test_a_click_before_the_cut_is_removed(tmp_path: Path) -> None:
    source = write_source(tmp_path, "a.mp4", "aac", "libx264")
    path = copy_video(source, tmp_path / "out.mp4", start_seconds=2.8)
    start, end = sound_span(path)
    assert start == pytest.approx(0, abs=1e-9)
    assert end == pytest.approx(0.4, abs=0.05)
    assert loudness(path) < 0.01 < loudness(source)


def test_a_seek_that_lands_too_late_restarts_at_the_beginning(tmp_path: Path) -> None:
    source = write_source(tmp_path, "a.mp4", "aac", "libx264")
    with av.open(str(source)) as container:
        stream = container.streams.audio[0]

        class LateSeek:
            """A container that seeks two seconds too far."""

            demux = staticmethod(container.demux)

            def seek(self, offset: int, **_: object) -> None:
                container.seek(offset + 2 * 48_000 if offset > 0 else offset, stream=stream)

        packets = _packets_from(LateSeek(), stream, Fraction(2))  # type: ignore[arg-type]
        assert (next(packets).pts or 0) <= 0


def test_source_without_audio(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", flat_frames([1, 2, 3]))
    path = copy_video(source, tmp_path / "out.mp4")
    with av.open(str(path)) as container:
        assert not container.streams.audio


def test_audio_of_an_unknown_codec_is_dropped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = write_source(tmp_path, "a.mov", "pcm_s16le", "libx264")
    source.write_bytes(source.read_bytes().replace(b"sowt", b"zzzz"))
    with caplog.at_level(logging.WARNING):
        path = copy_video(source, tmp_path / "out.mp4")
    assert "can be neither copied nor transcoded" in caplog.text
    with av.open(str(path)) as container:
        assert not container.streams.audio


def test_damaged_audio_ends_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(**_: object) -> None:
        raise av.InvalidDataError(1, "broken")

    source = write_source(tmp_path, "a.mov", "pcm_s16le", "libx264")
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr("vidcam.video.audio.AudioResampler", broken)
        path = copy_video(source, tmp_path / "out.mp4")
    assert "cannot be read any further" in caplog.text
    with open_video(path) as reader:
        assert reader.info.frame_count == 80


def test_missing_audio_source(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        VideoWriter(
            tmp_path / "out.mp4",
            size=(16, 16),
            fps=Fraction(25),
            time_base=Fraction(1, 25),
            audio_from=tmp_path / "none.mp4",
        )
    assert not list(tmp_path.iterdir())


def test_an_audio_only_source_starts_at_zero(tmp_path: Path) -> None:
    source = write_source(tmp_path, "a.mp4", "aac", "libx264")
    alone = tmp_path / "alone.m4a"
    with av.open(str(source)) as container, av.open(str(alone), "w", format="mp4") as target:
        stream = container.streams.audio[0]
        copy = target.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    path = tmp_path / "out.mp4"
    with VideoWriter(
        path, size=(32, 32), fps=Fraction(25), time_base=Fraction(1, 25), audio_from=alone, duration_seconds=3.2
    ) as writer:
        for index, frame in enumerate(flat_frames(range(80))):
            writer.write(frame, index / 25)
    assert click_seconds(path) == pytest.approx(CLICK_SECONDS, abs=0.01)
