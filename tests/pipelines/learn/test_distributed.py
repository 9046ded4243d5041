"""The loss in `DistributedDataParallel`: two processes get the gradient of one process with both batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

import vidcam
from tests.helpers.nets import HiddenHead, random_clip, seeded

CLIPS, LABELS = random_clip(4, 3, 3, 4, 4), torch.tensor([1, 3, 0, 2])


def trained(student: nn.Module, rows: slice, steps: int) -> dict[str, Tensor]:
    """Train on some of the clips; returns the weights."""
    teacher = seeded(HiddenHead, seed=1)
    loss = vidcam.ExplanationLoss(teacher, layer="relu", teacher_layer="relu", weight=0.1, hinton_weight=1.0)
    optimiser = torch.optim.SGD(student.parameters(), 0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(student, CLIPS[rows], LABELS[rows], keys=range(4)[rows]).total.backward()
        optimiser.step()
    return {name.removeprefix("module."): value for name, value in student.state_dict().items()}


def work(rank: int, folder: str) -> None:
    """One of two processes."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    student = DistributedDataParallel(seeded(HiddenHead))
    weights = trained(student, slice(2 * rank, 2 * rank + 2), steps=3)
    torch.save(weights, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(work, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    expected = trained(seeded(HiddenHead), slice(0, 4), steps=3)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    start = seeded(HiddenHead).state_dict()
    assert all(not torch.equal(value, start[name]) for name, value in expected.items())
