"""The memory of a training step, counted by hand."""

from __future__ import annotations

import torch
from torch import nn

from scripts.bench.training import kept_bytes


def test_what_autograd_keeps_without_the_weights() -> None:
    student, clips = nn.Linear(2, 3, bias=False), torch.randn(5, 2)
    assert kept_bytes(student, lambda: student(clips).square().sum()) == 4 * (5 * 2 + 5 * 3)  # input and output
