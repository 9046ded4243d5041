"""A long video: wall time of `explain` and `render`, beside the time of each of their stages run alone.

What overlaps is run once more by itself over the whole video: decoding for the model, the model with maps and one
masked clip on one batch again and again, decoding for drawing, drawing frames that are kept in memory, and encoding
pictures that are. What comes but once (probing, the scale) is taken from the run's own clock. If stages overlap, the
wall time is below the sum; the bar is 1.10 times the sum on a processor whose cores they share.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from itertools import cycle, islice
from pathlib import Path

import click
import torch

import vidcam
from scripts.bench.processes import peak_megabytes
from scripts.bench.timing import Work, plain_forward, timed
from scripts.bench.videos import make_minutes
from scripts.library import BATCH, explain_video, faster, picture_of, render_options, window_inputs, windows_of
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.system.threads import prefetch
from vidcam.video.reader import VideoReader, open_video
from vidcam.video.writer import VideoWriter

KEPT = 250
"""Frames and pictures that are kept in memory, to be drawn and encoded again and again."""

OVERLAPPED = ("decode", "model", "faithfulness", "blend", "draw", "encode")
"""How the names of stages begin that run beside each other."""


@click.command("long-video")
@click.option("--minutes", default=60, show_default=True)
@click.option("--model", "name", default="tiny_r3d", show_default=True)
def long_video(*, minutes: int, name: str) -> None:
    """Wall time of `explain` and `render` on a long video, beside the sum of their stages run alone."""
    model = load_model(name, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        source, again = make_minutes(out.with_name("video.mp4"), minutes), out.with_name("again.mp4")
        saved, options = out / "video.npz", render_options(strip=True)
        works: dict[str, Callable[[], Mapping[str, float]]] = {
            "explain": lambda: explain_video(model, source, out),
            "render": lambda: vidcam.render_film(saved, again, options=options).stage_seconds,
        }
        for work, run in works.items():
            stages: dict[str, float] = {}
            whole = timed(lambda run=run, stages=stages: stages.update(run()))  # type: ignore[misc]
            once = sum(seconds for stage, seconds in stages.items() if not stage.startswith(OVERLAPPED))
            with open_video(source) as reader:
                drawn = _drawing(reader, saved, strip=work == "render")
                alone = (_explaining(model, reader) if work == "explain" else {}) | drawn
                times = {stage: timed(each) for stage, each in alone.items()}
            _print(f"{work}, {minutes} min", whole, times, once)


def _print(title: str, whole: tuple[float, float], alone: Mapping[str, tuple[float, float]], once: float) -> None:
    clock, processor = (sum(took[index] for took in alone.values()) + once for index in (0, 1))
    click.echo(f"{title}: {whole[0]:.1f} s ({whole[1]:.1f} of processors), peak until here {peak_megabytes():.0f} MB")
    click.echo(f"  stages alone {clock:.1f} s ({processor:.1f} of processors)")
    click.echo(f"  ratio {whole[0] / clock:.2f} by the clock, {whole[1] / processor:.2f} in processor time")
    for stage, took in alone.items():
        click.echo(f"  {stage}: {took[0]:.1f} s ({took[1]:.1f} of processors)")
    click.echo(f"  once: {once:.1f} s")


def _explaining(model: Model, reader: VideoReader) -> dict[str, Work]:
    layer, windows = str(model.spec.layer), windows_of(reader, model)
    network = faster(model, layer)

    def decode() -> None:  # in a thread, as `explain` does: torch's own threads are slower at it, and busier
        for _ in prefetch(window_inputs(reader, windows, model), depth=1):
            pass

    def explain() -> None:
        batch = torch.stack(list(islice(window_inputs(reader, windows, model), BATCH)))
        for start in range(0, len(windows), BATCH):
            given = batch[: len(windows) - start]
            vidcam.explain(network, given, layer=layer, methods=["gradcam++"], target=0)
            plain_forward(network, given)

    return {"decode for the model": decode, "model, maps, measures": explain}


def _drawing(reader: VideoReader, saved: Path, *, strip: bool) -> dict[str, Work]:
    """Decoding, drawing and encoding, each of all frames."""
    info, picture = reader.info, picture_of(saved, reader, render_options(strip=strip))
    seconds = info.pts_seconds.tolist()
    frames = [frame for _, frame in islice(reader.frames(), KEPT)]
    pictures = [picture(second, frame) for second, frame in zip(seconds, frames, strict=False)]

    def decode() -> None:
        for _ in reader.frames_at(info.pts_seconds):
            pass

    def draw() -> None:
        for second, frame in zip(seconds, cycle(frames), strict=False):
            picture(second, frame)

    def encode() -> None:
        height, width = pictures[0].shape[:2]
        out = saved.with_name("encoded.mp4")
        with VideoWriter(out, size=(height, width), fps=info.fps, time_base=info.time_base) as writer:
            for second, shown in zip(seconds, cycle(pictures), strict=False):
                writer.write(shown, second)

    return {"decode for drawing": decode, "draw": draw, "encode": encode}
