"""Measure what `vidcam score` costs: its time over that of the forward passes that the measures need.

A set of n clips and one of 2n are scored. What the second takes longer is what n clips cost; what is left of the first
is what a run costs once, however many clips it has (tables, intervals, plots). One clip is scored before both, and pays
for what is imported on the way. Everything is counted in forward passes, timed between the clips of the same run: a
machine whose speed drifts, or that others use, treats both alike. The yardstick is the copy of the network that scoring
runs, not the slower one that it was made from.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.analyse import target_layers
from vidcam.pipelines.prepare import prepare
from vidcam.pipelines.score.clips import Entry, read_clips
from vidcam.pipelines.score.options import DEFAULT_BATCH, ScoreOptions
from vidcam.pipelines.score.run import score_clips
from vidcam.preprocess import grey_input

CALM = 10
"""Forward passes before and after a run, for their processor time: between clips, other threads decode."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run, by one clock.

    Attributes:
        clips: scored.
        needed: forward passes, masked and original ones.
        seconds: that the run took.
        forward: seconds of one forward pass, at the run's batch size.
    """

    clips: int
    needed: int
    seconds: float
    forward: float

    @property
    def passes(self) -> float:
        """The time of the run, in forward passes."""
        return self.seconds / self.forward


@click.command()
@click.argument("manifest", type=click.Path(exists=True, path_type=Path))
@click.option("--model", "name", default="i3d", show_default=True)
@click.option("--measures", default="default", show_default=True)
@click.option("--batch-size", type=int)
@click.option("--clips", "count", type=click.IntRange(min=2), help="Of the larger set; default: all of MANIFEST.")
def cost(manifest: Path, name: str, measures: str, batch_size: int | None, count: int | None) -> None:
    """Time over (forward passes of the definitions × time of one at the same batch): for each clip, and once a run."""
    model = load_model(name)
    options = ScoreOptions(measures=measures, batch_size=batch_size)
    rows = [_row(entry) for entry in read_clips(manifest, out=Path()).entries[:count]]
    first = _run(model, rows[:1], options)
    half, whole = (_run(model, rows[:clips], options) for clips in (len(rows) // 2, len(rows)))
    batch = batch_size or DEFAULT_BATCH[model.device.type]
    print(f"{name}, {measures}: {half['wall'].clips} and {whole['wall'].clips} clips, batch {batch}")
    for clock in ("wall", "processor"):
        for line in told(first[clock], half[clock], whole[clock]):
            print(f"{clock} time: {line}")


def told(first: Measured, half: Measured, whole: Measured) -> Sequence[str]:
    """What three runs say."""
    more, needed = whole.clips - half.clips, whole.needed - half.needed
    slope = (whole.passes - half.passes) / more
    once = whole.passes - slope * whole.clips
    imports = first.passes - once - slope * first.clips
    return (
        f"{1000 * whole.forward:.1f} ms a forward pass",
        f"a clip needs {needed / more:.1f}, takes that of {slope:.1f}: ratio {slope * more / needed:.3f}",
        f"a run takes {once * whole.forward:.2f} s once, the first in a process {imports * first.forward:.2f} s more",
        (
            f"all of {whole.clips} clips: {whole.needed * whole.forward:.1f} s needed, {whole.seconds:.1f} s taken, "
            f"ratio {whole.passes / whole.needed:.3f}"
        ),
    )


def _row(entry: Entry) -> Mapping[str, Any]:
    return {
        "path": entry.source,
        "start": entry.start_seconds,
        "label": entry.label,
        "group": entry.group,
        "boxes": entry.boxes,
    }


def _run(model: Model, rows: Sequence[Mapping[str, Any]], options: ScoreOptions) -> Mapping[str, Measured]:
    """Score some clips into a folder that is thrown away; clock → what it took."""
    size = options.batch_size or DEFAULT_BATCH[model.device.type]
    network = prepare(model, target_layers(model, ())[0]).model.module
    stopwatch = Stopwatch(network, grey_input(model.spec).repeat(size, 1, 1, 1, 1).to(model.device))
    before = stopwatch.calm()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter(), time.process_time()
        result = score_clips(rows, folder, model=model, options=options, progress=stopwatch.sample)
        wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
    calm = statistics.median([*before, *stopwatch.calm()])
    clips, needed = int(result.summary["n"]), sum(result.forwards)
    samples = stopwatch.samples
    return {
        "wall": Measured(clips, needed, wall - sum(samples), statistics.mean(samples) / size),
        "processor": Measured(clips, needed, processor - len(samples) * calm, calm / size),
    }


class Stopwatch:
    """Times a plain forward pass between the clips of a run, where nothing else is done by this thread."""

    def __init__(self, module: nn.Module, batch: Tensor) -> None:
        self._module, self._batch = module, batch
        self.samples: list[float] = []

    def calm(self) -> list[float]:
        """Processor seconds of some forward passes, while no other thread of this process works."""
        found = []
        for _ in range(CALM):
            began = time.process_time()
            self._forward()
            found.append(time.process_time() - began)
        return found

    def sample(self, stage: str, _done: float, _total: float | None) -> None:
        """Time a forward pass by the wall; a callback of progress."""
        if stage == "scoring clips":
            began = time.perf_counter()
            self._forward()
            self.samples.append(time.perf_counter() - began)

    def _forward(self) -> None:
        with torch.no_grad():
            self._module(self._batch)
        if self._batch.device.type == "cuda":
            torch.cuda.synchronize()
