"""How busy threads that decode keep the model of `score`: `python -m scripts.bench loading`."""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from unittest import mock

import click
import torch

from scripts.bench.by_hand import SIZES
from scripts.bench.processes import peak_megabytes
from scripts.bench.videos import make_set
from vidcam.models.registry import load_model
from vidcam.pipelines.score import local
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.local import LocalEngine
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.request import resolve

Item = TypeVar("Item")
Result = TypeVar("Result")

NAMES = {0: "no thread", 1: "1 thread", 2: "2 threads", None: "as many threads as score chooses"}


def in_turn(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None
) -> Generator[Result, None, None]:
    """As `map_in_threads`, in the thread of the model."""
    assert workers == 0
    yield from map(function, items)


@click.command("loading")
@click.option("--model", default="tiny_r3d", show_default=True)
@click.option("--clips", type=int, default=40, show_default=True)
@click.option("--rounds", type=int, default=3, show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="Threads of PyTorch.")
def loading(model: str, clips: int, rounds: int, threads: int) -> None:
    """Score sets of small and large videos with no, 1, 2 and as many decoding threads as `score` chooses, in turn."""
    torch.set_num_threads(threads)
    request, prepared = resolve(load_model(model, device="cpu"), ScoreOptions())
    for name in ("340 × 256", "1920 × 1080"):
        size, _ = SIZES[name]
        shares, seconds = defaultdict[int | None, list[float]](list), defaultdict[int | None, list[float]](list)
        with tempfile.TemporaryDirectory() as place:
            entries = read_clips(make_set(Path(place), clips, size=size), out=Path(place) / "out").entries
            for _ in range(rounds):
                for workers in NAMES:
                    engine = LocalEngine(prepared, replace(request, workers=workers), clips=clips)
                    patched = nullcontext() if workers != 0 else mock.patch.object(local, "map_in_threads", in_turn)
                    with patched, closing(engine.rows(entries)) as rows:
                        assert sum(1 for _ in rows) == clips
                    busy, waited = engine.timer.seconds["scoring"], engine.timer.seconds["waiting"]
                    shares[workers].append(busy / (busy + waited))
                    seconds[workers].append((busy + waited) / clips)
        for workers, values in shares.items():
            share = f"busy {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
            click.echo(
                f"{name}, {NAMES[workers]}: {share}, "
                f"{statistics.median(seconds[workers]):.3f} s a clip, peak so far {peak_megabytes():.0f} MB"
            )
