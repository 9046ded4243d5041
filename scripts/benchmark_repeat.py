"""`scripts/benchmark repeat`: whether memory stays flat over many explanations of one small network in one process."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import click
import torch
from torch import nn

from vidcam.cam.explain import explain
from vidcam.cam.methods import ALL_METHODS

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@click.command()
@click.option("--count", default=10_000, show_default=True)
@click.option("--every", default=500, show_default=True, help="Explanations between two figures.")
def repeat(count: int, every: int) -> None:
    """Resident memory over many explanations by every method of a small network, softmax and guided among them."""
    torch.default_generator.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 3))
    clip = torch.randn(1, 3, 4, 8, 8)
    for done in range(1, count + 1):
        explain(net, clip, layer="1", methods=ALL_METHODS, neutral=torch.zeros(1, 3, 4, 8, 8))
        if done % every == 0:
            gc.collect()
            click.echo(f"{done} explanations: {_resident_megabytes():.2f} MB")


def _resident_megabytes() -> float:
    """Of this process, as Linux tells it."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE / (1 << 20)
