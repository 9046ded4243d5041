"""The library's own check of layouts, on transformers of Hugging Face, and X3D above its training size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.nets import random_clip
from vidcam.errors import LayerError
from vidcam.spec import TokenGrid

pytestmark = [pytest.mark.gallery, pytest.mark.filterwarnings("default")]  # the packages' own warnings

SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}


def network(name: str, **settings: Any) -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'vidcam[gallery]'")
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SMALL, **settings, num_labels=5)
    net: nn.Module = getattr(transformers, f"{name}ForVideoClassification")(config)
    return net.eval()


@pytest.mark.parametrize(
    ("name", "frames", "layout", "layer"),
    [
        ("VideoMAE", 16, TokenGrid((8, 14, 14), 0), "videomae.encoder.layer.1.layernorm_before"),
        ("Timesformer", 8, TokenGrid((8, 14, 14), order="hwt"), "timesformer.encoder.layer.0"),
        ("Vivit", 32, TokenGrid((16, 14, 14)), "vivit.layers.1.layernorm_before"),
    ],
)
def test_the_right_order_passes_and_another_is_refused(name: str, frames: int, layout: TokenGrid, layer: str) -> None:
    net, clip = network(name, num_frames=frames), random_clip(1, frames, 3, 224, 224)
    grid, count, order = layout.grid, layout.class_tokens, layout.order
    reshape = vidcam.tokens(grid, order=order, class_tokens=count)
    explanation = vidcam.explain(net, clip, methods="gradcam", layer=layer, reshape=reshape)
    assert not [note for note in explanation.notes if "not verified" in note]
    other = "hwt" if order == "thw" else "thw"
    wrong = vidcam.tokens(grid, order=other, class_tokens=count)
    with pytest.raises(LayerError, match=f"look ordered '{order}', not '{other}'"):
        vidcam.explain(net, clip, methods="gradcam", layer=layer, reshape=wrong)


def test_x3d_above_its_training_size() -> None:
    """At 182 pixels it takes the softmax in each of four cells, and then their mean."""
    x3d = pytest.importorskip("pytorchvideo.models.x3d", reason="needs pytorchvideo: pip install 'vidcam[gallery]'")
    torch.manual_seed(0)
    net: nn.Module = x3d.create_x3d(input_clip_length=13, input_crop_size=160, model_num_class=5).eval()
    clip = random_clip(1, 3, 13, 182, 182)
    explanation = vidcam.explain(net, clip, methods="gradcam", target=3)
    assert any("averages probabilities" in note for note in explanation.notes)
    seen: dict[str, Tensor] = {}
    net.get_submodule("blocks.5.activation").register_forward_hook(lambda _, given, __: seen.update(z=given[0]))
    net.get_submodule(explanation.layer).register_forward_hook(lambda _, __, output: seen.update(a=output))
    net(clip)
    assert seen["z"].shape[2:] == (1, 2, 2)
    (gradient,) = torch.autograd.grad(seen["z"].mean(dim=(2, 3, 4))[:, 3].sum(), seen["a"])
    expected = torch.relu((gradient.mean(dim=(2, 3, 4), keepdim=True) * seen["a"]).sum(dim=1)).detach().numpy()
    np.testing.assert_allclose(explanation.volumes["gradcam"], expected, rtol=0, atol=1e-5 * expected.max())
