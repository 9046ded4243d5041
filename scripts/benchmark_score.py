"""Measure `vidcam score`: time over the forward passes that the measures need, memory over clips, being killed.

Sets are windows of a few small films, so that thousands of clips take no room.
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import click
import numpy as np
import torch
from benchmark_score_cost import cost
from torch import Tensor, nn

from vidcam.models.model import Model
from vidcam.pipelines.score.run import score_clips
from vidcam.spec import ModelSpec, Scaling
from vidcam.video.writer import VideoWriter

FILMS, FRAMES = 8, 60


@click.group("score")
def score_benchmark() -> None:
    """Scoring clip sets: time, memory, interruptions."""


score_benchmark.add_command(cost)


@score_benchmark.command()
@click.option("--clips", "counts", type=int, multiple=True, default=(100, 1000, 10000), show_default=True)
def memory(counts: tuple[int, ...]) -> None:
    """Peak memory of a process that scores sets of growing size with a small network."""
    with tempfile.TemporaryDirectory() as folder:
        films = make_films(Path(folder))
        peaks = []
        for count in counts:
            manifest = write_manifest(Path(folder) / f"{count}.csv", films, count)
            command = [sys.executable, __file__, "score-small", str(manifest), f"{folder}/out{count}"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            peaks.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{count} clips: {peaks[-1]['megabytes']:.0f} MB at the peak, {peaks[-1]['seconds']:.0f} s")
        slope = (peaks[-1]["megabytes"] - peaks[0]["megabytes"]) / (counts[-1] - counts[0]) * 1000
        print(f"slope: {slope:.2f} MB for every 1,000 clips")


@score_benchmark.command("score-small", hidden=True)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def score_small(manifest: Path, out: Path) -> None:
    """One measurement of `memory` or `kill`, in a process of its own."""
    torch.set_num_threads(1)
    begun = time.perf_counter()
    score_clips(manifest, out, model=small_model(), progress=lambda stage, *_: print(stage, flush=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"megabytes": peak, "seconds": time.perf_counter() - begun}))


@score_benchmark.command()
@click.option("--times", default=20, show_default=True)
@click.option("--clips", "count", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def kill(times: int, count: int, seed: int) -> None:
    """Kill a run at random moments, complete it, and compare its table with that of an undisturbed run."""
    generator = random.Random(seed)  # noqa: S311 – moments, not secrets
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        manifest = write_manifest(home / "set.csv", make_films(home), count, broken=20)
        subprocess.run(_small(manifest, home / "whole"), check=True, capture_output=True)
        for killed in range(1, times + 1):
            scored = _killed(manifest, home / "out", after=generator.randint(0, 2 * count // times), moments=generator)
            print(f"kill {killed} after {scored} clips: {len(list(home.glob('out/scores/part-*')))} parts are whole")
        subprocess.run(_small(manifest, home / "out"), check=True, capture_output=True)
        same = (home / "out/scores.csv").read_bytes() == (home / "whole/scores.csv").read_bytes()
        print(f"killed {times} times, then completed: scores.csv has {'the same' if same else 'OTHER'} bytes")


def _killed(manifest: Path, out: Path, *, after: int, moments: random.Random) -> int:
    """Kill a run once it has scored some clips, a few milliseconds later; returns how many it had."""
    with subprocess.Popen(_small(manifest, out), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        scored = sum(1 for _ in islice(process.stdout, after))
        time.sleep(moments.uniform(0.0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
    return scored


def _small(manifest: Path, out: Path) -> list[str]:
    return [sys.executable, __file__, "score-small", str(manifest), str(out)]


class SmallNet(nn.Module):
    """Two convolutions on 8 frames of 24 × 24."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv3d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv3d(8, 16, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(16, 5)

    def forward(self, clip: Tensor) -> Tensor:
        """(N, 3, 8, 24, 24) → (N, 5)."""
        scores: Tensor = self.head(self.features(clip).mean(dim=(2, 3, 4)))
        return scores


def small_model() -> Model:
    """Random, the same every time."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        network = SmallNet().eval()
    scaling = Scaling((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    spec = ModelSpec("small", 8, Fraction(25), (24, 24), (24, 24), scaling, 5, "features.3")
    return Model(spec, network, ("a", "b", "c", "d", "e"), "random (seed 0)")


def make_films(folder: Path) -> list[Path]:
    """Films of noise, FRAMES frames of 32 × 32 at 25 a second."""
    paths = []
    for number in range(FILMS):
        frames = np.random.default_rng(number).integers(0, 256, (FRAMES, 32, 32, 3), dtype=np.uint8)
        path = folder / f"film{number}.mp4"
        with VideoWriter(path, size=(32, 32), fps=Fraction(25), time_base=Fraction(1, 12800)) as writer:
            for index, frame in enumerate(frames):
                writer.write(frame, index / 25)
        paths.append(path)
    return paths


def write_manifest(path: Path, films: Sequence[Path], count: int, *, broken: int = 0) -> Path:
    """A set of `count` windows of the films; with `broken`, every so manyth clip is not there."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "start", "group"))
        writer.writerows(_rows(films, count, broken))
    return path


def _rows(films: Sequence[Path], count: int, broken: int) -> Iterable[tuple[str, str, str]]:
    for index in range(count):
        name = "nowhere.mp4" if broken and index % broken == broken - 1 else films[index % len(films)].name
        yield name, f"{0.04 * (index // len(films) % 50):.2f}", f"group {index // 4}"


if __name__ == "__main__":
    score_benchmark()
