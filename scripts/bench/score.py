"""`vidcam score`: its time over that of the forward passes that its measures need, and what a killed run leaves.

Time is counted in forward passes, timed between the clips of the same run: a machine whose speed drifts, or that others
use, treats both alike. The yardstick is the copy of the network that scoring runs.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import click

import vidcam
from scripts.bench.processes import once_command
from scripts.bench.timing import Row, Table, Target, plain_forward, quartiles, timed
from scripts.bench.videos import make_set
from scripts.library import BATCH, faster, grey_input
from vidcam.models.registry import load_model

SMALL = (32, 32)
"""(height, width) of the videos of large sets."""


def scoring(name: str, clips: int) -> Table:
    """A score run over the forward passes that it needs, at the same batch by the same copy of the network."""
    model, samples = load_model(name, device="cpu", weights="random"), list[float]()
    module, batch = faster(model, str(model.spec.layer)), grey_input(model.spec).repeat(BATCH, 1, 1, 1, 1)

    def sample(stage: str, _done: float, _total: float | None) -> None:
        """Time a forward pass between the clips."""
        if stage == "scoring clips":
            samples.append(timed(lambda: plain_forward(module, batch))[0])

    with tempfile.TemporaryDirectory() as folder:
        manifest, began = make_set(Path(folder), clips), time.perf_counter()
        result = vidcam.score_clips(manifest, Path(folder) / "out", model=model, progress=sample)
        wall = time.perf_counter() - began - sum(samples)
    needed = sum(result.forwards)
    low, median, high = quartiles([seconds / BATCH * needed for seconds in samples])
    rows = {
        f"the {needed} forward passes alone": Row((low, median, high), 0.0, (1.0, 1.0, 1.0)),
        "vidcam score": Row((wall, wall, wall), 0.0, (wall / high, wall / median, wall / low)),
    }
    why = "decoding, masking and sorting of whole clips share the two cores with the network"
    title = f"{name}: a score run over the forward passes it needs"
    target = Target(title, wall / (statistics.mean(samples) / BATCH * needed), 1.10, why)
    note = f"Seconds for {clips} clips, default measures, batch {BATCH}; the second row has decoding, maps and tables."
    return Table(f"{name}: scoring a set", note, rows, [target], 1)


@click.command()
@click.option("--times", default=20, show_default=True)
@click.option("--clips", "count", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def kill(times: int, count: int, seed: int) -> None:
    """Kill `score` at random moments, complete it, and compare its table with that of an undisturbed run."""
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
