"""Calibrate the verdict on truth: does its score tell maps that point at the actor from maps that do not?

    scripts/run research.verdict                             # measure clips of the motion set, then print the tables
    scripts/run research.verdict --from rows.json            # print the tables of an earlier measurement

A map points at the actor if its maximum lies in the actor's box while it acts. Clips are explained for their true
class, by cheap methods, by fine maps at the input and by three controls. The checks are those of `vidcam.verdict`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.library import explainer, grey_input
from scripts.research.map_candidates import path_products
from scripts.research.motion_maps import methods_for
from scripts.research.pool import to_input
from scripts.research.verdict_tables import print_tables
from vidcam.maps import Floats, normalise_per_clip, upsample_volume
from vidcam.metrics.agreement import mean_correlation
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.metrics.faithfulness import log_probability
from vidcam.metrics.localization import energy, pointing
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.motion.box_tracks import filled_boxes
from vidcam.motion.clip import MotionClip
from vidcam.pipelines.study.motion_set import mixed
from vidcam.pipelines.verdict.checks import kept_checks, map_checks
from vidcam.pipelines.verdict.passes import CHEAP
from vidcam.pipelines.verdict.versions import FILLS, HeatOfClips, Key, hidden, steps
from vidcam.preprocess import fill_for

FIRST_SEED = 530_000
STEPS = 16
"""Midpoints of the path of integrated gradients."""

BATCH = 16

Row = dict[str, Any]


@click.command()
@click.option("--clips", type=click.IntRange(2), default=160, show_default=True, help="Of one actor, for each network.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep the rows in this JSON.")
@click.option("--from", "earlier", type=click.Path(path_type=Path), help="Read rows instead of measuring.")
def verdict(*, clips: int, out: Path | None, earlier: Path | None) -> None:
    """Measure, fit, and print the tables in Markdown."""
    rows: list[Row] = json.loads(earlier.read_text("utf-8")) if earlier else []
    models = [] if earlier else [load_model(spec.name, device="cpu") for spec in TINY_SPECS]
    for parts in zip(*(measured(model, clips) for model in models), strict=True):
        rows += chain.from_iterable(parts)
        if out:
            out.write_text(json.dumps(rows), "utf-8")
    print_tables(rows)


def measured(model: Model, count: int) -> Iterator[list[Row]]:
    """Yield the rows of each clip, one for each map."""
    methods = [name for name in methods_for(model) if name in CHEAP and "signed" not in name]
    explain = explainer(model, str(model.spec.layer), methods)
    for number, request in enumerate(mixed(count, first_seed=FIRST_SEED, actors=1)):
        clip = request.clip()
        tensor = to_input(torch.from_numpy(clip.frames[None]))
        explanation = explain(tensor, target=[clip.label])
        volumes, generator = dict(explanation.volumes), np.random.default_rng([number, 1])
        heats = {name: explanation.heat(name) for name in methods}
        heats |= fine_heats(model, tensor, clip.label, volumes)
        heats |= control_heats(volumes["gradcam"], clip, generator)
        is_right = int(explanation.logits[0].argmax()) == clip.label
        other = explain(tensor.flip(-1), target=None if is_right else [clip.label])
        mirror = {name: mean_correlation(volumes[name], other.volumes[name][..., ::-1]) for name in methods}
        log_original = log_probability(torch.from_numpy(explanation.logits), explanation.target)
        maps = HeatOfClips(heats, volumes["gradcam"], clip.frames[None].astype(np.float32), seed=number)
        logs = kept_logs(model, tensor, maps, clip.label)
        inside = np.asarray(filled_boxes(clip).any(axis=0, keepdims=True))
        rows: list[Row] = []
        for name, heat in heats.items():
            checks = kept_checks(name, logs, log_original)
            checks |= map_checks(heat) | {"mirror": mirror.get(name)}
            checks |= {"confidence": float(np.exp(log_original[0]))}
            share, sides = float(energy(heat, inside)[0]), float(inside.mean())
            row = {"network": model.spec.name, "clip": number, "map": name, "checks": checks}
            rows.append(row | {"points": float(pointing(heat, inside)[0]), "energy": share / sides})
        yield rows


def kept_logs(model: Model, tensor: Tensor, maps: HeatOfClips, label: int) -> dict[Key, NDArray[np.float64]]:
    """Return the log probability of each version, (1,)."""
    fills = {kind: fill_for(tensor, fill, model.spec.scaling) for kind, fill in FILLS.items()}
    versions: dict[tuple[str, bytes], Tensor] = {}  # several maps often have the same peak
    names: dict[Key, tuple[str, bytes]] = {}
    for key, mask in steps(maps):
        keep = mask()
        names[key] = key[1], keep.tobytes()
        versions.setdefault(names[key], hidden(tensor, keep, fills[key[1]]))
    with torch.inference_mode():
        batches = torch.split(torch.cat(list(versions.values())), BATCH)
        logits = torch.cat([model.module(batch) for batch in batches])
    logs = dict(zip(versions, log_probability(logits, np.full(len(logits), label)), strict=True))
    return {key: logs[name][None] for key, name in names.items()}


def control_heats(volume: Floats, clip: MotionClip, generator: np.random.Generator) -> dict[str, Floats]:
    """Return three maps that know nothing of the network."""
    frames, height, width = clip.frames.shape[:3]
    raw = {
        "frame difference": frame_difference(clip.frames),
        "shuffled cells": upsample_volume(shuffled_cells(volume[0], generator), (frames, height, width)),
        "centre": centre_heat((frames, height, width)),
    }
    return {name: normalise_per_clip(heat[None].astype(np.float32)) for name, heat in raw.items()}


def fine_heats(model: Model, tensor: Tensor, label: int, volumes: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return integrated gradients, positive part, and its products with two maps; (1, T, H, W)."""

    def score(clips: Tensor) -> Tensor:
        return torch.as_tensor(model.module(clips))[:, label]

    positive = path_products(score, grey_input(model.spec), tensor, STEPS).relu().numpy()
    size: Sequence[int] = positive.shape[1:]
    fine = {"integrated-gradients": positive}
    fine |= {
        f"{name}-ig": positive * upsample_volume(volumes[name], tuple(size)) for name in ("gradcam", "neutral-gradcam")
    }
    return {name: normalise_per_clip(pooled(heat, 4)) for name, heat in fine.items()}


def pooled(heat: Floats, side: int) -> Floats:
    """Average maps (N, T, H, W) over squares of pixels and upsample them again."""
    n, frames, height, width = heat.shape
    cells = heat.reshape(n, frames, height // side, side, width // side, side).mean(axis=(3, 5))
    return upsample_volume(cells, (frames, height, width))


if __name__ == "__main__":
    verdict()
