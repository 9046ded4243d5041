"""Test the verdict on real clips: does its score on one window tell what the maps keep on another window?

    scripts/run research.verdict_videos clips.csv --out rows.json        # measure with I3D, then print
    scripts/run research.verdict_videos --from rows.json                 # print an earlier measurement

The verdict sees the middle window of a video. The truth is measured on the window before, which does not overlap: the
log of what a map keeps at half area with the black fill, and whether that is less than what the centre keeps. The class
is the one with the highest mean probability. A video is left out if the model is not sure of it in both windows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
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
from vidcam.cam.attribution import attribution
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
from vidcam.results.verdict import CHECKS, FEATURES, SURE, features, judge
from vidcam.sampling import plan_windows
from vidcam.video.reader import open_video

METHODS = ("neutral-gradcam", "gradcam", "gradcam++")
LEAST = -7.0
"""Smaller logs are raised to this: less than 0.1 % is kept."""

Row = dict[str, Any]


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), required=False)
@click.option("--seconds", type=float, default=float("inf"), help="Start no further video after this time.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the rows in this JSON.")
@click.option("--from", "earlier", type=click.Path(path_type=Path), help="Read rows instead of measuring.")
def verdict_videos(*, manifest: Path | None, seconds: float, out: Path | None, earlier: Path | None) -> None:
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
                rows += measured(prepared, entry.source, entry.name, seed=number)
                click.echo(f"{entry.name}, {monotonic() - start:.0f} s", err=True)
                if out:
                    out.write_text(json.dumps(rows), "utf-8")
    print_table(rows)


def two_windows(model: Model, source: str) -> Tensor | None:
    """Return the middle window of a video and the one before, (2, 3, T, H, W); None if the video has only one."""
    with open_video(source) as reader:
        windows = plan_windows(reader.info, frames=model.spec.frames, fps=model.spec.fps, overlap=0.0)
        middle = len(windows) // 2
        if middle == 0:
            return None
        geometry = model.spec.geometry(reader.info.size)
        before, first = window_tensors(reader, windows[middle - 1 : middle + 1], model.spec, geometry)
    return torch.stack([first, before])


def measured(prepared: Prepared, source: str, name: str, *, seed: int) -> list[Row]:
    """Return a row for each method; none for a video of one window, or without a class seen surely in both."""
    model, clips = prepared.model, two_windows(prepared.model, source)
    if clips is None:
        return []
    request = map_request(model, prepared.baseline.layers, methods=METHODS)
    request = replace(request, baseline_activations=prepared.baseline.activations)
    with attribution(model.module, clips, request) as run:
        target = int(run.ranking().mean(dim=0).argmax())
        if float(run.ranking()[:, target].min()) < SURE:
            return []
        both = run.explain(target)
    with attribution(model.module, clips[:1].flip(-1), request) as run:
        mirrored = run.explain(target)
    logs_original = log_probability(torch.from_numpy(both.logits), both.target)
    first, other = (kept_logs(model, clips[window : window + 1], both, window=window, seed=seed) for window in range(2))
    truth = {key: float(log[0] - logs_original[1]) for (key, part), log in other.items() if part == "half"}
    rows = []
    for method in METHODS:
        volume = both.volumes[method][:1]
        checks = kept_checks(method, first, logs_original[:1])
        checks |= map_checks(volume, prepared.baseline.artifact)
        checks |= {"mirror": mean_correlation(volume, mirrored.volumes[method][..., ::-1])}
        checks |= {"confidence": float(np.exp(logs_original[0]))}
        row = {"video": name, "class": model.label(target), "map": method, "checks": checks, "truth": truth}
        rows.append(row)
    return rows


def kept_logs(
    model: Model, clip: Tensor, both: Explanation, *, window: int, seed: int
) -> dict[Key, NDArray[np.float64]]:
    """Return the log probability of the versions of one window, (1,); of the second window those at half area."""
    heats: dict[str, Floats] = {name: both.heat(name)[window : window + 1] for name in METHODS}
    pixels = to_pixels(clip, model.spec.scaling).movedim(1, -1).numpy()
    maps = HeatOfClips(heats, both.volumes["gradcam"][window : window + 1], pixels, seed)
    fills = {kind: fill_for(clip, fill, model.spec.scaling) for kind, fill in FILLS.items()}
    logs = {}
    with torch.inference_mode():
        for key, mask in steps(maps):
            if window == 0 or key[1] == "half":
                logits = model.module(hidden(clip, mask(), fills[key[1]]))
                logs[key] = log_probability(logits, both.target[:1])
    return logs


def print_table(rows: Sequence[Row]) -> None:
    """Print for each check, each feature and the score: AUC for less than the centre, Spearman with the lead."""
    centre = np.array([row["truth"][row["map"]] >= row["truth"]["centre"] for row in rows])
    lead = np.array([max(row["truth"][row["map"]], LEAST) - best_control(row) for row in rows])
    names = np.array([row["map"] for row in rows])
    columns = {name: np.array([_number(row["checks"].get(name)) for row in rows]) for name in CHECKS}
    columns |= {f"feature {name}": np.array([features(row["checks"])[name] for row in rows]) for name in FEATURES}
    columns["score"] = np.array([_number(judge(row["checks"]).score) for row in rows])
    lines = []
    for column, values in columns.items():
        signed = -values if column.startswith("peak") else values
        areas = [auc(signed, centre), *(auc(signed[names == name], centre[names == name]) for name in METHODS)]
        rank = float(spearmanr(signed, lead, nan_policy="omit").statistic) if np.isfinite(signed).sum() > 2 else np.nan
        lines.append((column, *(f"{value:.2f}" for value in (*areas, rank))))
    videos, less = len({row["video"] for row in rows}), 100 * (1 - centre.mean())
    click.echo(f"{videos} videos; {less:.0f} % of the maps keep less than the centre\n")
    header = ("check", "AUC, all maps", *(f"AUC, {name}" for name in METHODS), "Spearman with the lead")
    click.echo("\n".join(markdown.table(header, lines)))
    words = [judge(row["checks"]).word for row in rows]
    for word in dict.fromkeys(words):
        part = np.array([each == word for each in words])
        click.echo(f"\n{word}: {part.sum()} maps, {100 * (1 - centre[part].mean()):.0f} % keep less than the centre")


def best_control(row: Row) -> float:
    """Return the log of what the best control keeps on the other window."""
    return max(LEAST, *(float(row["truth"][name]) for name in ("random", "centre", "frame-difference")))


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


if __name__ == "__main__":
    verdict_videos()
