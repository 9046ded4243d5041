"""A long film: wall time of `explain` and `render`, beside the time of each of their stages run alone.

What overlaps is run once more by itself over the whole film, through the same code: decoding for the model, the model
with maps and measures on one batch again and again, decoding for drawing, drawing frames that are kept in memory, and
encoding pictures that are. What comes but once (probing, the scale, the sheet) is taken from the run's own clock. If
stages overlap, the wall time is below the sum; the bar is 1.10 times the sum on a processor whose cores they share.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
from benchmark_render import make_long_film
from torch import Tensor

from vidcam.cam.ask import Ask
from vidcam.cam.methods import volume_methods
from vidcam.media import Frames, Seconds
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.analyse import Footage, Question, analyse, target_layers
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.options import DEFAULT_BATCH, ExplainOptions
from vidcam.pipelines.prepare import prepare
from vidcam.pipelines.render.compose import Composition
from vidcam.pipelines.render.options import RenderOptions
from vidcam.pipelines.render.paint import Look, Moment, Painter
from vidcam.pipelines.render.renderer import render_film
from vidcam.pipelines.render.shown import chosen
from vidcam.pipelines.windows import batches
from vidcam.results.video import Film, load_film
from vidcam.sampling import plan_windows
from vidcam.system.progress import silent
from vidcam.system.threads import Clock, prefetch
from vidcam.video.reader import VideoReader, open_video
from vidcam.video.writer import VideoWriter

KEPT = 250
"""Frames and pictures that are kept in memory, to be drawn and encoded again and again."""

METHODS = ("gradcam",)
_OVERLAPPED = (
    "decode for the model",
    "model and maps",
    "faithfulness",
    "decode for drawing",
    "blend",
    "draw",
    "encode",
)


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the clock, and of all processors."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.processor:.1f} of processors)"


@click.command()
@click.option("--minutes", default=60, show_default=True)
@click.option("--model", "name", default="tiny_r3d", show_default=True)
def film(*, minutes: int, name: str) -> None:
    """Wall time of `explain` and `render` on a long film, beside the sum of their stages run alone."""
    model = load_model(name, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        source, out = make_long_film(Path(folder) / "film.mp4", minutes), Path(folder) / "out"
        explainer = Explainer(model, ExplainOptions(methods=METHODS, targets=(0,)))
        options = RenderOptions(has_strip=True)
        works: dict[str, Callable[[], dict[str, float]]] = {
            "explain": lambda: explainer.explain(source, out).stage_seconds,
            "render": lambda: render_film(out / "film.npz", out / "again.mp4", options=options).stage_seconds,
        }
        for work, run in works.items():
            stages: dict[str, float] = {}
            whole = _took(lambda run=run, stages=stages: stages.update(run()))  # type: ignore[misc]
            once = {stage: seconds for stage, seconds in stages.items() if stage not in _OVERLAPPED}
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            with open_video(source) as reader:
                maps = load_film(out / "film.npz")
                alone = (
                    _explain_alone(model, reader, maps) if work == "explain" else _render_alone(reader, maps, options)
                )
            _report(f"{work}, {minutes} min", whole, alone, once)
            click.echo(f"  peak memory until here {peak:.0f} MB")


def _report(title: str, whole: Took, alone: Mapping[str, Took], once: Mapping[str, float]) -> None:
    total = sum(each.wall for each in alone.values()) + sum(once.values())
    busy = sum(each.processor for each in alone.values()) + sum(once.values())
    click.echo(f"{title}: {whole}; stages alone {total:.1f} s ({busy:.1f} of processors)")
    click.echo(f"  ratio {whole.wall / total:.2f} by the clock, {whole.processor / busy:.2f} in processor time")
    for stage, took in alone.items():
        click.echo(f"  {stage}: {took}")
    click.echo(f"  once: {', '.join(f'{stage} {seconds:.1f}' for stage, seconds in once.items())}")


def _explain_alone(model: Model, reader: VideoReader, maps: Film) -> dict[str, Took]:
    spec, layers = model.spec, target_layers(model, ())[0]
    ready = prepare(model, layers).model
    windows = plan_windows(reader.info, frames=spec.frames, fps=spec.fps, overlap=0.5)
    footage = Footage(reader, tuple(windows), spec.geometry(reader.info.size))
    question = Question(
        methods=METHODS,
        targets=(0,),
        ask=Ask(volume_methods(METHODS), None, "logit", 1.0),
        layers=layers,
        fusion="mean",
        fill="black",
        batch_size=DEFAULT_BATCH["cpu"],
    )
    _, batch = next(batches(reader, windows, spec, footage.geometry, size=question.batch_size))

    def same(*_: object, size: int, **__: object) -> Iterator[tuple[range, Tensor]]:
        for start in range(0, len(windows), size):
            indices = range(start, min(start + size, len(windows)))
            yield indices, batch[: len(indices)]

    def decode() -> None:  # in a thread, as `explain` does: torch's own threads are slower at it, and busier
        made = batches(reader, windows, spec, footage.geometry, size=question.batch_size)
        for _ in prefetch(made, depth=1):
            pass

    def explain() -> None:
        with patch("vidcam.pipelines.explain.analyse.batches", same):
            analyse(ready, footage, question, clock=Clock(), progress=silent)

    pts, painter = reader.info.pts_seconds, Painter(maps, Look())
    first = {"decode for the model": _took(decode), "model, maps, measures": _took(explain)}
    return first | _drawn_alone(
        reader, pts, lambda second, frame: Moment(painter, second, frame).picture("overlay", "gradcam", 0)
    )


def _render_alone(reader: VideoReader, maps: Film, options: RenderOptions) -> dict[str, Took]:
    pts, shown = reader.info.pts_seconds, chosen(maps, (), (), all_of_them=False)
    composition = Composition(maps, shown, options, pts, reader.info.duration_seconds)
    return _drawn_alone(reader, pts, composition.picture)


def _drawn_alone(reader: VideoReader, pts: Seconds, picture: Callable[[float, Frames], Frames]) -> dict[str, Took]:
    """Decoding, drawing and encoding, each of all frames."""
    frames = [frame for _, frame in islice(reader.frames(), KEPT)]
    pictures = [picture(second, frame) for second, frame in zip(pts.tolist(), frames, strict=False)]

    def decode() -> None:
        for _ in reader.frames_at(pts):
            pass

    def draw() -> None:
        for second, frame in zip(pts.tolist(), cycle(frames), strict=False):
            picture(second, frame)

    return {
        "decode for drawing": _took(decode),
        "draw": _took(draw),
        "encode": _took(lambda: _encode(reader, pts, pictures)),
    }


def _encode(reader: VideoReader, pts: Seconds, pictures: Sequence[Frames]) -> None:
    info, size = reader.info, np.shape(pictures[0])[:2]
    with tempfile.TemporaryDirectory() as folder:
        given: dict[str, Any] = {
            "fps": info.fps,
            "time_base": info.time_base,
            "duration_seconds": info.duration_seconds,
        }
        with VideoWriter(Path(folder) / "film.mp4", size=(size[0], size[1]), **given) as writer:
            for second, frame in zip(pts.tolist(), cycle(pictures), strict=False):
                writer.write(frame, second)


def _took(work: Callable[[], object]) -> Took:
    started, worked = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - started, time.process_time() - worked)
