"""The examples of docs/models.md with a user's own network work on the command line."""

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


def factories(text: str) -> list[str]:
    """Find the Python examples in a document that define a factory."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "def factory() -> Model:" in block]


EXAMPLES = factories((ROOT / "docs/models.md").read_text("utf-8"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_explains_a_video(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"own_{number}"
    (tmp_path / f"{name}.py").write_text(EXAMPLES[number], "utf-8")
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
