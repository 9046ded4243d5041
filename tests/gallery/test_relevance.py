"""Relevance of published transformers, small: no layer and no reshape, the same logits, and each cell where it is."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scripts.research.transformer_kinds import BUILDERS, clip_for, difference
from scripts.research.transformer_kinds import network_of as network_of_kind
from vidcam import explain
from vidcam.cam.layers import find_layer
from vidcam.errors import LayerError
from vidcam.results.explanation import Explanation

SMALL = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "num_labels": 5}
PREDICTOR = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1, "mlp_ratio": 2.0}

HUGGING_FACE: dict[str, tuple[dict[str, Any], int, tuple[int, int, int], bool]] = {
    "VideoMAE": ({"num_frames": 8, "image_size": 32, "patch_size": 8}, 8, (4, 4, 4), True),
    "Timesformer": ({"num_frames": 4, "image_size": 32, "patch_size": 8}, 4, (4, 4, 4), False),
    "Vivit": ({"num_frames": 8, "image_size": 32, "tubelet_size": [2, 8, 8]}, 8, (4, 4, 4), True),
    "VJEPA2": ({"frames_per_clip": 8, "crop_size": 32, "patch_size": 8, **PREDICTOR}, 8, (4, 4, 4), True),
}
"""Name → options, frames, grid, and whether each token attends to all."""


def network_of(name: str) -> nn.Module:
    """A small network with random weights, whose differences are large enough to be seen."""
    package = importlib.import_module("transformers")
    config = getattr(package, f"{name}Config")(**SMALL, **HUGGING_FACE[name][0], initializer_range=0.2)
    torch.manual_seed(0)
    network: nn.Module = getattr(package, f"{name}ForVideoClassification")(config)
    return network.eval()


def require_like(network: nn.Module, clip: Tensor, found: Explanation, grid: tuple[int, int, int]) -> None:
    """The logits are those of the network, and the map has something to show."""
    with torch.no_grad():
        output = network(clip)
    logits = getattr(output, "logits", output)
    np.testing.assert_allclose(found.logits, logits, rtol=0, atol=1e-6 * float(logits.abs().max()))
    for name, volume in found.volumes.items():
        assert volume.shape[1:] == grid, name
        assert np.isfinite(volume).all(), name
        assert volume.std() > 0, name


@pytest.mark.gallery
@pytest.mark.filterwarnings("default")  # the package's own
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_hugging_face(name: str) -> None:
    pytest.importorskip("transformers", reason="needs transformers: pip install 'vidcam[gallery]'")
    network, (_, frames, grid, is_joint) = network_of(name), HUGGING_FACE[name]
    clip = torch.randn(2, frames, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = explain(network, clip)
    assert found.methods == ("token-lrp",)
    require_like(network, clip, found, grid)
    assert not any("no rule is known" in note for note in found.notes)
    require_like(network, clip, explain(network, clip, methods="attnlrp"), grid)
    if is_joint:
        require_like(network, clip, explain(network, clip, methods=("attention-cam", "rollout")), grid)
    else:
        with pytest.raises(LayerError, match="use token-lrp"):
            explain(network, clip, methods="attention-cam")


@pytest.mark.gallery
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_a_cell_lies_where_its_pixels_do(name: str) -> None:
    """Patches are zero where the clip is, without a bias: then one cell alone has relevance."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'vidcam[gallery]'")
    network, (_, frames, grid, _) = network_of(name), HUGGING_FACE[name]
    step = frames // grid[0]
    for t, h, w in ((0, 1, 3), (3, 0, 2), (2, 3, 0)):
        clip = torch.zeros(1, frames, 3, 32, 32)
        clip[:, t * step : (t + 1) * step, :, 8 * h : 8 * h + 8, 8 * w : 8 * w + 8] = 1.0
        layer = find_layer(network, explain(network, clip, axes="NTCHW").layer)
        with torch.no_grad():
            layer.bias.zero_()  # type: ignore[operator]
        signed = explain(network, clip, axes="NTCHW").signed["token-lrp"][0]
        assert [tuple(map(int, place)) for place in np.argwhere(signed != 0)] == [(t, h, w)]


@pytest.mark.gallery
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", BUILDERS)
def test_relevance_is_that_of_the_rules_by_another_way(name: str) -> None:
    for package in ("transformers", "timm", "pytorchvideo"):
        pytest.importorskip(package, reason="needs pip install 'vidcam[gallery]'")
    assert difference(network_of_kind(name), clip_for(name)) < 1e-12


@pytest.mark.parametrize(
    ("name", "size", "grid"),
    [
        ("swin3d_t", (4, 32, 32), (2, 8, 8)),
        pytest.param("mvit_v2_s", (16, 224, 224), (8, 56, 56), marks=pytest.mark.slow),
    ],
)
def test_torchvision(name: str, size: tuple[int, int, int], grid: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = getattr(importlib.import_module("torchvision.models.video"), name)(num_classes=5).eval()
    clip = torch.randn(1, 3, *size)
    found = explain(network, clip)
    assert found.methods == ("token-lrp",)
    require_like(network, clip, found, grid)
    assert not any("no rule is known" in note for note in found.notes)
