"""What it costs to train through maps: time and memory of a training step, over those of a plain one.

A step is forward, loss and backward of one batch; the optimiser is left out. Memory is what autograd keeps for the
backward pass, the activations of a step, counted storage by storage: it does not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.bench.tables import Row, Table
from scripts.bench.timing import interleaved
from vidcam.cam.differentiable import TRAINABLE_METHODS
from vidcam.models.registry import load_model
from vidcam.pipelines.learn.explanation_loss import ExplanationLoss

Loss = Callable[[], Tensor]


@click.command()
@click.option("--network", "names", multiple=True, default=("tiny_r3d", "tiny_c3d"), show_default=True)
@click.option("--batch", default=8, show_default=True, help="Clips in a batch.")
@click.option("--runs", default=15, show_default=True, help="Rounds.")
@click.option("--layer", help="Of student and teacher; default: the model's own.")
def training_step(*, names: tuple[str, ...], batch: int, runs: int, layer: str | None) -> None:
    """Time a step with each map, with a teacher whose maps are kept, beside a plain step."""
    for name in names:
        click.echo("\n".join(_table(name, batch, runs, layer).lines()))


def _table(name: str, batch: int, runs: int, layer: str | None) -> Table:
    model = load_model(name, device="cpu")
    student, layer = model.module.train().requires_grad_(), layer or model.spec.layer
    clips = torch.randn(batch, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(batch) % model.spec.classes
    losses: dict[str, Loss] = {"plain": lambda: functional.cross_entropy(student(clips), labels)}
    for method in (None, *TRAINABLE_METHODS, "attention"):
        criterion = ExplanationLoss(
            load_model(name, device="cpu"), method=method, layer=layer, teacher_layer=layer, hinton_weight=1.0
        )
        losses[method or "Hinton's loss alone"] = partial(_total, criterion, student, clips, labels)
    rows = interleaved({key: partial(_step, student, loss) for key, loss in losses.items()}, runs)
    kept = {key: _kept_bytes(student, loss) for key, loss in losses.items()}
    return Table(
        f"A training step of {name}, {batch} clips, layer {layer}",
        "The teacher's answers are kept.",
        {key: _with_memory(row, kept[key], kept["plain"]) for key, row in rows.items()},
    )


def _total(criterion: ExplanationLoss, student: nn.Module, clips: Tensor, labels: Tensor) -> Tensor:
    total: Tensor = criterion(student, clips, labels, keys=range(len(labels))).total
    return total


def _step(student: nn.Module, loss: Loss) -> None:
    student.zero_grad()
    loss().backward()  # type: ignore[no-untyped-call]


def _kept_bytes(student: nn.Module, loss: Loss) -> int:
    """Return the bytes of all tensors that autograd saves in a step, without the weights."""
    own = {parameter.untyped_storage().data_ptr() for parameter in student.parameters()}
    storages: dict[int, Any] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss().backward()  # type: ignore[no-untyped-call]
    return sum(storage.nbytes() for storage in storages.values())


def _with_memory(row: Row, kept: int, plain: int) -> Row:
    return replace(row, more={"MB kept": kept / 1e6, "of the plain step's": f"{kept / plain:.2f}"})
