"""The loss of a student that learns from the explanations of a teacher, GC++ section 5 (arXiv:1710.11063)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.cam.differentiable import TRAINABLE_METHODS
from vidcam.cam.methods import canonical_methods
from vidcam.cam.reshape import Reshape
from vidcam.errors import InputError, ShapeError
from vidcam.pipelines.learn.distances import DISTANCES, Form, hinton_distance, on_grid
from vidcam.pipelines.learn.teacher import ATTENTION, MapChoice, Teacher
from vidcam.spec import SpecifiedModel

ExplainedClass = Literal["label", "teacher"]


@dataclass(frozen=True, slots=True, eq=False)
class ExplanationTerms:
    """The loss of a batch and its parts, means over the clips. Only `total` needs `backward`.

    Attributes:
        total: cross_entropy + weight · distances[form] + hinton_weight · hinton; with its graph.
        cross_entropy: of the labels; binary, the mean over classes, for labels (N, K).
        distances: form → distance of the maps, `raw`, `normalised` and `cosine`; empty without a map.
        hinton: T²·KL of the logits; 0 without Hinton's loss.
        logits: of the student, (N, K), for the accuracy.
    """

    total: Tensor
    cross_entropy: Tensor
    distances: Mapping[Form, Tensor]
    hinton: Tensor
    logits: Tensor


class ExplanationLoss(nn.Module):
    """Cross-entropy + α·‖L_s - L_t‖² (GC++ eq. 27–28), and Hinton's loss if it has a weight.

        criterion = vidcam.ExplanationLoss(teacher, method="gradcam++", layer="layer4")
        terms = criterion(student, clips, labels, keys=numbers_of_the_clips)
        terms.total.backward()

    The criterion runs both networks. The teacher is neither trained nor changed: it is no submodule, so that
    `parameters`, `state_dict`, `train` and `to` leave it alone. Both maps are compared on the teacher's grid.

    Args:
        teacher: a module, or a `Model`.
        method: `gradcam`, `gradcam+`, `gradcam++`, `hirescam`, `layercam`; `attention` for attention transfer
            (arXiv:1612.03928), best with form `cosine`; None for no map.
        form: `raw` (eq. 28), `normalised` (each map divided by its maximum) or `cosine` (e²KD, arXiv:2402.03119).
        weight: α.
        layer: the student's layer, after its ReLU; None costs a further forward pass each time.
        reshape: of the student's layer, as in `vidcam.explain`.
        teacher_layer: the teacher's layer; None: that of a `Model`, or the default of `vidcam.explain`.
        teacher_reshape: of the teacher's layer.
        explained: the class whose maps are compared: the `label`, or what the `teacher` predicts, as in e²KD.
        hinton_weight: weight of Hinton's loss (arXiv:1503.02531).
        temperature: T of Hinton's loss.

    Raises:
        InputError: an unknown method, form or class, or a temperature that is not above 0.
    """

    def __init__(
        self,
        teacher: nn.Module | SpecifiedModel,
        *,
        method: str | None = "gradcam++",
        form: Form = "raw",
        weight: float = 0.01,
        layer: str | nn.Module | None = None,
        reshape: Reshape | None = None,
        teacher_layer: str | nn.Module | None = None,
        teacher_reshape: Reshape | None = None,
        explained: ExplainedClass = "label",
        hinton_weight: float = 0.0,
        temperature: float = 4.0,
    ) -> None:
        super().__init__()
        if form not in DISTANCES:
            raise InputError(f"form is {form!r}, expected one of {', '.join(DISTANCES)}")
        if explained not in get_args(ExplainedClass):
            raise InputError(f"explained is {explained!r}, expected label or teacher")
        if not temperature > 0:
            raise InputError(f"temperature is {temperature}, expected a number above 0")
        name = _method(method)
        self.form, self.weight, self.explained = form, weight, explained
        self.hinton_weight, self.temperature = hinton_weight, temperature
        self._choice = (MapChoice(name, layer, reshape),)  # tuples: nn.Module must not find the modules in them
        self._teacher = (Teacher(teacher, MapChoice(name, teacher_layer, teacher_reshape)),)

    @property
    def teacher(self) -> Teacher:
        """The teacher with its answers; `len` tells how many are kept, one for each key and label."""
        return self._teacher[0]

    def forward(
        self,
        student: nn.Module,
        clips: Tensor,
        labels: Tensor,
        *,
        keys: Sequence[Hashable] | Tensor | None = None,
        teacher_clips: Tensor | None = None,
    ) -> ExplanationTerms:
        """Run the student, and the teacher where its answer is not kept, and compute the loss.

        Args:
            student: the network that is trained, in its own mode; inside `DistributedDataParallel` if it is used.
            clips: (N, C, T, H, W), as the student takes them.
            labels: (N,) classes; or (N, K) floats, 1 for each class that is present, for networks with sigmoids.
            keys: N names, one for each clip as it is here: an augmented clip is another clip. The teacher's answer is
                computed once for each key and kept in memory, on the CPU. None: it is computed each time.
            teacher_clips: the clips as the teacher takes them, if it takes others.

        Raises:
            InputError, LayerError: as `vidcam.differentiable_maps`.
            ShapeError: the two networks have not the same number of classes, for Hinton's loss.
        """
        choice = self._choice[0]
        answer, explained = None, labels
        if choice.method is not None or self.hinton_weight:
            asked = labels if self.explained == "label" else None
            answer = self.teacher.answer(clips if teacher_clips is None else teacher_clips, asked, keys, clips.device)
            explained = answer.logits.argmax(dim=1) if asked is None else labels
        maps, logits = choice.run(student, clips, explained, create_graph=torch.is_grad_enabled())
        entropy = functional.binary_cross_entropy_with_logits if labels.ndim == 2 else functional.cross_entropy
        cross_entropy = entropy(logits, labels)
        distances = {} if answer is None else self._distances(maps, answer.maps)
        hinton = torch.zeros_like(cross_entropy)
        if answer is not None and self.hinton_weight:
            hinton = self._hinton(logits, answer.logits, is_multilabel=labels.ndim == 2)
        total = cross_entropy + self.hinton_weight * hinton
        if distances:
            total = total + self.weight * distances[self.form]
        return ExplanationTerms(total, cross_entropy, distances, hinton, logits)

    def _distances(self, student: Tensor | None, teacher: Tensor | None) -> dict[Form, Tensor]:
        """Return all forms, on the teacher's grid; only that of the loss has a graph."""
        if student is None or teacher is None:
            return {}
        maps = on_grid(student, teacher.shape[1:])
        return {
            form: distance(maps if form == self.form else maps.detach(), teacher.to(maps)).mean()
            for form, distance in DISTANCES.items()
        }

    def _hinton(self, student: Tensor, teacher: Tensor, *, is_multilabel: bool) -> Tensor:
        if student.shape != teacher.shape:
            raise ShapeError(f"the student has {student.shape[1]} classes, the teacher {teacher.shape[1]}")
        distance = hinton_distance(
            student, teacher.to(student), temperature=self.temperature, is_multilabel=is_multilabel
        )
        return distance.mean()


def _method(name: str | None) -> str | None:
    """Return the canonical name of a method of the loss."""
    if name is None or name == ATTENTION:
        return name
    methods = canonical_methods(name)
    if len(methods) > 1 or methods[0] not in TRAINABLE_METHODS:
        known = ", ".join((*TRAINABLE_METHODS, ATTENTION))
        raise InputError(f"method is {name!r}, expected one of {known}, or None")
    return methods[0]
