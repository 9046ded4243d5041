"""Processor time of one core for a clip of 10 s: `python -m scripts.bench core --model i3d`."""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path

import click
import torch

from scripts.bench.by_hand import SIZES
from scripts.bench.timing import plain_forward, timed
from scripts.bench.videos import FPS, make_video
from scripts.library import BATCH, faster, grey_input
from vidcam.models.registry import load_model
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.samples import load_sample

_SECONDS = 10
_MEGA = 1e6


@click.command("core")
@click.option("--model", default="i3d", show_default=True)
@click.option("--runs", type=int, default=3, show_default=True)
def core(model: str, runs: int) -> None:
    """Print the processor time of a forward pass, and of decoding the central window of a video of 10 s."""
    torch.set_num_threads(1)
    loaded = load_model(model, device="cpu", weights="random")
    module, batch = faster(loaded, str(loaded.spec.layer)), grey_input(loaded.spec).repeat(BATCH, 1, 1, 1, 1)
    plain_forward(module, batch)
    forward = statistics.median(timed(lambda: plain_forward(module, batch))[1] for _ in range(runs)) / BATCH
    click.echo(f"{model}: a forward pass of a clip, in batches of {BATCH}: {forward:.3f} s of processor time")
    with tempfile.TemporaryDirectory() as place:
        for name in ("340 × 256", "1920 × 1080"):
            video = make_video(Path(place) / f"{name}.mp4", _SECONDS * FPS, SIZES[name][0])
            (entry,) = read_clips([video], out=Path(place) / "out").entries
            decode = statistics.median(timed(partial(load_sample, entry, loaded.spec))[1] for _ in range(runs))
            size = video.stat().st_size / _MEGA
            click.echo(f"{name}: {size:.1f} MB; its window of {loaded.spec.frames} frames decoded in {decode:.3f} s")
