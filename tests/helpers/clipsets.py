"""Sets of small clips for the tests of `score`."""

from __future__ import annotations

import csv
from collections.abc import Collection
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.helpers.videos import noise_frames, write_video
from vidcam.pipelines.score import store

VIDEOS = 4
"""Files of a set; its clips are windows of them."""


def write_set(folder: Path, count: int, *, broken: Collection[int] = ()) -> Path:
    """A manifest of `count` clips of 16 × 16, three to a group; those that are `broken` are text or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for video in range(VIDEOS):
        (folder / f"video{video}.mkv").write_bytes(_encoded(video))
    (folder / "text.mp4").write_text("no video")
    with (folder / "set.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "start", "label", "group"))
        for index in range(count):
            path = f"video{index % VIDEOS}.mkv" if index not in broken else ("text.mp4", "nowhere.mp4")[index % 2]
            start = f"{0.04 * (index // VIDEOS % 18):.2f}"
            writer.writerow((path, start, ("red", "green", "blue")[index % 3], f"group {index // 3:03}"))
    return folder / "set.csv"


@cache
def _encoded(seed: int) -> bytes:
    """A Matroska file, encoded once."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.mkv"
        return write_video(path, noise_frames(24, 16, 16, seed=seed), fps=Fraction(25)).read_bytes()


def two_clips_a_part() -> None:
    """For processes of the command line: parts come often, so that there is something to go on with."""
    store.CLIPS_PER_PART = 2
