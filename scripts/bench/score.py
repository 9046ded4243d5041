"""`vidcam score`: its time over that of the forward passes that its measures need, and what a killed run leaves.

Time is counted in forward passes, timed between the clips of the same run: a machine whose speed drifts, or that others
use, treats both alike. The yardstick is the copy of the network that scoring runs.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click

import vidcam
from scripts.bench.processes import once_command
from scripts.bench.timing import Row, Table, Target, plain_forward, quartiles, timed
from scripts.bench.videos import make_set
from scripts.library import BATCH, faster, grey_input
from vidcam.models.model import Model
from vidcam.models.registry import load_model

SMALL = (32, 32)
"""(height, width) of the videos of large sets."""


@click.group()
def score() -> None:
    """Scoring clip sets: time, and being killed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: clips scored, forward passes needed, seconds, processor seconds, seconds of some forward passes."""

    clips: int
    needed: int
    seconds: float
    processor: float
    forwards: Sequence[float]

    @property
    def passes(self) -> float:
        """The time of the run, in forward passes."""
        return self.seconds / statistics.mean(self.forwards)


def measured(model: Model, manifest: Path, *, count: int | None = None) -> Measured:
    """Score a set, or its first clips, into a folder that is thrown away; between clips a forward pass is timed."""
    module, samples = faster(model, str(model.spec.layer)), list[float]()
    batch = grey_input(model.spec).repeat(BATCH, 1, 1, 1, 1)
    lines = manifest.read_text("utf-8").splitlines()

    def sample(stage: str, _done: float, _total: float | None) -> None:
        if stage == "scoring clips":
            samples.append(timed(lambda: plain_forward(module, batch))[0])

    with tempfile.TemporaryDirectory() as folder:
        part = manifest.with_name(f"first-{manifest.name}")
        part.write_text("\n".join(lines[: None if count is None else count + 1]) + "\n", "utf-8")
        began = time.perf_counter(), time.process_time()
        result = vidcam.score_clips(part, folder, model=model, progress=sample)
        seconds, processor = time.perf_counter() - began[0], time.process_time() - began[1]
        summary = json.loads((Path(folder) / "summary.json").read_text("utf-8"))
        part.unlink()
    forwards = [seconds / BATCH for seconds in samples]
    return Measured(summary["n"], sum(result.forwards), seconds - sum(samples), processor, forwards)


def scoring(name: str, clips: int) -> Table:
    """A score run over the forward passes that it needs, at the same batch by the same copy of the network."""
    model = load_model(name, device="cpu", weights="random")
    with tempfile.TemporaryDirectory() as folder:
        run = measured(model, make_set(Path(folder), clips))
    low, median, high = quartiles([seconds * run.needed for seconds in run.forwards])
    ratio = (run.seconds / high, run.seconds / median, run.seconds / low)
    rows = {
        f"the {run.needed} forward passes alone": Row((low, median, high), 0.0, (1.0, 1.0, 1.0)),
        "vidcam score": Row((run.seconds,) * 3, run.processor, ratio),
    }
    why = "decoding, masking and sorting of whole clips share the two cores with the network"
    title = f"{name}: a score run over the forward passes it needs"
    target = Target(title, run.passes / run.needed, 1.10, why)
    note = f"Seconds for {clips} clips, default measures, batch {BATCH}; the second row has decoding, maps and tables."
    return Table(f"{name}: scoring a set", note, rows, [target], 1)


@score.command()
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", "name", default="i3d", show_default=True)
def cost(manifest: Path, name: str) -> None:
    """Time of a clip over its forward passes, from half of a set and all of it, and what a run takes once."""
    model = load_model(name, device="cpu")
    measured(model, manifest, count=1)  # pays for what is imported on the way
    whole = measured(model, manifest)
    half = measured(model, manifest, count=whole.clips // 2)
    more, needed = whole.clips - half.clips, whole.needed - half.needed
    slope, forward = (whole.passes - half.passes) / more, statistics.mean(whole.forwards)
    click.echo(f"{name}: {half.clips} and {whole.clips} clips, batch {BATCH}, {1000 * forward:.1f} ms a forward pass")
    click.echo(f"a clip needs {needed / more:.1f}, takes {slope:.1f}: ratio {slope * more / needed:.3f}")
    click.echo(f"a run takes {(whole.passes - slope * whole.clips) * forward:.2f} s once")
    click.echo(f"all of {whole.clips} clips: ratio {whole.passes / whole.needed:.3f}")


@score.command()
@click.option("--times", default=20, show_default=True)
@click.option("--clips", "count", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def kill(times: int, count: int, seed: int) -> None:
    """Kill a run at random moments, complete it, and compare its table with that of an undisturbed run."""
    moments = random.Random(seed)  # noqa: S311 – moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        manifest = make_set(home, count, size=SMALL, broken=20)
        whole, out = (once_command("score", str(manifest), str(home / name)) for name in ("whole", "out"))
        subprocess.run(whole, check=True, capture_output=True)
        for killed in range(1, times + 1):
            scored = _killed(out, after=moments.randint(0, 2 * count // times), moments=moments)
            click.echo(f"kill {killed} after {scored} clips")
        subprocess.run(out, check=True, capture_output=True)
        same = (home / "out/scores.csv").read_bytes() == (home / "whole/scores.csv").read_bytes()
        click.echo(f"killed {times} times, then completed: scores.csv has {'the same' if same else 'OTHER'} bytes")


def _killed(command: Sequence[str], *, after: int, moments: random.Random) -> int:
    """Kill a run once it has scored some clips, a few milliseconds later; returns how many it had."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        scored = sum(1 for _ in islice(process.stdout, after))
        time.sleep(moments.uniform(0.0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
    return scored
