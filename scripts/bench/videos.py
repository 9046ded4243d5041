"""Made videos and maps to measure with: a texture that drifts under a little noise, maps of noise on a 7 × 7 grid."""

from __future__ import annotations

import csv
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image

from vidcam.geometry import centre_crop, short_side_resize
from vidcam.results.explanation import Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.video import Origin, VideoExplanation, video_bounds
from vidcam.system.fingerprint import sampled_sha256
from vidcam.video.encoders import H264
from vidcam.video.writer import VideoWriter

FPS = 25
SMALL = (256, 340)
"""(height, width) of most."""


def make_video(path: Path, count: int, size: tuple[int, int] = SMALL) -> Path:
    """So many frames of (height, width)."""
    height, width = size
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (height // 16 + 16, width // 16 + 16, 3), dtype=np.uint8))
    texture = np.asarray(small.resize((width + 256, height + 128), Image.Resampling.BICUBIC)).astype(np.int16)
    noise = rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
    tick = Fraction(1, FPS)
    with VideoWriter(path, size=size, fps=1 / tick, time_base=tick, duration_seconds=count / FPS) as writer:
        for index in range(count):
            top, left = index % 128, 2 * index % 256
            frame = texture[top : top + height, left : left + width] + np.roll(noise, 37 * index, axis=1)
            writer.write(np.clip(frame, 0, 255).astype(np.uint8), index / FPS)
    return path


def make_minutes(path: Path, minutes: int) -> Path:
    """A long video: the packets of one minute over and over."""
    minute = path.with_name("minute.mp4")
    if not minute.exists():
        make_video(minute, 60 * FPS)
    with av.open(str(minute)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        ticks = round(60 / (stream.time_base or Fraction(1)))
        for _ in range(minutes):
            for packet in packets:
                packet.stream = copy
                target.mux(packet)
                packet.pts, packet.dts = (packet.pts or 0) + ticks, (packet.dts or 0) + ticks
    return path


def save_maps(video: Path, count: int, size: tuple[int, int] = SMALL) -> Path:
    """Maps for a video of so many frames, as `explain` would save them."""
    end = count / FPS
    starts = np.arange(0.0, max(end - 1.27, 0.01), 0.64)
    ends = np.minimum(starts + 1.28, end)
    ends[-1] = end
    line = Timeline(starts, ends, starts[:, None] + np.linspace(0, 1.2, 16))
    volumes = np.random.default_rng(1).random((len(line), 2, 7, 7)).astype(np.float32)
    logits = np.random.default_rng(2).normal(size=(len(line), 5)).astype(np.float32)
    found = Explanation(
        volumes={"gradcam": volumes, "gradcam++": volumes[::-1].copy()},
        logits=logits,
        target=np.zeros(len(line), np.int64),
        contrast=None,
        layer="layer",
        input_size=(16, 224, 224),
    )
    geometry = centre_crop(size, short_side_resize(size, 256), (224, 224))
    bounds = video_bounds(found, line, np.arange(count) / FPS)
    labels = dict(enumerate(("running", "jumping", "sitting", "waving", "falling")))
    made = VideoExplanation(video.name, "noise", geometry, line, ("running",), (found,), (bounds,), class_labels=labels)
    path = video.with_suffix(".npz")
    replace(made, origin=Origin(video.name, sampled_sha256([video]), (0.0, end))).save(path)
    return path


def transcode(video: Path, out: Path) -> None:
    """Decode and encode, with the encoder that `render` takes and nothing between."""
    with av.open(str(video)) as source, av.open(str(out), "w", format="mp4") as target:
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        made = cast("VideoStream", target.add_stream(H264.name, rate=FPS, options=dict(H264.options)))
        made.height, made.width, made.pix_fmt = stream.height, stream.width, "yuv420p"
        for frame in source.decode(stream):
            frame.pict_type = 0  # the encoder's own choice
            target.mux(made.encode(frame))
        target.mux(made.encode(None))


def make_set(folder: Path, count: int, *, size: tuple[int, int] = SMALL, broken: int = 0) -> Path:
    """The manifest of a set of windows of eight videos, so that thousands of clips take no room.

    Args:
        folder: where videos and manifest go.
        count: clips.
        size: (height, width).
        broken: every so manyth clip is not there; 0: none.
    """
    videos = [folder / f"video{number}.mp4" for number in range(8)]
    for video in videos:
        if not video.exists():
            make_video(video, 60, size)
    path = folder / f"set{count}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "start", "group"))
        for index in range(count):
            is_broken = broken and index % broken == broken - 1
            name = "nowhere.mp4" if is_broken else videos[index % len(videos)].name
            writer.writerow((name, f"{0.04 * (index // len(videos) % 25):.2f}", f"group {index // 4}"))
    return path
