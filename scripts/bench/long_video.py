"""A long video: wall time of `explain` and `render`, beside the sum of their stages by the runs' own clocks.

Stages overlap: the wall time is below the sum, the more so the better cores are shared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import click

import vidcam
from scripts.bench.processes import peak_megabytes
from scripts.bench.timing import timed
from scripts.bench.videos import make_minutes
from scripts.library import explain_video
from vidcam.models.registry import load_model


@click.command("long-video")
@click.option("--video", type=click.Path(exists=True, path_type=Path), help="Default: a made one.")
@click.option("--minutes", default=60, show_default=True, help="Of a made one.")
@click.option("--model", "name", default="tiny_r3d", show_default=True)
def long_video(*, video: Path | None, minutes: int, name: str) -> None:
    """Wall time and memory of `explain` and `render --strip`, beside the sum of their stages."""
    model = load_model(name, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        source, again = video or make_minutes(out.with_name("video.mp4"), minutes), out.with_name("again.mp4")
        _measure("explain", lambda: explain_video(model, source, out))
        (saved,) = out.glob("*.npz")
        _measure("render", lambda: vidcam.render_video(saved, again, strip=True).stage_seconds)


def _measure(work: str, run: Callable[[], Mapping[str, float]]) -> None:
    stages: dict[str, float] = {}
    wall, processor = timed(lambda: stages.update(run()))
    total = sum(stages.values())
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in stages.items())
    click.echo(f"{work}: {wall:.1f} s ({processor:.1f} of processors), peak until here {peak_megabytes():.0f} MB")
    click.echo(f"  stages {total:.1f} s, ratio {wall / total:.2f}: {parts}")
