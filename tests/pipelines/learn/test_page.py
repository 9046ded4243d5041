"""What docs/distillation.md shows runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.helpers.nets import HiddenHead, random_clip, seeded

PAGE = Path(__file__).resolve().parents[3] / "docs" / "distillation.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_training_loop(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(BLOCKS[0].splitlines()) <= 30
    names: dict[str, Any] = {}
    exec(BLOCKS[0], names)  # noqa: S102 – our own text
    student, teacher = seeded(HiddenHead), seeded(HiddenHead, seed=1)
    clips, labels = random_clip(12, 3, 3, 4, 4), torch.arange(12) % 4
    with torch.random.fork_rng(devices=()):
        trained = names["train"](student, teacher, clips, labels, layer="relu", epochs=30)
    assert trained is student
    assert not student.training
    losses = [float(each) for each in re.findall(r"loss ([\d.]+), maps differ by [\d.]+\n", capsys.readouterr().out)]
    assert len(losses) == 30
    assert losses[-1] < 0.7 * losses[0]


def test_another_loss_of_a_map() -> None:
    network = torch.nn.Sequential()
    network.layer4, network.head = (
        torch.nn.Sequential(torch.nn.Conv3d(3, 4, 1), torch.nn.ReLU()),
        torch.nn.Sequential(torch.nn.AdaptiveAvgPool3d(1), torch.nn.Flatten(), torch.nn.Linear(4, 4)),
    )
    names: dict[str, Any] = {
        "vidcam": __import__("vidcam"), "torch": torch, "network": network, "clips": random_clip(2, 3, 2, 4, 4),
        "labels": torch.tensor([0, 3]), "inside": torch.ones(2, 2, 4, 4, dtype=torch.bool),
    }  # fmt: skip
    exec(BLOCKS[1], names)  # noqa: S102 – our own text
    assert names["outside"].item() == 0.0
    names["loss"].backward()
