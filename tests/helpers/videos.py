"""Synthetic videos: known frames at known times, in many containers.

`libx264rgb` at crf 0 gives RGB back exactly, so tests of readers compare with no tolerance.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vidcam.video.frame_index import FrameIndex, read_frame_index

Frames = NDArray[np.uint8]
Samples = NDArray[np.float32]

SOUND_RATE = 48_000
TIME_BASE = Fraction(1, 12_800)

LOSSLESS_RGB = {"crf": "0", "preset": "ultrafast"}


def noise_frames(count: int, height: int = 24, width: int = 32, seed: int = 0) -> Frames:
    """(count, height, width, 3): every frame is different, every pixel is."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def flat_frames(values: Sequence[int], height: int = 32, width: int = 32) -> Frames:
    """One grey frame for each value: recognisable after any codec."""
    column = np.asarray(values, np.uint8)[:, None, None, None]
    return np.broadcast_to(column, (len(values), height, width, 3)).copy()


def click(at_seconds: float, duration_seconds: float) -> Samples:
    """Silence, and 5 ms of a loud 3 kHz tone from `at_seconds` on, at SOUND_RATE."""
    samples = np.zeros(round(duration_seconds * SOUND_RATE), np.float32)
    start, length = round(at_seconds * SOUND_RATE), SOUND_RATE // 200
    samples[start : start + length] = 0.9 * np.sin(2 * np.pi * 3000 * np.arange(length) / SOUND_RATE)
    return samples


def write_video(
    path: Path,
    frames: Frames,
    *,
    ticks: Sequence[int] | None = None,
    fps: Fraction = Fraction(25),
    time_base: Fraction = TIME_BASE,
    codec: str = "libx264rgb",
    pixel_format: str = "rgb24",
    options: dict[str, str] | None = None,
    sound: Samples | None = None,
    sound_codec: str = "aac",
    container_options: dict[str, str] | None = None,
    tune: Callable[[VideoStream], None] = lambda _: None,
) -> Path:
    """Encode `frames` at `ticks` of `time_base` (at `fps` from 0 if not given); the suffix chooses the container.

    `tune` may set what it likes on the stream before the first frame is encoded. Frames with a fourth channel are RGBA.
    """
    step = 1 / (fps * time_base)
    stamps = [round(index * step) for index in range(len(frames))] if ticks is None else ticks
    with av.open(str(path), "w", container_options=container_options) as container:
        stream = container.add_stream(codec, rate=fps, options=LOSSLESS_RGB if options is None else options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        tune(stream)
        ear = None if sound is None else container.add_stream(sound_codec, rate=SOUND_RATE, layout="mono")
        for frame, tick in zip(frames, stamps, strict=True):
            picture = VideoFrame.from_ndarray(frame, format={3: "rgb24", 4: "rgba"}[frame.shape[-1]])
            picture.pts, picture.time_base = tick, time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if sound is not None:
            assert isinstance(ear, AudioStream)
            write_sound(container, ear, sound)
    return path


def write_sound(container: OutputContainer, ear: AudioStream, sound: Samples) -> None:
    """Encode samples at SOUND_RATE into a stream of a file that is being written."""
    resampler = av.AudioResampler(format=ear.format.name, layout="mono", rate=SOUND_RATE, frame_size=1024)
    whole = AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    whole.sample_rate, whole.pts, whole.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
    for piece in [*resampler.resample(whole), *resampler.resample(None)]:
        container.mux(ear.encode(piece))
    container.mux(ear.encode(None))


def rotate(path: Path, counter_clockwise_degrees: int) -> Path:
    """Patch the display matrix of an MP4's first track, as phones write it."""
    sine = {0: 0, 90: 1, 180: 0, 270: -1}[counter_clockwise_degrees]
    cosine = {0: 1, 90: 0, 180: -1, 270: 0}[counter_clockwise_degrees]
    return patch_matrix(path, (cosine, -sine, sine, cosine))


def patch_matrix(path: Path, matrix: tuple[float, float, float, float]) -> Path:
    """Write [a b; c d] into the first tkhd: (column, row) goes to (a column + c row, b column + d row)."""
    a, b, c, d = (round(entry * 0x10000) for entry in matrix)
    content = bytearray(path.read_bytes())
    # tkhd, version 0: type, flags, 5 words, 2 reserved words, layer, group, volume, reserved; then the matrix.
    start = content.index(b"tkhd") + 4 + 4 + 5 * 4 + 2 * 4 + 4 * 2
    content[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(content)
    return path


def hide_beginning(path: Path, media_ticks: int) -> Path:
    """Let the first track's edit list begin `media_ticks` later, so that players skip what lies before."""
    content = bytearray(path.read_bytes())
    start = content.index(b"elst") + 4 + 4 + 4 + 4  # type, flags, count, segment duration; then the media time
    (media_time,) = struct.unpack_from(">i", content, start)
    struct.pack_into(">i", content, start, media_time + media_ticks)
    path.write_bytes(content)
    return path


def frame_index_of(path: Path | str) -> FrameIndex:
    """The time stamps of a file's frames; nothing stays open."""
    frame_index, container = read_frame_index(str(path))
    if container is not None:
        container.close()
    return frame_index


def click_seconds(path: Path) -> float:
    """The middle of the sound's energy, counted from the first displayed frame, by the container's time stamps."""
    with av.open(str(path)) as container:
        zero = float(next(container.decode(video=0)).time)
    energy, moment = 0.0, 0.0
    for begin, rate, samples in _sound_pieces(path):
        power = samples**2
        energy += float(power.sum())
        moment += float((power * (begin + np.arange(len(samples)) / rate)).sum())
    return moment / energy - zero


def loudness(path: Path) -> float:
    """Largest absolute sample."""
    return max(float(np.abs(samples).max()) for _, _, samples in _sound_pieces(path))


def sound_span(path: Path) -> tuple[float, float]:
    """First and last second of the sound in the container's time."""
    pieces = [(begin, begin + len(samples) / rate) for begin, rate, samples in _sound_pieces(path)]
    return pieces[0][0], pieces[-1][1]


def _sound_pieces(path: Path) -> Iterator[tuple[float, int, NDArray[np.float64]]]:
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().astype(np.float64)
            channels = samples if frame.format.is_planar else samples.reshape(-1, len(frame.layout.channels)).T
            scale = {"s16": 2.0**15, "s32": 2.0**31}.get(frame.format.packed.name, 1.0)
            yield float(frame.time or 0.0), frame.sample_rate, channels[0] / scale


def smooth_colours(height: int, width: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) whose channels vary smoothly and differently, by at most 3 levels from pixel to pixel."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 20), np.cos(y / 20), np.sin((x - y) / 40)], axis=-1)
    return np.round(128 + 60 * waves).astype(np.uint8)
