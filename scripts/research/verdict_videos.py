"""Test the verdict on real clips: does its score on one window tell what the maps keep on the others?

    scripts/run research.verdict_videos clips.csv --out rows.json        # measure with I3D, then print
    scripts/run research.verdict_videos --from rows.json                 # print an earlier measurement

Up to four windows of a video are measured, spread over it; they do not overlap. The class is the one with the highest
mean probability. Each window where the model is sure of it is judged once, and each pair of such windows. The truth is
measured on the others: the mean log of what a map keeps at half area with the black fill, and whether that is less
than what the centre keeps. A video with fewer than two such windows is left out, for pairs one with fewer than three.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from time import monotonic
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from scripts import markdown
from scripts.research.verdict_tables import auc
from vidcam.cam.attribution import open_attribution
from vidcam.cam.preserve import Undo
from vidcam.maps import Floats
from vidcam.metrics.agreement import mean_correlation
from vidcam.metrics.faithfulness import log_probability
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.forward import Prepared, map_request, prepare
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.verdict.checks import kept_checks, map_checks
from vidcam.pipelines.verdict.versions import FILLS, HeatOfClips, Key, hidden, steps
from vidcam.pipelines.windows import window_tensors
from vidcam.preprocess import fill_for, to_pixels
from vidcam.results.explanation import Explanation
from vidcam.results.verdict import CHECKS, FEATURES, FLOOR, SURE, features, judge
from vidcam.sampling import plan_windows
from vidcam.video.reader import open_video

METHODS = ("neutral-gradcam", "gradcam", "gradcam++")
MOST_JUDGED = (1, 2)
"""Numbers of windows that are judged at once."""

RESAMPLES = 400

LEAST = -7.0
"""Smaller logs are raised to this: less than 0.1 % is kept."""

Row = dict[str, Any]


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), required=False)
@click.option("--windows", type=click.IntRange(2), default=4, show_default=True, help="Most windows of a video.")
@click.option("--seconds", type=float, default=float("inf"), help="Start no further video after this time.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the rows in this JSON.")
@click.option("--from", "earlier", type=click.Path(path_type=Path), help="Read rows instead of measuring.")
def verdict_videos(
    *, manifest: Path | None, windows: int, seconds: float, out: Path | None, earlier: Path | None
) -> None:
    """Measure and print the table in Markdown."""
    rows: list[Row] = json.loads(earlier.read_text("utf-8")) if earlier else []
    if manifest is not None:
        model = load_model("i3d", device="cpu")
        prepared = prepare(model, [str(model.spec.layer)])
        with tempfile.TemporaryDirectory() as folder:
            entries = read_clips(manifest, out=Path(folder)).entries
        done, start = {row["video"] for row in rows}, monotonic()
        for number in np.random.default_rng(0).permutation(len(entries)).tolist():
            entry = entries[number]
            if entry.name not in done and monotonic() - start < seconds:
                rows += measured(prepared, entry.source, entry.name, most=windows, seed=number)
                click.echo(f"{entry.name}, {monotonic() - start:.0f} s", err=True)
                if out:
                    out.write_text(json.dumps(rows), "utf-8")
    print_tables(rows)


def spread_windows(model: Model, source: str, most: int) -> Tensor:
    """Return windows of a video that do not overlap, spread over it, (W, 3, T, H, W)."""
    with open_video(source) as reader:
        windows = plan_windows(reader.info, frames=model.spec.frames, fps=model.spec.fps, overlap=0.0)
        indices = np.linspace(0, len(windows) - 1, min(len(windows), most)).round().astype(int)
        geometry = model.spec.geometry(reader.info.size)
        return torch.stack(list(window_tensors(reader, [windows[index] for index in indices], model.spec, geometry)))


def measured(prepared: Prepared, source: str, name: str, *, most: int, seed: int) -> list[Row]:
    """Return a row for each sure window and method; none if fewer than two windows are sure."""
    model, clips = prepared.model, spread_windows(prepared.model, source, most)
    request = map_request(model, prepared.baseline.layers, methods=METHODS)
    request = replace(request, baseline_activations=prepared.baseline.activations)
    with Undo() as undo, undo:
        run = open_attribution(model.module, clips, request, undo)
        ranking = run.ranking()
        target, second = ranking.mean(dim=0).topk(2).indices.tolist()
        sure = [window for window, share in enumerate(ranking[:, target].tolist()) if share >= SURE]
        if len(sure) < 2:
            return []
        own, other = run.explain(target), run.explain(second)
    with Undo() as undo, undo:
        mirrored = open_attribution(model.module, clips.flip(-1), request, undo).explain(target)
    logs, logs_original = kept_logs(model, clips, own, seed), log_probability(torch.from_numpy(own.logits), own.target)
    measurements = Measurements(prepared, own, other, mirrored, logs, logs_original)
    parts = [part for count in MOST_JUDGED for part in combinations(sure, count) if len(part) < len(sure)]
    facts = {"video": name, "class": model.label(target)}
    return [facts | measurements.row(part, sure, method) for part in parts for method in METHODS]


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """What was measured on the windows of a video: maps of three kinds, and log probabilities by version."""

    prepared: Prepared
    own: Explanation
    other: Explanation
    mirrored: Explanation
    logs: dict[Key, NDArray[np.float64]]
    logs_original: NDArray[np.float64]

    def row(self, judged: Sequence[int], sure: Sequence[int], method: str) -> Row:
        """Return the checks of a map on the windows that are judged, means over them, and the truth on the others."""
        here, rest = list(judged), [each for each in sure if each not in judged]
        volume = self.own.volumes[method][here]
        checks = kept_checks(method, {key: log[here] for key, log in self.logs.items()}, self.logs_original[here])
        checks |= map_checks(volume, self.prepared.baseline.artifact)
        checks |= {"mirror": mean_correlation(volume, self.mirrored.volumes[method][here][..., ::-1])}
        agreement = mean_correlation(volume, self.other.volumes[method][here])
        checks |= {"class_change": None if agreement is None else 1 - agreement}
        checks |= {"confidence": float(np.exp(self.logs_original[here].mean()))}
        kept = {key: log - self.logs_original for (key, part), log in self.logs.items() if part == "half"}
        truth = {key: float(shares[rest].mean()) for key, shares in kept.items()}
        return {"windows": here, "map": method, "checks": checks, "truth": truth}


def kept_logs(model: Model, clips: Tensor, own: Explanation, seed: int) -> dict[Key, NDArray[np.float64]]:
    """Return the log probability of each version of the windows, (W,)."""
    heats: dict[str, Floats] = {name: own.heat(name) for name in METHODS}
    pixels = to_pixels(clips, model.spec.scaling).movedim(1, -1).numpy()
    maps = HeatOfClips(heats, own.volumes["gradcam"], pixels, seed)
    fills = {kind: fill_for(clips, fill, model.spec.scaling) for kind, fill in FILLS.items()}
    with torch.inference_mode():
        return {
            key: log_probability(model.module(hidden(clips, mask(), fills[key[1]])), own.target)
            for key, mask in steps(maps)
        }


def print_tables(rows: Sequence[Row]) -> None:
    """Print the maps that were judged on one window, those of them whose video has pairs, and those judged on two."""
    single, double = ([row for row in rows if len(row["windows"]) == count] for count in MOST_JUDGED)
    paired = {row["video"] for row in double}
    tables = {
        "1 window judged": single,
        "1 window judged, the videos of the next table": [row for row in single if row["video"] in paired],
        "2 windows judged": double,
    }
    for title, part in tables.items():
        if part:
            click.echo(f"\n## {title}\n")
            print_table(part)


def print_table(rows: Sequence[Row]) -> None:
    """Print for each check, each feature and the score: AUC for less than the centre, Spearman with the lead."""
    centre = np.array([row["truth"][row["map"]] >= row["truth"]["centre"] for row in rows])
    lead = np.array([max(row["truth"][row["map"]], LEAST) - best_control(row) for row in rows])
    names = np.array([row["map"] for row in rows])
    columns = {name: np.array([_number(row["checks"].get(name)) for row in rows]) for name in CHECKS}
    columns |= {f"feature {name}": np.array([features(row["checks"])[name] for row in rows]) for name in FEATURES}
    columns["score"] = np.array([_number(judge(row["checks"]).score) for row in rows])
    columns["kept over the centre"] = np.array([_lead_over_centre(row) for row in rows])
    lines, videos = [], np.unique([row["video"] for row in rows], return_inverse=True)[1]
    for column, values in columns.items():
        signed = -values if column.startswith("peak") else values
        area, rank = interval(auc, signed, centre, videos), interval(_rank_correlation, signed, lead, videos)
        within = (f"{auc(signed[names == name], centre[names == name]):.2f}" for name in METHODS)
        lines.append((column, area, *within, rank))
    less = 100 * (1 - centre.mean())
    click.echo(f"{videos.max() + 1} videos; {less:.0f} % of the maps keep less than the centre\n")
    header = ("check", "AUC, all maps", *(f"AUC, {name}" for name in METHODS), "Spearman with the lead")
    click.echo("\n".join(markdown.table(header, lines)))
    words = [judge(row["checks"]).word for row in rows]
    for word in dict.fromkeys(words):
        part = np.array([each == word for each in words])
        click.echo(f"\n{word}: {part.sum()} maps, {100 * (1 - centre[part].mean()):.0f} % keep less than the centre")


def interval(
    value: Callable[[NDArray[Any], NDArray[Any]], float],
    signed: NDArray[np.float64],
    truth: NDArray[Any],
    videos: NDArray[np.int64],
) -> str:
    """Write a value of the rows, with its 95 % interval from drawing videos anew."""
    rng, of_video = np.random.default_rng(0), [np.flatnonzero(videos == video) for video in range(videos.max() + 1)]
    drawn = []
    for _ in range(RESAMPLES):
        part = np.concatenate([of_video[video] for video in rng.integers(len(of_video), size=len(of_video))])
        drawn.append(value(signed[part], truth[part]))
    low, high = np.nanpercentile(drawn, [2.5, 97.5]) if np.isfinite(drawn).any() else (np.nan, np.nan)
    return f"{value(signed, truth):.2f} [{low:.2f}, {high:.2f}]"


def _rank_correlation(values: NDArray[np.float64], lead: NDArray[np.float64]) -> float:
    known = np.isfinite(values)
    is_varied = known.sum() > 2 and np.ptp(values[known]) > 0
    return float(spearmanr(values[known], lead[known]).statistic) if is_varied else np.nan


def _lead_over_centre(row: Row) -> float:
    kept, centre = (max(row["checks"][name], FLOOR) for name in ("kept", "kept_centre"))
    return float(np.log(kept / centre))


def best_control(row: Row) -> float:
    """Return the log of what the best control keeps on the other windows."""
    return max(LEAST, *(float(row["truth"][name]) for name in ("random", "centre", "frame-difference")))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


if __name__ == "__main__":
    verdict_videos()
