"""The overlap table: what overlap 0, 1/4 and 1/2 of the windows do to the blended maps of a video.

    scripts/run research.overlap                             # on clips of the motion set, where the truth is known
    scripts/run research.overlap --manifest clips.csv        # on your own clips, with I3D

A manifest has the columns of `vidcam score`. Of each clip the first 6 s are explained, for the top class.

The default was to become the smallest overlap that is not worse than 1/2 beyond these margins, chosen before the first
run. Truth: mean difference of pointing, temporal IoU and of videos whose top class is right -0.02, of energy 5 % of it.
Clips: median correlation with the heat of 1/2 0.9, its 10th percentile 0.8, another top class in 1 of 16, energy in
boxes 5 %, roughness 1.25 times that of 1/2, change at the joins twice that elsewhere.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from scripts import markdown
from scripts.research.long_clips import long_clip
from scripts.research.overlap_measures import at_joins, changes, correlation, jump
from vidcam.maps import Floats
from vidcam.metrics.intervals import bootstrap_mean
from vidcam.metrics.localization import energy, pointing
from vidcam.metrics.temporal_iou import temporal_iou
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.motion.box_tracks import filled_boxes
from vidcam.motion.clip import MotionClip
from vidcam.pipelines.explain.explainer import ExplainedVideo, Explainer
from vidcam.pipelines.explain.request import ExplainOptions
from vidcam.pipelines.score.boxes import read_box_tracks, region
from vidcam.pipelines.score.clips import Entry, read_clips
from vidcam.sampling import plan_windows
from vidcam.video.reader import open_video

OVERLAPS: Mapping[str, float] = {"0": 0.0, "1/4": 0.25, "1/2": 0.5}
TRUTH_METHODS = ("neutral-gradcam", "gradcam++", "gradcam")
METHODS = ("neutral-gradcam", "gradcam++")
TRUTH = ("top class right", "pointing", "energy", "temporal IoU")
CLIPS = ("correlation", "roughness", "jump", "energy in boxes")
FIRST_SEED, SEED, FPS = 700_000, 0, 25
LONGEST_SECONDS = 6.0
REFERENCE = "1/2"
EVERY_CELL = np.s_[:, 2::4, 2::4]
"""Of the heat of a clip every fourth row and column is measured. Maps of I3D have 7 × 7 cells."""

Measured = Mapping[str, NDArray[np.float64]]
"""Measure → (N,), one value per video."""


@click.command()
@click.option("--manifest", type=click.Path(path_type=Path), help="Clips for I3D, instead of the motion set.")
@click.option("--videos", type=click.IntRange(1), default=160, show_default=True, help="Videos of the motion set.")
def overlap(*, manifest: Path | None, videos: int) -> None:
    """Print the tables in Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        if manifest is not None:
            _print_clips(load_model("i3d", device="cpu"), read_clips(manifest, out=Path(folder)).entries, Path(folder))
            return
        model = load_model("tiny_r3d", device="cpu")
        for turns, title in ((1, "Action of 7 to 11 frames, less than a window"), (3, "Action of 21 to 33 frames")):
            _print_truth(model, title, made_clips(videos, turns=turns), Path(folder))


def made_clips(count: int, *, turns: int) -> list[MotionClip]:
    """Make long clips of all classes in turn."""
    return [long_clip(FIRST_SEED + index, index % 8, turns=turns) for index in range(count)]


def _print_truth(model: Model, title: str, clips: Sequence[MotionClip], folder: Path) -> None:
    measured = {name: truth(model, clips, overlap, folder) for name, overlap in OVERLAPS.items()}
    click.echo(f"## {title}\n\n{len(clips)} videos of {len(clips[0].frames)} frames\n")
    click.echo("\n".join([*_rows(measured, TRUTH, TRUTH_METHODS), ""]))


def _rows(
    measured: Mapping[str, Mapping[str, Measured]],
    columns: Sequence[str],
    methods: Sequence[str],
    groups: Sequence[str] | None = None,
) -> list[str]:
    """One row for each method and overlap, then their differences video by video."""
    rows = []
    for method in methods:
        for name, values in measured.items():
            rows.append((method, name, *(interval(values[method][column], groups) for column in columns)))
        for name in list(measured)[:-1]:
            pairs = ((measured[name][method][column], measured[REFERENCE][method][column]) for column in columns)
            rows.append((method, f"{name} - {REFERENCE}", *(interval(a - b, groups, sign="+") for a, b in pairs)))
    return markdown.table(("method", "overlap", *columns), rows)


def interval(values: NDArray[np.float64], groups: Sequence[str] | None = None, *, sign: str = "") -> str:
    """Format as '0.534 [0.501, 0.562]'. All intervals draw the same videos."""
    mean = bootstrap_mean(values, np.random.default_rng(SEED), groups=groups)
    value, low, high = (f"{part:{sign}.3f}" for part in (mean.value, mean.low, mean.high))
    return f"{value} [{low}, {high}]"


def truth(model: Model, clips: Sequence[MotionClip], overlap: float, folder: Path) -> dict[str, Measured]:
    """Explain made clips for their true class; method → measure → (N,)."""
    explainers = {
        label: Explainer(
            model,
            ExplainOptions(
                methods=TRUTH_METHODS, targets=(label,), overlap=overlap, outputs="data", fps=FPS, overwrite=True
            ),
        )
        for label in sorted({clip.label for clip in clips})
    }
    rows: dict[str, list[tuple[float, ...]]] = {method: [] for method in TRUTH_METHODS}
    for clip in clips:
        video = explainers[clip.label].explain(clip.frames, folder)
        is_right = float(video.document.top5[0].index == clip.label)
        for method in TRUTH_METHODS:
            heat = video.explanation.heat(method, np.arange(len(clip.frames)) / FPS)
            rows[method].append((is_right, *truth_measures(heat, clip)))
    return {method: dict(zip(TRUTH, np.array(values).T, strict=True)) for method, values in rows.items()}


def truth_measures(heat: Floats, clip: MotionClip) -> tuple[float, float, float]:
    """Return pointing, energy and temporal IoU of a heat (T, H, W) against the actor's boxes while it acts."""
    inside, acting = (np.asarray(part.any(axis=0)) for part in (filled_boxes(clip), clip.acting))
    return (
        float(pointing(heat[None], inside[None])[0]),
        float(energy(heat[None], inside[None])[0]),
        float(temporal_iou(heat[None], acting[None])[0]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class ClipRun:
    """One clip explained with one overlap.

    Attributes:
        top_class: index of the top class.
        windows: number of windows.
        heats: method → (S, H, W).
        measures: method → measure → value; NaN for energy without boxes.
    """

    top_class: int
    windows: int
    heats: Mapping[str, Floats]
    measures: Mapping[str, Mapping[str, float]]


def run_clips(model: Model, entries: Sequence[Entry], folder: Path) -> Iterator[dict[str, ClipRun]]:
    """Explain each clip with each overlap; yields overlap → run."""
    explainers = {
        name: Explainer(
            model,
            ExplainOptions(methods=METHODS, overlap=overlap, end=LONGEST_SECONDS, outputs="data", overwrite=True),
        )
        for name, overlap in OVERLAPS.items()
    }
    for entry in entries:
        runs = {name: _run(explainer, model, entry, folder) for name, explainer in explainers.items()}
        click.echo(f"{entry.name}: {[runs[name].windows for name in OVERLAPS]} windows", file=sys.stderr)
        yield runs


def _run(explainer: Explainer, model: Model, entry: Entry, folder: Path) -> ClipRun:
    video = explainer.explain(entry.source, folder)
    heats, measures = _clip_heats(video, model, entry)
    return ClipRun(video.document.top5[0].index, len(video.document.windows), heats, measures)


def _clip_heats(
    video: ExplainedVideo, model: Model, entry: Entry
) -> tuple[dict[str, Floats], dict[str, dict[str, float]]]:
    with open_video(entry.source) as reader:
        info = reader.info
    spec, explanation = model.spec, video.explanation
    apart = plan_windows(info, frames=spec.frames, fps=spec.fps, overlap=0.0, end_seconds=LONGEST_SECONDS)
    seconds = info.pts_seconds[info.pts_seconds < min(apart[-1].end_seconds, LONGEST_SECONDS)]
    is_join = at_joins(seconds, np.array([window.start_seconds for window in apart[1:]]))
    inside = region(read_box_tracks(entry.boxes or "[]"), info.pts_seconds, seconds, explanation.geometry)[EVERY_CELL]
    heats, measures = {}, {}
    for method in METHODS:
        heat = explanation.heat(method, seconds)[EVERY_CELL]
        steps = changes(heat)
        in_boxes = float(energy(heat[None], inside[None])[0]) if entry.boxes else np.nan
        heats[method] = heat
        measures[method] = {"roughness": steps.mean(), "jump": jump(steps, is_join), "energy in boxes": in_boxes}
    return heats, measures


def _print_clips(model: Model, entries: Sequence[Entry], folder: Path) -> None:
    rows: dict[str, dict[str, list[tuple[float, ...]]]] = {name: {m: [] for m in METHODS} for name in OVERLAPS}
    totals: dict[str, list[tuple[int, bool]]] = {name: [] for name in OVERLAPS}
    for runs in run_clips(model, entries, folder):
        reference = runs[REFERENCE]
        for name, run in runs.items():
            is_same = run.top_class == reference.top_class
            totals[name].append((run.windows, is_same))
            for method in METHODS:
                agreement = correlation(run.heats[method], reference.heats[method]) if is_same else np.nan
                rows[name][method].append((agreement, *(run.measures[method][column] for column in CLIPS[1:])))
    measured = {
        name: {method: dict(zip(CLIPS, np.array(values).T, strict=True)) for method, values in parts.items()}
        for name, parts in rows.items()
    }
    click.echo("\n".join([f"## I3D, {len(entries)} clips\n", *_cost(totals), ""]))
    click.echo("\n".join([*_agreement(measured), ""]))
    click.echo("\n".join([*_rows(measured, CLIPS[1:], METHODS, [entry.group for entry in entries]), ""]))


def _cost(totals: Mapping[str, Sequence[tuple[int, bool]]]) -> list[str]:
    rows = []
    for name, runs in totals.items():
        windows, same = (sum(values) for values in zip(*runs, strict=True))
        rows.append((name, f"{windows}", f"{same} of {len(runs)}"))
    return markdown.table(("overlap", "windows", "same top class"), rows)


def _agreement(measured: Mapping[str, Mapping[str, Measured]]) -> list[str]:
    rows = []
    for method in METHODS:
        for name in list(OVERLAPS)[:-1]:
            values = measured[name][method]["correlation"]
            rows.append((method, name, *(f"{value:.3f}" for value in np.nanpercentile(values, (50, 10, 0)))))
    return markdown.table(("method", "overlap", "median", "10th percentile", "smallest"), rows)


if __name__ == "__main__":
    overlap()
