"""What `map_search` measures of a map, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scripts.research.map_candidates import SEED, Heat, Heats, Subject, scaled
from vidcam.metrics.instances import instance_coverage
from vidcam.metrics.localization import energy, localization, pointing
from vidcam.metrics.order import rank_ties, ranks_of, tie_field, voxel_order
from vidcam.metrics.retention import keep_top
from vidcam.metrics.temporal_iou import temporal_iou

GRID = (2, 7, 7)
"""Cells of the random field that breaks ties."""

Rows = dict[str, dict[str, float]]
"""Candidate → measure → value."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one clip; clips of one group are one sample."""

    group: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class Lines:
    """A file of JSON lines, one or several for each set and clip."""

    path: Path

    def read(self) -> dict[tuple[str, str], Line]:
        """Return the merged lines, (set, clip) → line."""
        merged: dict[tuple[str, str], Line] = {}
        for text in self.path.read_text("utf-8").splitlines() if self.path.exists() else ():
            line = json.loads(text)
            old = merged.setdefault((line["set"], line["clip"]), Line(line["group"], {}))
            for row, values in line["rows"].items():
                old.rows.setdefault(row, {}).update(values)
        return merged

    def rows(self, name: str, clip: str) -> Rows:
        """Return what is known of a clip."""
        line = self.read().get((name, clip))
        return line.rows if line else {}

    def add(self, name: str, clip: str, group: str, rows: Mapping[str, Mapping[str, float]]) -> None:
        """Append a line."""
        line = {"set": name, "clip": clip, "group": group, "rows": rows}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def truth(heat: Heat, instances: NDArray[np.bool_]) -> dict[str, float]:
    """Compare a map with boxes (M, T, H, W), each filled while its actor acts; tIoU if they do not act all the time."""
    unit, inside = scaled(heat)[None], np.asarray(instances.any(axis=0))
    acting = np.asarray(inside.any(axis=(1, 2)))
    return {
        "energy": float(energy(heat[None], inside[None])[0]),
        "pointing": float(pointing(unit, inside[None])[0]),
        "Loc(0.25)": float(localization(unit, inside[None], 0.25)[0]),
        "Loc(0.5)": float(localization(unit, inside[None], 0.5)[0]),
        "coverage": float(instance_coverage(heat, instances).mean()),
        **({"tIoU": float(temporal_iou(heat[None], acting[None])[0])} if not acting.all() else {}),
    }


@torch.no_grad()
def kept(subject: Subject, heats: Heats, fill: Tensor, thetas: Sequence[float], *, batch: int) -> Rows:
    """Return 100 log(O/Y) of each map, with the lowest θ of its voxels filled."""
    ties = rank_ties(tie_field(GRID, subject.size, np.random.default_rng(SEED)))
    before = log_probability(subject, subject.clip)[0]
    keys: list[tuple[str, str]] = []
    clips: list[Tensor] = []
    rows: Rows = {name: {} for name in heats}
    jobs = [(name, theta) for name in heats for theta in thetas]
    for number, (name, theta) in enumerate(jobs, start=1):
        if theta == thetas[0]:
            ranks = ranks_of(voxel_order(scaled(heats[name]), ties), subject.size)
        keys.append((name, f"kept {theta:g}"))
        clips.append(torch.where(keep_top(ranks, theta), subject.clip[0], fill.expand_as(subject.clip)[0]))
        if len(clips) == batch or number == len(jobs):
            for (row, measure), after in zip(keys, log_probability(subject, torch.stack(clips)), strict=True):
                rows[row][measure] = float(100 * (after - before))
            keys, clips = [], []
    return rows


def log_probability(subject: Subject, clips: Tensor) -> NDArray[np.float64]:
    """Return the log probability of the target for each clip, (n,)."""
    return np.asarray(subject.model.module(clips).double().log_softmax(dim=1)[:, subject.target].numpy())
