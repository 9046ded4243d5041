"""Videos, maps and sets to measure with: a drifting texture under a little noise."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image

import vidcam
from vidcam.video.encoders import H264
from vidcam.video.writer import VideoWriter

FPS = 25
SMALL = (256, 340)
"""Default (height, width)."""


def make_video(path: Path, count: int, size: tuple[int, int] = SMALL) -> Path:
    """Write a video of `count` frames of (height, width)."""
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
    """Write a long video that repeats the packets of one minute."""
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


def save_maps(video: Path) -> Path:
    """Save the maps of a video by tiny_r3d, and return the path of the .npz."""
    methods, folder = ("gradcam", "gradcam++"), video.with_suffix("")
    result = vidcam.explain_video(video, folder, model="tiny_r3d", methods=methods, outputs="data", overwrite=True)
    return next(path for path in result.paths if path.suffix == ".npz")


def transcode(video: Path, out: Path) -> None:
    """Decode and encode with the encoder of `render`, and nothing between."""
    with av.open(str(video)) as source, av.open(str(out), "w", format="mp4") as target:
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        encoded = cast("VideoStream", target.add_stream(H264.name, rate=FPS, options=dict(H264.options)))
        encoded.height, encoded.width, encoded.pix_fmt = stream.height, stream.width, "yuv420p"
        for frame in source.decode(stream):
            frame.pict_type = 0  # the encoder's own choice
            target.mux(encoded.encode(frame))
        target.mux(encoded.encode(None))


def make_set(folder: Path, count: int, *, size: tuple[int, int] = SMALL) -> Path:
    """Write the manifest of `count` windows of eight videos, so that thousands of clips need little disk space."""
    videos = [folder / f"video{number}.mp4" for number in range(8)]
    for video in videos:
        if not video.exists():
            make_video(video, 60, size)
    path = folder / f"set{count}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "start", "group"))
        for index in range(count):
            start = 0.04 * (index // len(videos) % 25)
            writer.writerow((videos[index % len(videos)].name, f"{start:.2f}", f"group {index // 4}"))
    return path
