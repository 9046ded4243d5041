"""Train a student with one loss and one seed.

The seed gives the first weights and the order of the clips. It gives the same for every loss, so that two losses are
compared in pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from scripts.research.distill.data import training_pool
from scripts.research.distill.networks import LAYER, as_batch, make_student, student_input
from scripts.research.distill.rows import Row
from scripts.research.pool import to_input
from vidcam.cam.differentiable import differentiable_maps
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.learn.distances import attention
from vidcam.pipelines.learn.explanation_loss import ExplanationLoss

METHODS = ("gradcam++", "gradcam", "gradcam+")
TEACHER = "tiny_r3d"
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Setting:
    """How a student is trained.

    Attributes:
        clips: number of training clips.
        steps: number of batches.
        batch: clips in a batch.
        learning_rate: the highest of the schedule.
    """

    clips: int = 2000
    steps: int = 200
    batch: int = 32
    learning_rate: float = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """Training clips with the teacher's answers.

    Attributes:
        teacher: the shipped network.
        clips: as the student takes them, (n, 3, 16, 32, 32) float16.
        labels: (n,).
        logits: of the teacher, (n, K).
        maps: method → maps of the label's class, (n, 8, 8, 8).
        criteria: method and explained class → the loss with these answers; made once, its weights are set for each row.
    """

    teacher: Model
    clips: Tensor
    labels: Tensor
    logits: Tensor
    maps: dict[str, Tensor]
    criteria: dict[tuple[str | None, str], ExplanationLoss] = field(default_factory=dict)

    def criterion(self, row: Row) -> ExplanationLoss:
        """Return the loss of a row."""
        place = (row.method, row.explained)
        if place not in self.criteria:
            made = ExplanationLoss(self.teacher, method=row.method, layer=LAYER, explained=row.explained)
            maps = None if row.method is None else self.maps[_name(row.method, row.explained)]
            targets = self.labels if row.explained == "label" else None
            made.teacher.keep(range(len(self.labels)), targets, maps, self.logits)
            self.criteria[place] = made
        criterion = self.criteria[place]
        criterion.form, criterion.weight, criterion.hinton_weight = row.form, row.weight, row.hinton
        return criterion


def load_lessons(folder: Path, clips: int) -> Lessons:
    """Load or make the training clips and the teacher's answers."""
    pool, teacher = training_pool(folder, clips), load_model(TEACHER, device="cpu")
    path = folder / f"answers-{clips}.npz"
    if not path.exists():
        batches = (pool.frames.split(AT_ONCE), pool.labels.split(AT_ONCE))
        parts = [_answers(teacher, *pair) for pair in zip(*batches, strict=True)]
        np.savez(path, **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    with np.load(path) as arrays:
        answers = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return Lessons(teacher, student_input(pool.frames), pool.labels, answers.pop("logits"), answers)


def trained(row: Row, seed: int, setting: Setting, lessons: Lessons) -> tuple[nn.Sequential, dict[str, float]]:
    """Train a student; returns it in evaluation mode, and the terms of its loss, means over the last tenth."""
    student = make_student(lessons.logits.shape[1], seed).train()
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(student.parameters(), lr=setting.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, setting.learning_rate, total_steps=setting.steps, pct_start=0.2
    )
    criterion = lessons.criterion(row)
    history = []
    for _ in range(setting.steps):
        chosen = torch.randint(len(lessons.labels), (setting.batch,), generator=generator)
        terms = criterion(student, as_batch(lessons.clips[chosen]), lessons.labels[chosen], keys=chosen)
        optimiser.zero_grad()
        terms.total.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        history.append(
            {"cross_entropy": terms.cross_entropy.item(), "hinton": terms.hinton.item()}
            | {form: distance.item() for form, distance in terms.distances.items()}
        )
    return student.eval(), _means(history[-max(1, setting.steps // 10) :])


def _answers(teacher: Model, frames: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
    """Return the teacher's logits and maps, of the label's class and, '… teacher', of the predicted class."""
    clips = to_input(frames)
    found = differentiable_maps(teacher, clips, labels, methods=METHODS, create_graph=False)
    own = found.maps["gradcam"].clone()
    wrong = found.logits.argmax(dim=1) != labels
    if wrong.any():
        own[wrong] = differentiable_maps(teacher, clips[wrong], methods="gradcam", create_graph=False).maps["gradcam"]
    answers = {"logits": found.logits, **found.maps, "attention": attention(found.activations)}
    answers[_name("gradcam", "teacher")] = own
    return {name: tensor.numpy() for name, tensor in answers.items()}


def _name(method: str, explained: str) -> str:
    return method if explained == "label" else f"{method} {explained}"


def _means(history: Iterable[dict[str, float]]) -> dict[str, float]:
    rows = list(history)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
