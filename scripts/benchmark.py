"""Measure vidcam: what maps cost over a plain forward pass, memory over the length of a film, wall time, accuracy.

Alternatives are run in turn in one process, so that a machine whose speed drifts treats them alike; ratios are medians
of paired runs.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from pathlib import Path

import av
import click
import numpy as np
import torch
from benchmark_film import film
from benchmark_peers import peers
from benchmark_render import render, render_memory
from benchmark_repeat import repeat
from benchmark_results import results
from benchmark_score import score_benchmark
from results_random import seek_plainly
from torch import Tensor, nn

from vidcam.cam.explain import explain
from vidcam.cam.methods import NEUTRAL_METHODS, PAIR_METHODS
from vidcam.cam.neutral import look_at_neutral
from vidcam.media import Seconds
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.options import ExplainOptions
from vidcam.pipelines.layout import reshape_of
from vidcam.preprocess import grey_input, to_model_input
from vidcam.sampling import central_start, plan_windows
from vidcam.video.reader import open_video, read_clip
from vidcam.video.writer import VideoWriter

Pair = tuple[tuple[float, float], tuple[float, float]]
"""(Seconds by the clock, seconds of processors) of a plain forward pass and of what is held beside it."""


@click.group()
def benchmark() -> None:
    """Measure vidcam on this machine."""


benchmark.add_command(peers)
benchmark.add_command(repeat)
benchmark.add_command(results)
benchmark.add_command(score_benchmark)
benchmark.add_command(render)
benchmark.add_command(render_memory)
benchmark.add_command(film)


@benchmark.command()
@click.option("--model", "names", multiple=True, default=("i3d",), show_default=True)
@click.option("--batch", "sizes", type=int, multiple=True, default=(1, 4), show_default=True)
@click.option("--runs", default=15, show_default=True)
@click.option("--layer", default=None)
@click.option("--method", "methods", multiple=True, default=(*PAIR_METHODS, *NEUTRAL_METHODS), show_default=True)
@click.option("--weights", type=click.Choice(["pretrained", "random"]), default="pretrained", show_default=True)
def cost(
    *,
    names: tuple[str, ...],
    sizes: tuple[int, ...],
    runs: int,
    layer: str | None,
    methods: tuple[str, ...],
    weights: str,
) -> None:
    """Methods with their audit, over a plain forward pass without gradients at the same batch."""
    click.echo(f"{', '.join(methods)} / forward, and forward / forward: medians (quartiles) of {runs} pairs,")
    click.echo("by the clock and in processor time, which other jobs on the machine disturb less")
    for name, size in product(names, sizes):
        model = load_model(name, device="cpu", weights="random" if weights == "random" else "pretrained")
        clip = torch.randn(size, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(0))
        forward, where = partial(_forward, model.module, clip), layer or str(model.spec.layer)
        shape = reshape_of(model.spec)
        neutral = look_at_neutral(model.module, grey_input(model.spec), layer=where, reshape=shape)
        maps = partial(explain, model.module, clip, layer=where, methods=methods, reshape=shape, neutral=neutral)
        pairs, control = _paired(forward, (maps, forward), runs)
        plain = statistics.median(first[0] for first, _ in pairs)
        found = ", ".join(_ratio(each, clock) for each in (pairs, control) for clock in (0, 1))
        click.echo(f"{name} at {where}, batch {size}, {plain / size:.3f} s a clip: {found}")


def _ratio(pairs: list[Pair], clock: int) -> str:
    low, median, high = statistics.quantiles([other[clock] / first[clock] for first, other in pairs], n=4)
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


@benchmark.command()
@click.option("--minutes", type=float, multiple=True, default=(1.0, 3.0, 10.0), show_default=True)
@click.option("--runs", default=3, show_default=True)
@click.option("--model", default="tiny_r3d", show_default=True)
def memory(minutes: tuple[float, ...], runs: int, model: str) -> None:
    """Peak memory of `explain` over films of growing length, each run in a process of its own, with a quick network.

    One allocator arena, because with one for each thread the peak of the same film varies by half; and batches given
    back to the system when they are freed, so that what counts is what is in use and not what lies between.
    """
    peaks = []
    environment = os.environ | {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 18)}
    with tempfile.TemporaryDirectory() as folder:
        for length in minutes:
            source = _make_film(Path(folder) / f"{length:g}.mp4", length)
            command = [
                sys.executable,
                __file__,
                "explain-once",
                model,
                str(source),
                str(Path(folder) / f"out{length:g}"),
            ]
            measured = []
            for _ in range(runs):
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                figures = json.loads(done.stdout)
                measured.append(figures["peak_megabytes"])
            peaks.append(statistics.median(measured))
            click.echo(
                f"{length:g} min: peak {peaks[-1]:.1f} MB, {figures['windows']} windows, {figures['seconds']:.0f} s"
            )
    slope = np.polyfit(minutes, peaks, 1)[0]
    click.echo(f"slope: {slope:.2f} MB a minute")


@benchmark.command("explain-once", hidden=True)
@click.argument("model")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def explain_once(model: str, source: Path, out: Path) -> None:
    """One explanation; prints its own peak memory."""
    started = time.perf_counter()
    result = Explainer(load_model(model, device="cpu"), ExplainOptions(overwrite=True)).explain(source, out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - started
    windows = len(result.document["windows"])
    click.echo(json.dumps({"peak_megabytes": peak, "windows": windows, "seconds": seconds}))


@benchmark.command()
@click.argument("film", type=click.Path(exists=True, path_type=Path))
@click.option("--runs", default=3, show_default=True)
def wall(film: Path, runs: int) -> None:
    """Wall time of a whole `explain` (I3D, default options) beside the sum of its stages' own times."""
    explainer = Explainer(load_model("i3d", device="cpu"), ExplainOptions(overwrite=True))
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            result = explainer.explain(film, folder)
            elapsed = time.perf_counter() - started
        stages = result.stage_seconds
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.items())
        total = sum(stages.values())
        click.echo(f"wall {elapsed:.2f} s, stages {total:.2f} s, ratio {elapsed / total:.3f}: {parts}")


@benchmark.command()
@click.argument("manifest", type=click.Path(exists=True, path_type=Path))
@click.option("--verbose", is_flag=True)
def accuracy(manifest: Path, *, verbose: bool) -> None:
    """Top-1 and top-5 of I3D on the central window of each clip of a CSV with the columns `file` and `label`."""
    model = load_model("i3d", device="cpu")
    ranks = []
    for row in csv.DictReader(manifest.read_text("utf-8").splitlines()):
        probabilities = _central_probabilities(model, manifest.parent / row["file"])
        own = probabilities[model.label_index(row["label"])]
        ranks.append(int((probabilities > own).sum()))
        if verbose:
            answer = model.label(int(probabilities.argmax()))
            click.echo(f"{row['file']}: rank {ranks[-1] + 1}, {row['label']} {own:.5f}, top-1 {answer}")
    count = len(ranks)
    for top in (1, 5):
        hits = sum(rank < top for rank in ranks)
        click.echo(f"top-{top}: {hits} of {count} ({hits / count:.3f})")


@benchmark.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--runs", default=7, show_default=True)
def decode(minutes: float, runs: int) -> None:
    """Random access to 16 frames, and reading from end to end: PyAV used plainly, ours, decord; in turn, medians."""
    import decord

    with tempfile.TemporaryDirectory() as folder:
        film = _make_film(Path(folder) / "film.mp4", minutes)
        with open_video(film) as reader:
            count, other = reader.info.frame_count, decord.VideoReader(str(film), num_threads=0)
            ways: dict[str, Callable[[Seconds], object]] = {
                "PyAV used plainly": partial(_plainly, film),
                "ours": lambda seconds: sum(1 for _ in reader.frames_at(seconds)),
                "decord": lambda seconds: other.get_batch((seconds * 25).round().astype(int).tolist()).asnumpy(),
            }
            times: dict[str, list[float]] = {name: [] for name in ways}
            generator = np.random.default_rng(0)
            for _ in range(runs):
                seconds = np.sort(generator.choice(count, 16, replace=False)) / 25
                for name, way in ways.items():
                    times[name].append(_seconds(partial(way, seconds)))
            for name, found in times.items():
                click.echo(f"16 random frames of {minutes:g} min, {name}: median {statistics.median(found):.3f} s")
            whole = _seconds(lambda: sum(1 for _ in reader.frames()))
            click.echo(f"all {count} frames, ours: {whole:.2f} s")
        again = decord.VideoReader(str(film), num_threads=0)
        whole = _seconds(lambda: [again[index].asnumpy().shape for index in range(count)])
        click.echo(f"all {count} frames, decord: {whole:.2f} s")


def _plainly(film: Path, seconds: Seconds) -> None:
    with av.open(str(film)) as container:
        container.streams.video[0].thread_type = "AUTO"
        seek_plainly(container, seconds)


def _make_film(path: Path, minutes: float) -> Path:
    """A texture that drifts, 340 × 256 at 25 frames a second."""
    texture = np.random.default_rng(0).integers(0, 256, (64, 85, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    count, fps = round(minutes * 60 * 25), Fraction(25)
    with VideoWriter(
        path, size=(256, 340), fps=fps, time_base=1 / fps, duration_seconds=count / 25, preset="ultrafast"
    ) as writer:
        for index in range(count):
            writer.write(np.roll(texture, (index, 2 * index), axis=(0, 1)), index / 25)
    return path


def _central_probabilities(model: Model, path: Path) -> np.ndarray:
    spec = model.spec
    with open_video(path) as reader:
        start = central_start(reader.info, frames=spec.frames, fps=spec.fps)
        (window,) = plan_windows(reader.info, frames=spec.frames, fps=spec.fps, clip_start_seconds=start)
        clip = read_clip(reader, window.times)
    return _forward(model.module, to_model_input(clip, spec).tensor).double().softmax(dim=1)[0].numpy()


def _forward(module: nn.Module, clip: Tensor) -> Tensor:
    with torch.no_grad():
        scores: Tensor = module(clip)
    return scores


def _paired(first: Callable[[], object], others: Sequence[Callable[[], object]], runs: int) -> list[list[Pair]]:
    """For each other work (time of the first, time of the other), one beside the other, by turns before it."""
    for warm_up in (first, *others):
        warm_up()
    pairs: list[list[Pair]] = [[] for _ in others]
    for run in range(runs):
        for found, other in zip(pairs, others, strict=True):
            early = _both_clocks(other) if run % 2 else None
            plain = _both_clocks(first)
            found.append((plain, _both_clocks(other) if early is None else early))
    return pairs


def _both_clocks(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of all processors."""
    started, worked = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - worked


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    benchmark()
