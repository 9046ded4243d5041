"""Score one set in three ways on two cores, in turn: `python -m scripts.bench scale`.

One process of two threads, two shards of one thread each at the same time, and Ray with two workers of one thread. The
rate is that of the clips after the first ones, so that it has no start in it. The forward passes that the clips need
are timed in a process of two threads, in the same round.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import torch

from scripts.bench.processes import ROOT
from scripts.bench.timing import plain_forward, timed
from scripts.bench.videos import make_set
from scripts.library import BATCH, faster, grey_input
from vidcam.models.registry import load_model
from vidcam.pipelines.score.local import SCORING
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.ray_engine import BLOCK_CLIPS
from vidcam.pipelines.score.run import score_set

_FORWARDS = 100
"""Batches that are timed in a round."""


def work(manifest: Path, out: Path, model: str, options: ScoreOptions) -> None:
    """Score in this process, and print when which number of clips was done."""
    events: list[float] = []

    def note(stage: str, _done: float, _total: float | None) -> None:
        if stage == SCORING:
            events.append(time.time())

    result = score_set(manifest, out, options, model=model, progress=note)
    print(json.dumps({"events": events, "forwards": sum(result.forwards)}))


def forwards(model: str) -> float:
    """Seconds of a forward pass of one clip, in batches, with two threads."""
    torch.set_num_threads(2)
    loaded = load_model(model, device="cpu")
    module, batch = faster(loaded, str(loaded.spec.layer)), grey_input(loaded.spec).repeat(BATCH, 1, 1, 1, 1)
    return statistics.median(timed(lambda: plain_forward(module, batch))[0] for _ in range(_FORWARDS)) / BATCH


def started(*arguments: object) -> subprocess.Popen[str]:
    """Start this file as a process."""
    command = [sys.executable, "-m", "scripts.bench.scale", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)


def finished(processes: Sequence[subprocess.Popen[str]], skipped: int) -> tuple[float, int]:
    """Return the seconds of a clip, of those after the first `skipped` of each process, and all forward passes."""
    answers = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
    begin = min(answer["events"][skipped - 1] for answer in answers)
    end = max(answer["events"][-1] for answer in answers)
    clips = sum(len(answer["events"]) - skipped for answer in answers)
    return (end - begin) / clips, sum(answer["forwards"] for answer in answers)


def measured_round(manifest: Path, folder: Path, model: str) -> Mapping[str, float]:
    """Measure each way once; returns seconds of a clip by name."""
    clips = len(manifest.read_text("utf-8").splitlines()) - 1
    first = 2 * min(BLOCK_CLIPS, clips // 8)  # the blocks that both workers score first
    one, passes = finished([started(manifest, folder / "one", model, 2, "local", "")], 1)
    pair = [started(manifest, folder / f"shard{i}", model, 1, "local", f"{i}/2") for i in (1, 2)]
    shards, _ = finished(pair, 1)
    ray, _ = finished([started(manifest, folder / "ray", model, 1, "ray", "")], first)
    needed = float(started("forwards", model).communicate()[0]) * passes / clips
    return {"forward passes": needed, "one process, two threads": one, "two shards": shards, "Ray, two workers": ray}


@click.command("scale")
@click.option("--model", default="tiny_r3d", show_default=True)
@click.option("--clips", type=int, default=128, show_default=True)
@click.option("--rounds", type=int, default=3, show_default=True)
def scale(model: str, clips: int, rounds: int) -> None:
    """Score a set in one process, in two shards and on two workers of Ray, and print seconds of a clip."""
    results = []
    with tempfile.TemporaryDirectory() as place:
        manifest = make_set(Path(place), clips)
        for number in range(rounds):
            (folder := Path(place) / str(number)).mkdir()
            results.append(measured_round(manifest, folder, model))
            click.echo("; ".join(f"{name} {seconds:.3f} s" for name, seconds in results[-1].items()))
    for name in results[0]:
        ratios = sorted(result[name] / result["forward passes"] for result in results)
        click.echo(f"{name}: {statistics.median(ratios):.2f} × ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    if sys.argv[1] == "forwards":
        print(forwards(sys.argv[2]))
    else:
        _, manifest_path, out_path, name, count, engine_name, shard_text = sys.argv
        options = ScoreOptions(threads=int(count), engine=engine_name, shard=shard_text or None)  # type: ignore[arg-type]
        work(Path(manifest_path), Path(out_path), name, options)
