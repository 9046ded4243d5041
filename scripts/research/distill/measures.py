"""What is measured on a trained student: errors, agreement with its teacher, right for the right reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scripts.research.distill.data import held_out_pool, truth_set
from scripts.research.distill.networks import LAYER, as_batch, student_input
from scripts.research.distill.training import AT_ONCE
from scripts.research.pool import to_input
from vidcam.cam.explain import explain
from vidcam.maps import upsample_volume
from vidcam.metrics.localization import energy, pointing
from vidcam.models.model import Model

LOOKED_AT = ("gradcam", "gradcam++")
"""Methods that show where the student looks, the same for every row."""


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """The clips that students are measured on.

    Attributes:
        clips: test clips as the student takes them.
        labels: (n,).
        predicted: what the teacher predicts, (n,).
        truth_clips: clips of one actor, as the student takes them.
        truth_labels: (m,).
        inside: the actor's box while it acts, (m, T, H, W).
    """

    clips: Tensor
    labels: Tensor
    predicted: Tensor
    truth_clips: Tensor
    truth_labels: Tensor
    inside: NDArray[np.bool_]

    @property
    def teacher_error(self) -> float:
        """The teacher's share of wrong test clips."""
        return float((self.predicted != self.labels).float().mean())


def load_examination(folder: Path, teacher: Model) -> Examination:
    """Load or make the clips, with the teacher's predictions."""
    pool, (frames, labels, inside) = held_out_pool(folder), truth_set(folder)
    path = folder / f"predicted-{len(pool)}.npy"
    if not path.exists():
        with torch.no_grad():
            logits = [teacher.module(to_input(part)) for part in torch.split(pool.frames, AT_ONCE)]
        np.save(path, torch.cat(logits).argmax(dim=1).numpy())
    predicted = torch.from_numpy(np.load(path))
    clips = student_input(pool.frames, folder / f"inputs-test-{len(pool)}.npy")
    truth_clips = student_input(frames, folder / f"inputs-truth-{len(frames)}.npy")
    return Examination(clips, pool.labels, predicted, truth_clips, labels, inside)


def measured(student: nn.Module, examination: Examination) -> dict[str, Any]:
    """Measure a student in evaluation mode.

    Returns:
        `error`, `agreement` (share of test clips on which it predicts what the teacher predicts), `wrong` (the numbers
        of the wrong clips), and for each method of `LOOKED_AT` its energy and pointing, means over the clips.
    """
    with torch.no_grad():
        logits = torch.cat([student(as_batch(part)) for part in torch.split(examination.clips, AT_ONCE)])
    predicted = logits.argmax(dim=1)
    is_wrong = predicted != examination.labels
    return {
        "error": float(is_wrong.float().mean()),
        "agreement": float((predicted == examination.predicted).float().mean()),
        "wrong": is_wrong.nonzero()[:, 0].tolist(),
        **looked_at(student, examination),
    }


def looked_at(student: nn.Module, examination: Examination) -> dict[str, float]:
    """Return 'energy METHOD' and 'pointing METHOD' of the maps for the true class."""
    parts = zip(
        *(torch.split(each, AT_ONCE) for each in (examination.truth_clips, examination.truth_labels)), strict=True
    )
    explained = [
        explain(student, as_batch(clips), methods=LOOKED_AT, target=labels.tolist(), layer=LAYER)
        for clips, labels in parts
    ]
    found = {}
    for method in LOOKED_AT:
        volumes = np.concatenate([each.volumes[method] for each in explained])
        heat = upsample_volume(volumes, examination.inside.shape[1:])
        found[f"energy {method}"] = float(energy(heat, examination.inside).mean())
        found[f"pointing {method}"] = float(pointing(heat, examination.inside).mean())
    return found
