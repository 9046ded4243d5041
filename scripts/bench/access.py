"""Case `random`: opening a long video, and frames from random places of it.

Beside vidcam: PyAV as its own examples use it, decord, torchcodec, all on all cores.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from scripts.bench.timing import Table, Target, Work, interleaved
from scripts.bench.videos import FPS, make_minutes
from vidcam.video.reader import open_video

PLACES, MINUTES = 16, 10
OWN = ("vidcam", "PyAV used plainly")

Read = Callable[[NDArray[np.int64]], object]
"""Reads frames by their numbers."""

Opener = Callable[[Path], AbstractContextManager[Read]]


def random_access(runs: int) -> list[Table]:
    """Opening a long video; 16 frames at random places of it, and a clip of 16 frames from a random place."""
    with tempfile.TemporaryDirectory() as folder:
        source = make_minutes(Path(folder) / "video.mp4", MINUTES)
        openers = {name: opener for name, opener in OPENERS.items() if name in OWN or importlib.util.find_spec(name)}
        rows = interleaved({name: partial(_open, opener, source) for name, opener in openers.items()}, runs)
        note = f"Seconds; H.264, {MINUTES} min, 340 × 256; PyAV used plainly learns no frame's time by it."
        tables = [Table("Opening a long video", note, rows, runs=runs)]
        for what in ("16 frames at random places", "a clip of 16 frames at a random place"):
            tables += [_access(source, openers, what, runs, is_open=is_open) for is_open in (True, False)]
    return tables


def _access(source: Path, openers: Mapping[str, Opener], what: str, runs: int, *, is_open: bool) -> Table:
    with ExitStack() as stack:
        works: dict[str, Work] = {}
        for name, opener in openers.items():
            places = _places(scattered=what.startswith("16"))  # the same for all
            opened = stack.enter_context(opener(source)) if is_open else None
            works[name] = partial(_read, opener, source, places, opened)
        rows = interleaved(works, runs)
    best = min((name for name in rows if name != "vidcam"), key=lambda name: rows[name].seconds[1])
    state, ours, other = "open already" if is_open else "with opening it", rows["vidcam"], rows[best]
    why = f"processor seconds {ours.processor:.3g}, of {best} {other.processor:.3g}"
    target = Target(f"{what}, {state}: vidcam over the best other", ours.over(other), 1.0, why, is_shown=True)
    note = f"Seconds; H.264, {MINUTES} min, 340 × 256, the video {state}; the same places for all."
    return Table(f"{what.capitalize()} of a long video, {state}", note, rows, [target], runs)


def _places(*, scattered: bool) -> Iterator[NDArray[np.int64]]:
    generator, last = np.random.default_rng(0), MINUTES * 60 * FPS - PLACES
    while True:
        yield (
            np.sort(generator.choice(last, PLACES, replace=False))
            if scattered
            else generator.integers(last) + np.arange(PLACES)
        )


def _open(opener: Opener, source: Path) -> None:
    with opener(source):
        pass


def _read(opener: Opener, source: Path, places: Iterator[NDArray[np.int64]], opened: Read | None) -> None:
    """From a file that is open already, or not."""
    if opened is not None:
        opened(next(places))
        return
    with opener(source) as read:
        read(next(places))


@contextmanager
def _pyav(source: Path) -> Iterator[Read]:
    """As in PyAV's own examples: seek to the key frame before, decode on, convert."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        time_base = stream.time_base or Fraction(1, 1000)

        def read(places: NDArray[np.int64]) -> None:
            for second in (places / FPS).tolist():
                container.seek(int(second / time_base), stream=stream)
                for frame in container.decode(stream):
                    if (frame.pts or 0) * time_base >= second - 1e-3:
                        frame.to_ndarray(format="rgb24")
                        break

        yield read


@contextmanager
def _decord(source: Path) -> Iterator[Read]:
    decord: Any = importlib.import_module("decord")
    reader = decord.VideoReader(str(source), num_threads=0)
    yield lambda places: reader.get_batch(places.tolist()).asnumpy()


@contextmanager
def _torchcodec(source: Path) -> Iterator[Read]:
    decoder = importlib.import_module("torchcodec.decoders").VideoDecoder(str(source), num_ffmpeg_threads=0)
    yield lambda places: decoder.get_frames_at(places.tolist()).data


@contextmanager
def _vidcam(source: Path) -> Iterator[Read]:
    with open_video(source) as reader:
        yield lambda places: sum(1 for _ in reader.frames_at(places / FPS))


OPENERS: dict[str, Opener] = {
    "PyAV used plainly": _pyav,
    "decord": _decord,
    "torchcodec": _torchcodec,
    "vidcam": _vidcam,
}
