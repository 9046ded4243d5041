"""Case of `scripts/benchmark results`: opening a long film, and frames from random places of it.

Beside vidcam: PyAV as its own examples use it, decord, torchcodec, all on all cores.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from benchmark_render import make_long_film
from results_timing import Table, Target, Work, interleaved

from vidcam.media import Seconds
from vidcam.video.reader import open_video

FPS = 25
PLACES, MINUTES = 16, 10


def random_access(runs: int) -> list[Table]:
    """Opening a long film; 16 frames at random places of it, and a clip of 16 frames from a random place."""
    kinds = ("16 frames at random places", "a clip of 16 frames at a random place")
    with tempfile.TemporaryDirectory() as folder:
        source = make_long_film(Path(folder) / "film.mp4", MINUTES)
        rows = interleaved({name: partial(_open_only, opener, source) for name, opener in OPENERS.items()}, runs)
        note = f"Seconds; H.264, {MINUTES} min, 340 × 256; PyAV used plainly learns no frame's time by it."
        tables = [Table("Opening a long film", note, rows, runs=runs)]
        opening = rows["vidcam"].processor
        return tables + [
            _access(source, what, runs, is_open=is_open, opening=opening) for what in kinds for is_open in (True, False)
        ]


def _access(source: Path, what: str, runs: int, *, is_open: bool, opening: float) -> Table:
    generator = np.random.default_rng(0)
    last = MINUTES * 60 * FPS - PLACES
    draws = iter(
        np.sort(generator.choice(last, PLACES, replace=False))
        if what.startswith("16")
        else generator.integers(last) + np.arange(PLACES)
        for _ in iter(int, 1)
    )
    chosen = [next(draws) for _ in range(runs + 1)]
    works: dict[str, Work] = {}
    kept = []
    for name, opener in OPENERS.items():
        places = iter(chosen)
        if is_open:
            context = opener(source)
            read = context.__enter__()
            kept.append(context)
            works[name] = partial(_read_next, read, places)
        else:
            works[name] = partial(_open_and_read_next, opener, source, places)
    rows = interleaved(works, runs)
    for context in kept:
        context.__exit__(None, None, None)
    best = min((name for name in rows if name != "vidcam"), key=lambda name: rows[name].seconds[1])
    state = "open already" if is_open else "with opening it"
    ours, other = rows["vidcam"], rows[best]
    why = f"processor seconds {ours.processor:.3g}, of {best} {other.processor:.3g}"
    why += "" if is_open else f"; opening alone takes vidcam {opening:.2g} of them"
    target = Target(f"{what}, {state}: vidcam over the best other", ours.over(other), 1.0, why, is_shown=True)
    note = f"Seconds; H.264, {MINUTES} min, 340 × 256, the film {state}; the same places for all."
    return Table(f"{what.capitalize()} of a long film, {state}", note, rows, [target], runs)


def _open_only(opener: Callable[[Path], Any], source: Path) -> None:
    with opener(source):
        pass


def _read_next(read: Callable[[np.ndarray], object], places: Iterator[np.ndarray]) -> None:
    read(next(places))


def _open_and_read_next(opener: Callable[[Path], Any], source: Path, places: Iterator[np.ndarray]) -> None:
    with opener(source) as read:
        read(next(places))


@contextmanager
def _pyav(source: Path) -> Iterator[Callable[[np.ndarray], object]]:
    with av.open(str(source)) as container:
        container.streams.video[0].thread_type = "AUTO"
        yield lambda places: seek_plainly(container, places / FPS)


@contextmanager
def _decord(source: Path) -> Iterator[Callable[[np.ndarray], object]]:
    decord: Any = importlib.import_module("decord")
    reader = decord.VideoReader(str(source), num_threads=0)
    yield lambda places: reader.get_batch(places.tolist()).asnumpy()


@contextmanager
def _torchcodec(source: Path) -> Iterator[Callable[[np.ndarray], object]]:
    decoder = importlib.import_module("torchcodec.decoders").VideoDecoder(str(source), num_ffmpeg_threads=0)
    yield lambda places: decoder.get_frames_at(places.tolist()).data


@contextmanager
def _vidcam(source: Path) -> Iterator[Callable[[np.ndarray], object]]:
    with open_video(source) as reader:
        yield lambda places: sum(1 for _ in reader.frames_at(places / FPS))


OPENERS: dict[str, Callable[[Path], Any]] = {
    "PyAV used plainly": _pyav,
    "decord": _decord,
    "torchcodec": _torchcodec,
    "vidcam": _vidcam,
}


def seek_plainly(container: Any, seconds: Seconds) -> None:
    """As in PyAV's own examples: seek to the key frame before, decode on, convert."""
    stream = container.streams.video[0]
    time_base = stream.time_base or Fraction(1, 1000)
    for second in seconds.tolist():
        container.seek(int(second / time_base), stream=stream)
        for frame in container.decode(stream):
            if (frame.pts or 0) * time_base >= second - 1e-3:
                frame.to_ndarray(format="rgb24")
                break
