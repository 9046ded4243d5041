"""Frames per second of `render` alone, beside plainly decoding and encoding the same film with the same encoder.

Both are run by turns in one process, so that a machine whose speed drifts treats them alike; the ratio is the median of
the pairs. The film is a texture that drifts under a little noise; the maps are noise on a 7 × 7 grid.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import cast

import av
import click
import numpy as np
from av.video.stream import VideoStream
from PIL import Image

from vidcam.geometry import centre_crop, short_side_resize
from vidcam.pipelines.render.options import STYLES, RenderOptions
from vidcam.pipelines.render.renderer import render_film
from vidcam.results.explanation import Explanation
from vidcam.results.origin import Origin
from vidcam.results.timeline import Timeline
from vidcam.results.video import Film, film_bounds
from vidcam.system.fingerprint import sampled_sha256
from vidcam.video.encoders import H264
from vidcam.video.writer import VideoWriter

SIZES = {"340x256": (256, 340, 500), "1080p": (1080, 1920, 100), "4K": (2160, 3840, 40)}
"""Name → (height, width, frames)."""


@click.command()
@click.option("--size", "names", multiple=True, type=click.Choice([*SIZES]), default=tuple(SIZES), show_default=True)
@click.option("--style", "styles", multiple=True, default=("overlay",), show_default=True, help=", ".join(STYLES))
@click.option("--strip", is_flag=True)
@click.option("--runs", default=5, show_default=True)
def render(*, names: tuple[str, ...], styles: tuple[str, ...], strip: bool, runs: int) -> None:
    """Frames per second of `render` beside plain decoding and encoding."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            height, width, count = SIZES[name]
            film = make_film(Path(folder) / f"{name}.mp4", (height, width), count)
            saved = save_maps(film, (height, width), count)
            for style in styles:
                options = RenderOptions(style=style, has_strip=strip, overwrite=True)  # type: ignore[arg-type]
                plain, drawn = _by_turns(
                    partial(plainly, film, film.with_name("plain.mp4")),
                    partial(render_film, saved, saved.with_name("out.mp4"), options=options),
                    runs,
                )
                ratios = [first / second for first, second in zip(plain, drawn, strict=True)]
                low, middle, high = statistics.quantiles(ratios, n=4)
                ways = [count / statistics.median(each) for each in (plain, drawn)]
                click.echo(
                    f"{name} {style}: plain {ways[0]:.1f}, render {ways[1]:.1f} frames a second, ratio {middle:.2f} "
                    f"({low:.2f} to {high:.2f})"
                )


@click.command("render-memory")
@click.option("--minutes", type=int, multiple=True, default=(1, 3, 10), show_default=True)
@click.option("--runs", default=1, show_default=True)
def render_memory(*, minutes: tuple[int, ...], runs: int) -> None:
    """Peak memory of `render` with its strip over films of growing length, each run in a process of its own."""
    program = (
        "import sys\nfrom vidcam.cli.app import main\nassert main(sys.argv[1:]) == 0\n"
        "(peak,) = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
        "print(int(peak.split()[1]) / 1024, file=sys.stderr)"  # ru_maxrss is the parent's where that was larger
    )
    environment = os.environ | {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 18)}
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for length in minutes:
            film = make_long_film(Path(folder) / f"{length}.mp4", length)
            saved = save_maps(film, (256, 340), 1500 * length)
            command = [sys.executable, "-c", program, "render", str(saved), "-o", str(film.with_name("out.mp4"))]
            found = []
            for _ in range(runs):
                done = subprocess.run(
                    [*command, "--strip", "--overwrite"], check=True, capture_output=True, text=True, env=environment
                )
                found.append(float(done.stderr))
            peaks.append(statistics.median(found))
            click.echo(f"{length} min: peak {peaks[-1]:.1f} MB")
    click.echo(f"slope: {np.polyfit(minutes, peaks, 1)[0]:.2f} MB a minute")


def make_film(path: Path, size: tuple[int, int], count: int) -> Path:
    """A texture that drifts, with some noise, at 25 frames a second."""
    height, width = size
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (height // 16 + 16, width // 16 + 16, 3), dtype=np.uint8))
    texture = np.asarray(small.resize((width + 256, height + 128), Image.Resampling.BICUBIC)).astype(np.int16)
    noise = rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
    fps = Fraction(25)
    with VideoWriter(path, size=size, fps=fps, time_base=1 / fps, duration_seconds=count / 25) as writer:
        for index in range(count):
            top, left = index % 128, 2 * index % 256
            frame = texture[top : top + height, left : left + width] + np.roll(noise, 37 * index, axis=1)
            writer.write(np.clip(frame, 0, 255).astype(np.uint8), index / 25)
    return path


def save_maps(film: Path, size: tuple[int, int], count: int) -> Path:
    """Maps of noise for a film, as `explain` would save them."""
    seconds = np.arange(count) / 25
    starts = np.arange(0.0, max(count / 25 - 1.27, 0.01), 0.64)
    ends = np.minimum(starts + 1.28, count / 25)
    ends[-1] = count / 25
    line = Timeline(starts, ends, starts[:, None] + np.linspace(0, 1.2, 16))
    volumes = np.random.default_rng(1).random((len(line), 2, 7, 7)).astype(np.float32)
    explanation = Explanation(
        volumes={"gradcam": volumes, "gradcam++": volumes[::-1].copy()},
        logits=np.random.default_rng(2).normal(size=(len(line), 5)).astype(np.float32),
        target=np.zeros(len(line), np.int64),
        foil=None,
        layer="layer",
        input_size=(16, 224, 224),
    )
    geometry = centre_crop(size, short_side_resize(size, 256), (224, 224))
    bounds = film_bounds(explanation, line, seconds)
    labels = dict(enumerate(("running", "jumping", "sitting", "waving", "falling")))
    made = Film(film.name, "noise", geometry, line, ("running",), (explanation,), (bounds,), class_labels=labels)
    path = film.with_suffix(".npz")
    replace(made, origin=Origin(film.name, sampled_sha256([film]), (0.0, count / 25))).save(path)
    return path


def plainly(film: Path, out: Path) -> None:
    """Decode and encode, with the encoder that `render` takes and nothing between."""
    with av.open(str(film)) as source, av.open(str(out), "w", format="mp4") as target:
        stream = source.streams.video[0]
        stream.thread_type = "AUTO"
        made = cast("VideoStream", target.add_stream(H264.name, rate=25, options=dict(H264.options)))
        made.height, made.width, made.pix_fmt = stream.height, stream.width, "yuv420p"
        for frame in source.decode(stream):
            frame.pict_type = 0  # the encoder's own choice
            target.mux(made.encode(frame))
        target.mux(made.encode(None))


def _by_turns(first: Callable[[], object], second: Callable[[], object], runs: int) -> tuple[list[float], list[float]]:
    """Seconds of each work, one beside the other, by turns before it; after a warm-up."""
    found: dict[Callable[[], object], list[float]] = {first: [], second: []}
    for run in range(runs + 1):
        for work in (first, second) if run % 2 else (second, first):
            started = time.perf_counter()
            work()
            if run:
                found[work].append(time.perf_counter() - started)
    return found[first], found[second]


def make_long_film(path: Path, minutes: int) -> Path:
    """One minute of the drifting texture, 340 × 256, its packets over and over."""
    minute = path.with_name("minute.mp4")
    if not minute.exists():
        make_film(minute, (256, 340), 1500)
    with av.open(str(minute)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        ticks = round(60 / (stream.time_base or Fraction(1)))
        for _ in range(minutes):
            for packet in packets:
                packet.stream = copy
                target.mux(packet)
                packet.pts, packet.dts = (packet.pts or 0) + ticks, (packet.dts or 0) + ticks
    return path
