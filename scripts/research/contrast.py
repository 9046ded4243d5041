"""Visibility of the overlay, and of the frame below it: palettes and opacity curves, measured on clips.

change     of the frames whose heat reaches a quarter of the video's maximum: the share in which the 16 × 16 block with
           the highest mean heat changes by less than 20 of 255 (mean absolute change over its pixels and channels)
edges      under the hottest tenth of the pixels of such a frame: the correlation of the gradients of luma, as vectors,
           before and after drawing
contrast   there, too: the share of these gradients that is kept (slope of a regression through 0)
faint      the largest change of any pixel value by heat below 0.02
L*         the smallest step in CIE lightness between ten colours of the palette, for readers with and without colour
           blindness; below 0: the palette is not ordered
L* drawn   the same of ten colours drawn over mid-grey, of heat from 0.25 to 1
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

import vidcam
from scripts import markdown
from scripts.research.colour_vision import VISIONS, lab
from vidcam.media import Frames
from vidcam.models.registry import load_model
from vidcam.render.colormap import DEFAULT_COLOURS, ColourTable, colour_table
from vidcam.render.overlay import GROUND, OPACITY, blend_table, opacity_curve
from vidcam.results.video import VideoExplanation
from vidcam.video.reader import open_video

METHODS = ("neutral-gradcam", "gradcam++")
BLOCK_PX, LEAST_CHANGE, LEAST_CORRELATION = 16, 20, 0.6
REACHED = 64
"""Step of heat that is a quarter of the video's maximum."""

LUMA = np.array([0.2126, 0.7152, 0.0722])

Steps = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Frames of one clip, inside the model's view, with their heat by one method.

    Attributes:
        kind: kind of footage.
        name: name of the clip.
        method: the method.
        frames: (F, H, W, 3).
        steps: (F, H, W) heat in steps of 1/255.
    """

    kind: str
    name: str
    method: str
    frames: Frames
    steps: Steps


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A way to draw: its name, its palette (256, 3), and the opacity of each step of heat (256,)."""

    name: str
    table: ColourTable
    opacities: NDArray[np.float64]


def candidates() -> list[Candidate]:
    """Return the earlier overlay, the chosen one, and others. The first two are compared clip by clip."""
    heat = np.linspace(0.0, 1.0, 256)
    root = 0.6 * np.sqrt(np.clip((heat - 0.02) / 0.98, 0.0, 1.0))
    palettes = {"inferno from 0.3": colour_table("inferno")[np.linspace(77, 255, 256).round().astype(int)]}
    palettes |= {name: colour_table(name) for name in ("inferno", "plasma", "viridis", "turbo")}
    chosen, curve = colour_table(), opacity_curve(OPACITY)
    return [
        Candidate("inferno, 0.6 · heat (earlier)", palettes["inferno"], 0.6 * heat),
        Candidate(f"{DEFAULT_COLOURS}, the curve, {OPACITY} (chosen)", chosen, curve),
        Candidate("vidcam, 0.6 · heat", chosen, 0.6 * heat),
        Candidate("vidcam, 0.6 · √heat from 0.02 on", chosen, root),
        Candidate("vidcam, the curve, 0.5", chosen, opacity_curve(0.5)),
        Candidate("vidcam, the curve, 0.8", chosen, opacity_curve(0.8)),
        *(
            Candidate(f"{name}, the curve, {OPACITY}", table, opacity_curve(OPACITY))
            for name, table in palettes.items()
        ),
    ]


def samples(clips: Path, cache: Path, seconds: float, every: int) -> Iterator[Sample]:
    """Explain what is not in the cache, and read the frames."""
    model = None
    for clip in sorted(path for path in clips.glob("*/*") if not path.name.startswith(".")):
        kind = clip.parent.name
        saved = cache / kind / f"{clip.stem}.npz"
        if not saved.exists():
            model = model or load_model("i3d")
            vidcam.explain_video(clip, saved.parent, model=model, methods=METHODS, outputs=("data",), end=seconds)
        explanation = vidcam.load(saved)
        assert isinstance(explanation, VideoExplanation)
        view = explanation.geometry.view_slices()
        with open_video(clip) as reader:
            moments = reader.info.pts_seconds[reader.info.pts_seconds < seconds][::every]
            frames = np.stack([frame[view] for _, frame in reader.frames_at(moments)])
        for method in METHODS:
            heats = (explanation.source_heat(method, second) for second in moments.tolist())
            steps = np.stack([(heat * 255 + 0.5).astype(np.uint8) for heat in heats])
            yield Sample(kind, clip.stem, method, frames, steps)


def measure(sample: Sample, candidate: Candidate) -> NDArray[np.float64]:
    """Measure each frame whose heat reaches a quarter: (F', 3) change of the block, edges, contrast."""
    lookup = blend_table(candidate.table, candidate.opacities)
    rows = [
        (_change(frame, steps, lookup), *_edges(frame, steps, lookup))
        for frame, steps in zip(sample.frames, sample.steps, strict=True)
        if steps.max() >= REACHED
    ]
    return np.array(rows).reshape(-1, 3)


def faint_change(candidate: Candidate) -> int:
    """Return the largest change of any value by heat below 0.02."""
    lookup = blend_table(candidate.table, candidate.opacities)[:, : int(0.02 * 255) + 1].astype(int)
    return int(np.abs(lookup - np.arange(256)).max())


def lightness_step(table: ColourTable, first: int = 0) -> float:
    """Return the smallest step of L* between ten colours, from the row `first` on, for all kinds of vision."""
    ten = table[np.linspace(first, 255, 10).round().astype(int)]
    return float(min(np.diff(lab(ten, vision)[:, 0]).min() for vision in VISIONS))


def _drawn(frame: Frames, steps: Steps, lookup: NDArray[np.uint8]) -> Frames:
    return np.stack([lookup[channel][steps, frame[..., channel]] for channel in range(3)], axis=-1)


def _change(frame: Frames, steps: Steps, lookup: NDArray[np.uint8]) -> float:
    rows, columns = (side // BLOCK_PX for side in steps.shape)
    blocks = steps[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    row, column = np.unravel_index(blocks.mean(axis=(1, 3)).argmax(), (rows, columns))
    block = tuple(slice(BLOCK_PX * int(index), BLOCK_PX * (int(index) + 1)) for index in (row, column))
    return float(np.abs(_drawn(frame[block], steps[block], lookup).astype(int) - frame[block]).mean())


def _edges(frame: Frames, steps: Steps, lookup: NDArray[np.uint8]) -> tuple[float, float]:
    hottest = steps >= np.percentile(steps, 90)
    before, after = (
        np.concatenate([slope[hottest] for slope in np.gradient(picture @ LUMA)])
        for picture in (frame, _drawn(frame, steps, lookup))
    )
    if not before.any():
        return 1.0, 1.0  # there are no edges
    return float(np.corrcoef(before, after)[0, 1]), float(before @ after / (before @ before))


def _row(name: str, values: NDArray[np.float64]) -> tuple[str, ...]:
    change, edges, contrast = values.T
    return (
        name,
        str(len(values)),
        f"{100 * (change < LEAST_CHANGE).mean():.1f} %",
        f"{np.median(change):.0f}",
        f"{np.median(edges):.2f}",
        f"{100 * (edges < LEAST_CORRELATION).mean():.1f} %",
        f"{np.median(contrast):.2f}",
    )


HEAD = ("frames", f"change < {LEAST_CHANGE}", "median change", "edges", f"edges < {LEAST_CORRELATION}", "contrast")


def _by_candidate(values: Sequence[NDArray[np.float64]], drawn: Sequence[Candidate]) -> list[str]:
    rows = []
    for candidate, every in zip(drawn, values, strict=True):
        over_grey = blend_table(candidate.table, candidate.opacities)[:, :, GROUND].T
        steps = (lightness_step(candidate.table), lightness_step(over_grey, REACHED))
        rows.append((*_row(candidate.name, every), str(faint_change(candidate)), *(f"{step:+.1f}" for step in steps)))
    return markdown.table(("palette, opacity", *HEAD, "faint", "L*", "L* drawn"), rows)


@click.command()
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--cache", type=click.Path(path_type=Path), required=True, help="Folder for the explanations.")
@click.option("--seconds", default=5.0, show_default=True, help="Explained part of each clip, from its start.")
@click.option("--every", default=4, show_default=True, help="Measure every n-th frame.")
def contrast(*, clips: Path, cache: Path, seconds: float, every: int) -> None:
    """Print the tables in Markdown. CLIPS has a subfolder with videos for each kind of footage."""
    drawn = candidates()
    found: dict[tuple[str, str, str], list[NDArray[np.float64]]] = {}
    for sample in samples(clips, cache, seconds, every):
        if sample.steps.max() >= REACHED:
            found[sample.kind, sample.name, sample.method] = [measure(sample, candidate) for candidate in drawn]
    pooled = [np.concatenate([values[number] for values in found.values()]) for number in range(len(drawn))]
    click.echo("\n".join([*_by_candidate(pooled, drawn), ""]))
    kinds = dict.fromkeys((kind, method) for kind, _, method in found)
    for number, title in enumerate(("earlier", "chosen")):
        rows = []
        for kind, method in kinds:
            clip_values = [values[number] for key, values in found.items() if (key[0], key[2]) == (kind, method)]
            worst = max(float((values[:, 0] < LEAST_CHANGE).mean()) for values in clip_values)
            rows.append((*_row(f"{kind}, {method}", np.concatenate(clip_values)), f"{100 * worst:.0f} %"))
        click.echo("\n".join([*markdown.table((title, *HEAD, "worst clip"), rows), ""]))
    worst_first = sorted(found.items(), key=lambda item: -float((item[1][1][:, 0] < LEAST_CHANGE).mean()))
    rows = [_row(f"{name}, {method}", values[1]) for (_, name, method), values in worst_first[:5]]
    click.echo("\n".join(markdown.table(("worst clips, chosen", *HEAD), rows)))


if __name__ == "__main__":
    contrast()
