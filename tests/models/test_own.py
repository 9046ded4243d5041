"""The examples of docs/models.md with a user's own network work on the command line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.helpers.videos import noise_frames, write_video
from vidcam.cli.app import main
from vidcam.models.registry import load_model

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


OWN = """
from fractions import Fraction
from torch import nn
from vidcam import Model, ModelSpec, Scaling

class Net(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.conv, self.fc, self.code = nn.Conv3d(3, 4, 3, padding=1), nn.Linear(4, 2), code

    def forward(self, clip):
        features = self.conv(clip).relu()
        exec(self.code)
        return self.fc(features.mean((2, 3, 4)))

def own(code):
    scaling = Scaling(mean=(0.0,) * 3, std=(255.0,) * 3)
    spec = ModelSpec(
        name="own", frames=4, fps=Fraction(5), resize=24, crop_size=(16, 16), scaling=scaling, classes=2, layer="conv"
    )
    return Model(spec, Net(code), ("a", "b"), "own")

def training(): return own("")
def key_error(): return own("{}['logits']")
def type_error(): return own("len(3)")
def runtime_error(): return own("features.view(7, 7)")
def os_error(): return own("open('/nowhere/weights')")
def broken(): raise KeyError("settings")
"""


@pytest.fixture
def explain_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Explain a video with a factory of OWN on the command line; returns the exit code."""
    (tmp_path / "own_failing.py").write_text(OWN, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    video = write_video(tmp_path / "video.mp4", noise_frames(12, 32, 48), codec="libx264", pixel_format="yuv420p")
    data = ["--outputs", "data", "--json", "--device", "cpu"]
    yield lambda factory: main(["explain", str(video), "-o", "out", "--model", f"own_failing:{factory}", *data])
    sys.modules.pop("own_failing", None)


@pytest.mark.parametrize(
    ("factory", "code", "sentence"),
    [
        ("key_error", 1, r"model 'own' failed: KeyError: 'logits' \(own_failing\.py:13\)"),
        ("type_error", 1, r"model 'own' failed: TypeError: .* has no len\(\) \(own_failing\.py:13\)"),
        ("os_error", 1, r"model 'own' failed: FileNotFoundError: .*/nowhere/weights' \(own_failing\.py:13\)"),
        ("runtime_error", 1, r"model 'own' failed on a batch of 1: RuntimeError: shape .* \(own_failing\.py:13\)"),
        ("broken", 2, r"model 'own_failing:broken' cannot be made: KeyError: 'settings' \(own_failing\.py:28\)"),
    ],
)
def test_an_error_of_the_users_own_code_is_one_sentence(
    factory: str, code: int, sentence: str, explain_own: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain_own(factory) == code
    assert re.search(rf"^vidcam: error: {sentence}$", capsys.readouterr().err, re.MULTILINE)


def test_a_network_in_training_mode_is_run_in_evaluation_mode_and_a_note_says_so(
    explain_own: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain_own("training") == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert any("was in training mode" in sentence for sentence in result["audit"])
