"""Case `random`: open a long video and read random frames.

Beside vidcam: PyAV as in its own examples, decord and torchcodec, all with all cores.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from scripts.bench.tables import Table, Target
from scripts.bench.timing import Work, interleaved
from scripts.bench.videos import FPS, make_minutes
from vidcam.video.reader import open_video

COUNT, MINUTES = 16, 10
LAST = MINUTES * 60 * FPS - COUNT
NOTE = f"Seconds. H.264, {MINUTES} min, 340 × 256; the same frames for all."

Read = Callable[[NDArray[np.int64]], object]
"""Reads frames by number."""

Opener = Callable[[Path], AbstractContextManager[Read]]


def random_access(runs: int) -> list[Table]:
    """Time opening a long video alone, and with 16 random frames or a random clip of 16 frames."""
    with tempfile.TemporaryDirectory() as folder:
        source = make_minutes(Path(folder) / "video.mp4", MINUTES)
        tables = []
        for title, positions in POSITIONS.items():
            works: dict[str, Work] = {
                name: partial(_open, opener, source, positions() if positions else None)
                for name, opener in OPENERS.items()
                if name in ("vidcam", "PyAV") or importlib.util.find_spec(name)
            }
            rows = interleaved(works, runs)
            best = min((name for name in rows if name != "vidcam"), key=lambda name: rows[name].seconds[1])
            target = Target(f"vidcam over {best}", rows["vidcam"].over(rows[best]), 1.0)
            tables.append(Table(title, NOTE, rows, (target,) if positions else ()))
    return tables


def _open(opener: Opener, source: Path, positions: Iterator[NDArray[np.int64]] | None) -> None:
    with opener(source) as read:
        if positions is not None:
            read(next(positions))


def _scattered() -> Iterator[NDArray[np.int64]]:
    """Sorted frame numbers; each call gives the same sequence."""
    generator = np.random.default_rng(0)
    while True:
        yield np.sort(generator.choice(LAST, COUNT, replace=False))


def _clips() -> Iterator[NDArray[np.int64]]:
    """Numbers of successive frames; each call gives the same sequence."""
    generator = np.random.default_rng(0)
    while True:
        yield generator.integers(LAST) + np.arange(COUNT)


@contextmanager
def _pyav(source: Path) -> Iterator[Read]:
    """Seek to the key frame before, decode on, convert."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        time_base = stream.time_base or Fraction(1, 1000)

        def read(positions: NDArray[np.int64]) -> None:
            for second in (positions / FPS).tolist():
                container.seek(int(second / time_base), stream=stream)
                frames = container.decode(stream)
                next(frame for frame in frames if (frame.pts or 0) * time_base >= second - 1e-3).to_ndarray(
                    format="rgb24"
                )

        yield read


@contextmanager
def _decord(source: Path) -> Iterator[Read]:
    decord: Any = importlib.import_module("decord")
    reader = decord.VideoReader(str(source), num_threads=0)
    yield lambda positions: reader.get_batch(positions.tolist()).asnumpy()


@contextmanager
def _torchcodec(source: Path) -> Iterator[Read]:
    decoder = importlib.import_module("torchcodec.decoders").VideoDecoder(str(source), num_ffmpeg_threads=0)
    yield lambda positions: decoder.get_frames_at(positions.tolist()).data


@contextmanager
def _vidcam(source: Path) -> Iterator[Read]:
    with open_video(source) as reader:
        yield lambda positions: sum(1 for _ in reader.frames_at(positions / FPS))


OPENERS: dict[str, Opener] = {"PyAV": _pyav, "decord": _decord, "torchcodec": _torchcodec, "vidcam": _vidcam}
POSITIONS = {
    "Opening a long video": None,
    "16 random frames of a long video, with opening": _scattered,
    "A random clip of 16 frames of a long video, with opening": _clips,
}
