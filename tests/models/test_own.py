"""The examples of docs/explain.md and docs/models.md with a user's own network work on the command line."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch

from tests.helpers.videos import noise_frames, write_video
from vidcam.cli.app import main
from vidcam.models import load_model

ROOT = Path(__file__).resolve().parents[2]

MY_NETWORK = """
from torch import nn

def my_network():
    trunk = nn.Sequential(nn.AvgPool3d((4, 8, 8)), nn.Conv3d(3, 4, 1), nn.ReLU())
    network = nn.Sequential()
    network.add_module("layer4", trunk)
    for name, part in (("pool", nn.AdaptiveAvgPool3d(1)), ("flat", nn.Flatten()), ("fc", nn.Linear(4, 3))):
        network.add_module(name, part)
    return network
"""


def factories(document: str) -> list[str]:
    """Find the Python examples in a document that define a factory."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "def factory() -> Model:" in block]


EXAMPLES = [
    (document, number)
    for document in ("docs/explain.md", "docs/models.md")
    for number in range(len(factories(document)))
]


def test_there_are_examples() -> None:
    assert EXAMPLES == [("docs/explain.md", 0), ("docs/models.md", 0), ("docs/models.md", 1)]


@pytest.mark.parametrize(("document", "number"), EXAMPLES)
def test_the_example_explains_a_video(
    document: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"own_{Path(document).stem}_{number}".lower()
    (tmp_path / f"{name}.py").write_text(MY_NETWORK + factories(document)[number], "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    video = write_video(tmp_path / "video.mp4", noise_frames(30, 64, 96), codec="libx264", pixel_format="yuv420p")
    try:
        arguments = ["explain", str(video), "-o", "out", "--model", f"{name}:factory", "--outputs", "data", "--json"]
        assert main(arguments) == 0
        assert main(["layers", f"{name}:factory"]) == 0
        model = load_model(f"{name}:factory", device="cpu")
        state = {key: torch.zeros_like(value) for key, value in model.module.state_dict().items()}
        torch.save(state, "zeros.pth")
        zeroed = load_model(f"{name}:factory", device="cpu", weights=Path("zeros.pth"))
    finally:
        sys.modules.pop(name, None)
    (result,) = json.loads(capsys.readouterr().out.partition("\nlayer")[0])["results"]
    assert result["model"]["layer"] == model.spec.layer
    assert result["model"]["weights"] == model.weights
    assert result["top5"][0]["label"] in model.labels
    assert not any(value.any() for value in zeroed.module.parameters())
    assert zeroed.weights.startswith("zeros.pth, sha256 ")
