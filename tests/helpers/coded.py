"""Videos whose frames have their number in their pixels, and random maps over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.helpers.saved import GEOMETRY, SIZE, hot_video
from tests.helpers.videos import rotate, write_video
from vidcam.geometry import Geometry
from vidcam.results.video import Origin, VideoExplanation, video_bounds
from vidcam.system.fingerprint import sampled_sha256
from vidcam.video.reader import open_video

BITS = 8

CODECS = {
    "h264.mp4": ("libx264", {"crf": "20", "g": "30", "bf": "2"}),
    "vp9.webm": ("libvpx-vp9", {"crf": "30", "b": "0", "g": "30", "cpu-used": "8"}),
    "av1.mp4": ("libsvtav1", {"crf": "18", "preset": "8", "g": "30"}),
}
"""File name → encoder and its options."""

READ = """(video) => {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight), context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  let number = 0;
  for (let bit = 0; bit < 8; bit++) {
    const x = Math.floor(((bit % 4) + 0.5) / 4 * canvas.width), y = Math.floor((bit < 4 ? 0.25 : 0.75) * canvas.height);
    if (context.getImageData(x, y, 1, 1).data[0] > 127) number += 2 ** bit;
  }
  return number;
}"""
"""Reads the number of the frame that a video shows."""


def coded_frames(count: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """(count, height, width, 3): bit b is field b of two rows of four, white for 1."""
    height, width = size
    frames = np.zeros((count, height, width, 3), np.uint8)
    for bit in range(BITS):
        rows = slice(0, height // 2) if bit < BITS // 2 else slice(height // 2, height)
        columns = slice(width * (bit % 4) // 4, width * (bit % 4 + 1) // 4)
        frames[:, rows, columns] = (((np.arange(count) >> bit) & 1) * 200 + 20)[:, None, None, None]
    return frames


def coded_video(
    path: Path, count: int, *, size: tuple[int, int] = SIZE, ticks: Sequence[int] | None = None, turned: int = 0
) -> Path:
    """Write one of CODECS; `turned` by so many degrees, upright only as it is displayed."""
    codec, options = CODECS[path.name.rpartition("_")[2]]
    frames = np.rot90(coded_frames(count, size), -turned // 90, axes=(1, 2))
    frames = np.ascontiguousarray(frames)
    write_video(
        path, frames, ticks=ticks, fps=Fraction(30000, 1001), codec=codec, pixel_format="yuv420p", options=options
    )
    return rotate(path, turned) if turned else path


def random_explanation(video: Path, *, size: tuple[int, int] = SIZE, windows: int = 6) -> VideoExplanation:
    """Random maps over a video, saved beside it as `<stem>.npz`."""
    with open_video(video) as reader:
        pts, end = reader.info.pts_seconds, reader.info.duration_seconds
    hot = hot_video(video.name, pts, end, windows=windows)
    random = np.random.default_rng(3)
    explanations = tuple(
        replace(
            each,
            volumes={
                name: (random.random(volume.shape) ** 3 * np.float32(volume.max())).astype(np.float32)
                for name, volume in each.volumes.items()
            },
        )
        for each in hot.explanations
    )
    starts = hot.timeline.starts
    line = replace(hot.timeline, ends=np.minimum(hot.timeline.ends + (starts[1] - starts[0]) / 2, end))
    origin = Origin(str(video), sampled_sha256([video]), (0.0, end))
    geometry = GEOMETRY if size == SIZE else Geometry(size, size, (size[0] - 8, size[1] - 20), 3, 11)
    made = replace(
        hot,
        explanations=explanations,
        geometry=geometry,
        timeline=line,
        origin=origin,
        bounds=video_bounds(explanations, line, pts),
    )
    made.save(video.with_suffix(".npz"))
    return made
