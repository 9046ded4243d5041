"""EfficientNet-Lite0: padding, names of the published weights, and what the real weights answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.helpers.nets import random_clip
from vidcam.cam.explain import explain
from vidcam.cam.layers import default_layer, list_layers
from vidcam.errors import ShapeError, WeightsError
from vidcam.models.families.efficientnet_lite import (
    EFFICIENTNET_LITE0_CHECKPOINT,
    EfficientNetLite,
    SameConv2d,
    build,
    convert,
    load_file,
)
from vidcam.models.labels import imagenet
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.models.specs import EFFICIENTNET_LITE0_SPEC
from vidcam.models.weights.checkpoint import load_state

PUBLISHED = {
    "_conv_stem.weight": "stem.conv.weight",
    "_bn0.running_mean": "stem.norm.running_mean",
    "_blocks.0._depthwise_conv.weight": "blocks.0.depthwise.conv.weight",
    "_blocks.12._expand_conv.weight": "blocks.12.expand.conv.weight",
    "_blocks.12._bn0.weight": "blocks.12.expand.norm.weight",
    "_blocks.12._bn1.bias": "blocks.12.depthwise.norm.bias",
    "_blocks.15._project_conv.weight": "blocks.15.project.conv.weight",
    "_blocks.15._bn2.num_batches_tracked": "blocks.15.project.norm.num_batches_tracked",
    "_conv_head.weight": "head.conv.weight",
    "_bn1.running_var": "head.norm.running_var",
    "_fc.bias": "classifier.bias",
}


def with_statistics(network: nn.Module) -> nn.Module:
    """Set the statistics of the normalisations to those of one batch, so that the signal reaches the end."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(random_clip(4, 3, 96, 64))
    return network.eval()


def test_names_of_the_published_weights() -> None:
    own = EfficientNetLite().state_dict()
    assert [*convert({name: torch.zeros(1) for name in PUBLISHED})] == [*PUBLISHED.values()]
    assert set(PUBLISHED.values()) <= set(own)
    assert len(own) == 296
    with pytest.raises(WeightsError, match=r"unexpected tensor '_se\.weight'; pass one of efficientnet-lite0"):
        convert({"_se.weight": torch.zeros(1)})


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 1), (3, 2), (5, 2), (1, 1)])
@pytest.mark.parametrize("size", [(14, 14), (7, 9), (8, 5)])
def test_padding_is_tensorflows(kernel: int, stride: int, size: tuple[int, int]) -> None:
    """The k-th output is centred on input k·stride (odd total at the end): padded by hand on a long canvas."""
    conv, image = SameConv2d(2, 3, kernel, stride, bias=False), random_clip(1, 2, *size)
    pads = []
    for length in size:
        cells = -(-length // stride)
        total = max((cells - 1) * stride + kernel - length, 0)
        pads.append((total // 2, total - total // 2))
    canvas = torch.zeros(1, 2, *(length + sum(pad) for length, pad in zip(size, pads, strict=True)))
    canvas[:, :, pads[0][0] : pads[0][0] + size[0], pads[1][0] : pads[1][0] + size[1]] = image
    found = conv(image)
    assert found.shape[2:] == tuple(-(-length // stride) for length in size)
    torch.testing.assert_close(found, functional.conv2d(canvas, conv.weight, stride=stride))


def test_the_network_by_its_spec() -> None:
    network = build().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == EFFICIENTNET_LITE0_SPEC.parameters
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU6)]
    assert len(relus) == 33  # stem, head, 15 expansions, 16 filters: none is shared
    image = random_clip(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(network(image.unsqueeze(2)), network(image))
    layers = list_layers(network, image)
    assert default_layer(layers) == EFFICIENTNET_LITE0_SPEC.layer == "head"
    assert next(layer for layer in layers if layer.name == "head").grid == (2, 3)
    with pytest.raises(ShapeError, match=r"takes images \(N, 3, H, W\), got \(1, 4, 8, 8\)"):
        network(torch.zeros(1, 4, 8, 8))


def test_a_map_of_one_frame() -> None:
    network = with_statistics(build())
    spec = replace(EFFICIENTNET_LITE0_SPEC, crop_size=(96, 64))
    model = Model(spec, network, imagenet(), "random")
    result = explain(model, random_clip(1, 3, 1, 96, 64), methods=("gradcam", "cam"), target="tench")
    assert result.layer == "head"
    assert result.volumes["gradcam"].shape == (1, 1, 3, 2)
    # pooling and one linear layer: Grad-CAM is CAM divided by the number of cells
    np.testing.assert_allclose(6 * result.volumes["gradcam"], result.volumes["cam"], rtol=1e-3, atol=1e-4)


def test_a_weights_file_with_the_published_names(tmp_path: Path) -> None:
    source, network = with_statistics(build()), build()
    back = {own: published for published, own in PUBLISHED.items()}
    torch.save({back.get(name, name): tensor for name, tensor in source.state_dict().items()}, tmp_path / "lite0.pth")
    load_file(network, tmp_path / "lite0.pth")
    for name, tensor in source.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)


@pytest.fixture(scope="module")
def lite0() -> Model:
    """The model with its real weights, from the cache or downloaded. Skip the test if neither works."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_RETRIES", "0")  # offline, retries would take half a minute
        try:
            return load_model("efficientnet_lite0", device="cpu")
        except WeightsError as exc:
            pytest.skip(f"needs the real weights: {exc}")


@pytest.mark.weights
def test_the_published_logits(lite0: Model) -> None:
    """Logits of the package's own network, efficientnet-lite-pytorch 0.1.0, on a fixed pattern."""
    assert lite0.weights.endswith(f"sha256 {EFFICIENTNET_LITE0_CHECKPOINT.source.member_sha256}")
    assert len(load_state(EFFICIENTNET_LITE0_CHECKPOINT)) == 296
    with torch.inference_mode():
        logits = lite0.module(pattern())[0]
    top = logits.topk(5)
    assert top.indices.tolist() == PATTERN_CLASSES
    torch.testing.assert_close(top.values, torch.tensor(PATTERN_LOGITS), rtol=0, atol=1e-4)


def pattern() -> Tensor:
    """Concentric rings in three colours, (1, 3, 224, 224) in [-1, 1]."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 224), torch.linspace(-1, 1, 224), indexing="ij")
    radius = (x.square() + y.square()).sqrt()
    return torch.stack([torch.sin(12 * radius), torch.cos(20 * x * y), torch.sin(9 * (x - y))]).unsqueeze(0)


PATTERN_CLASSES = [723, 645, 639, 885, 506]
PATTERN_LOGITS = [8.454864, 6.784758, 5.958721, 5.756823, 5.1274]


def test_pictures_are_explained_without_an_axis_of_time() -> None:
    loaded = load_model("efficientnet_lite0", device="cpu", weights="random")
    pictures = random_clip(2, 3, 224, 224)
    flat = explain(loaded, pictures, methods="hirescam", target=3)
    clips = explain(loaded, pictures.unsqueeze(2), methods="hirescam", target=3)
    np.testing.assert_array_equal(flat.logits, clips.logits)
    np.testing.assert_array_equal(flat.volumes["hirescam"], clips.volumes["hirescam"])
    assert not flat.notes
