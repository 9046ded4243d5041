"""The losses that are compared: the rows of GC++ table 4, and others."""

from __future__ import annotations

from dataclasses import dataclass

from vidcam.pipelines.learn.distances import Form
from vidcam.pipelines.learn.explanation_loss import ExplainedClass

ALPHA = 0.01
"""α of GC++ section 5."""

AT_WEIGHT = 2.0
"""β/2 · 2/Z of attention transfer (arXiv:1612.03928) with β = 1000 and the Z = 512 cells of the teacher's grid."""


@dataclass(frozen=True, slots=True)
class Row:
    """One loss: cross-entropy + weight · distance of maps + hinton · Hinton's loss.

    Attributes:
        name: how the results call it.
        method: of the maps; None for none.
        form: of the distance.
        weight: α.
        hinton: weight of T²·KL at T = 4.
        explained: the class whose maps are compared.
    """

    name: str
    method: str | None = None
    form: Form = "raw"
    weight: float = ALPHA
    hinton: float = 0.0
    explained: ExplainedClass = "label"


_MAPS = tuple(Row(method, method) for method in ("gradcam++", "gradcam", "gradcam+"))


def _with_hinton(row: Row) -> Row:
    return Row(f"{row.name} + KD", row.method, row.form, row.weight, 1.0, row.explained)


_PLAIN = (Row("cross-entropy"), *_MAPS)

CORE = (*_PLAIN, *map(_with_hinton, _PLAIN))
"""Table 4 with Grad-CAM+: raw maps, α = 0.01."""

_OTHERS = (
    *(Row(f"{row.name} normalised", row.method, "normalised") for row in _MAPS),
    Row("attention transfer", "attention", "cosine", AT_WEIGHT),
    Row("gradcam cosine", "gradcam", "cosine", 1.0, explained="teacher"),
)

MORE = (*_OTHERS, *map(_with_hinton, _OTHERS))
"""Normalised maps, attention transfer and the cosine form of e²KD (with KD: as its paper has it)."""

ROWS = {row.name: row for row in (*CORE, *MORE)}

PAPER = {
    "cross-entropy": 6.78,
    "gradcam++": 6.74,
    "gradcam": 6.86,
    "cross-entropy + KD": 5.68,
    "gradcam++ + KD": 5.56,
    "gradcam + KD": 5.80,
}
"""Test error in % of GC++ table 4: CIFAR-10, WRN-40-2 teaches WRN-16-2, one seed each."""
