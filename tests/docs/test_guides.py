"""The Python code of the guides runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import vidcam

pytestmark = pytest.mark.docs

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page: str) -> list[str]:
    """Return the Python code of a guide."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


def test_coming_from_captum() -> None:
    """Its `LayerGradCam` and `gradcam` are the same map, as the guide says."""
    captum = pytest.importorskip("captum.attr")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        model, clip = torchvision.models.video.r3d_18(num_classes=10).eval(), torch.rand(1, 3, 16, 112, 112)
        model.fc.weight.data.abs_()  # so that there is evidence for every class
    frames = np.zeros((16, 112, 112, 3), np.uint8)
    for block in blocks("coming-from.md"):
        names: dict[str, Any] = {"vidcam": vidcam, "model": model, "clip": clip, "frames": frames, "grey": clip * 0}
        exec(block, names)  # noqa: S102 – our own text
        if "grid" in names:
            expected = captum.LayerGradCam(model, model.layer4).attribute(clip, target=3, relu_attributions=True)
            np.testing.assert_allclose(names["grid"], expected[:, 0].detach(), rtol=1e-5, atol=1e-7)
            assert names["heat"].shape == names["pixels"].shape == (1, 16, 112, 112)
    assert len(blocks("coming-from.md")) == 3


def test_the_first_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidcam.pipelines.study.motion_set import write_video

    write_video(tmp_path / "video.mp4", [made_frames()])
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    (block,) = blocks("first-video.md")
    exec(block, names)  # noqa: S102 – our own text
    assert names["heat"].shape == (2, 64, 64)
    assert (tmp_path / "out" / "video.html").is_file()


def made_frames() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the frames of a clip of the motion set."""
    from vidcam.motion import make_clip

    return make_clip(0, 0).frames


@pytest.mark.filterwarnings("default")  # the package's own
def test_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    transformers.VideoMAEForVideoClassification(transformers.VideoMAEConfig(**small)).save_pretrained(tmp_path)
    transformers.VideoMAEImageProcessor().save_pretrained(tmp_path)
    (block,) = blocks("transformers.md")
    names: dict[str, Any] = {"folder": tmp_path, "frames": np.zeros((16, 240, 320, 3), np.uint8)}
    exec(block, names)  # noqa: S102 – our own text
    explanation = names["explanation"]
    assert explanation.volumes["token-lrp"].shape == explanation.signed["token-lrp"].shape == (1, 8, 14, 14)
    assert explanation.heat("token-lrp").shape == (1, 16, 224, 224)
