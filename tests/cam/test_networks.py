"""Any network: 1-D to 3-D, a layer of any name or output, clips that are mixed, and pathways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.video import r3d_18

from tests.helpers.conduct import State
from tests.helpers.nets import PooledHead, random_clip, seeded
from tests.helpers.networks import CHEAP, assert_alike
from vidcam.cam.explain import explain
from vidcam.cam.network import Input
from vidcam.errors import InputError, LayerError


def by_hand(activations: Tensor, gradients: Tensor) -> dict[str, np.ndarray[Any, Any]]:
    """The formulas of the methods, written a second time."""
    axes = tuple(range(2, activations.ndim))
    positive, total = gradients.clamp(min=0), activations.sum(dim=axes, keepdim=True)
    weights = {
        "gradcam": gradients.mean(dim=axes, keepdim=True),
        "gradcam+": positive.mean(dim=axes, keepdim=True),
        "gradcam++": (positive / (2 + total * positive)).sum(dim=axes, keepdim=True),
        "hirescam": gradients,
        "layercam": positive,
    }
    return {name: (w * activations).sum(dim=1).clamp(min=0).numpy() for name, w in weights.items()}


def frame(kernel: int, head: Callable[[int], nn.Module]) -> nn.Module:
    """Conv → ReLU → pooling with positions → two linear layers, in 1, 2 or 3 dimensions."""
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[kernel - 1]
    return nn.Sequential(conv(3, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), head(5 * 6**kernel))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_features_of_any_dimension(axes: int) -> None:
    def head(cells: int) -> nn.Module:
        return nn.Sequential(nn.Linear(cells, 7), nn.ReLU(), nn.Linear(7, 4))

    net = seeded(lambda: frame(axes, head)).double()
    clip = random_clip(2, 3, *[6] * axes, dtype=torch.float64)
    result = explain(net, clip, layer="1", methods=CHEAP, target=2)
    leaf = net.get_submodule("1")(net.get_submodule("0")(clip)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(net.get_submodule("3")(leaf.flatten(1))[:, 2].sum(), leaf)
    for name, expected in by_hand(leaf.detach(), gradient).items():
        np.testing.assert_allclose(result.volumes[name], expected, rtol=1e-9, atol=1e-15)
        assert result.heat(name).shape == (2, *[6] * axes)


@pytest.mark.parametrize(
    ("make", "shape", "head"),
    [
        pytest.param(resnet18, (2, 3, 64, 64), lambda net, a: net.fc(a.mean(dim=(2, 3))), id="resnet18"),
        pytest.param(r3d_18, (1, 3, 16, 32, 32), lambda net, a: net.fc(a.mean(dim=(2, 3, 4))), id="r3d_18"),
    ],
)
def test_torchvision_networks_at_their_last_block(
    make: Callable[..., nn.Module], shape: tuple[int, ...], head: Callable[[Any, Tensor], Tensor]
) -> None:
    net, clip = seeded(make, weights=None, num_classes=6).eval(), random_clip(*shape)
    kept: list[Tensor] = []
    handle = net.get_submodule("layer4").register_forward_hook(lambda _m, _i, out: kept.append(out.detach()))
    with torch.no_grad():
        net(clip)
    handle.remove()
    leaf = kept[0].requires_grad_()
    (gradient,) = torch.autograd.grad(head(net, leaf)[:, 3].sum(), leaf)
    expected = by_hand(leaf.detach(), gradient)
    result = explain(net, clip, methods=(*CHEAP, "cam"), target=3)
    assert result.layer == "layer4"
    for name in CHEAP:
        np.testing.assert_allclose(result.volumes[name], expected[name], rtol=1e-4, atol=1e-5 * expected[name].max())
    cells = leaf[0, 0].numel()
    np.testing.assert_allclose(result.volumes["cam"] / cells, expected["gradcam"], rtol=1e-3, atol=1e-5)


# ---- layers


def test_a_layer_by_name_with_dots_or_slashes_or_as_a_module() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    results = [explain(net, clip, layer=layer) for layer in ("block2.2", "/block2/2/", net.get_submodule("block2.2"))]
    assert {result.layer for result in results} == {"block2.2"}
    for result in results[1:]:
        np.testing.assert_array_equal(result.volumes["gradcam"], results[0].volumes["gradcam"])
    both = explain(net, clip, layer=[net.get_submodule("block1"), "block2/2", "block2.2"])
    assert both.layer == "block1 + block2.2"


def test_a_module_of_another_network() -> None:
    with pytest.raises(LayerError, match="layer is a ReLU that is not part of the model"):
        explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8), layer=nn.ReLU())


def test_an_empty_list_of_layers() -> None:
    with pytest.raises(LayerError, match="layer is empty, expected one or more"):
        explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8), layer=[])


class Pair(NamedTuple):
    features: Tensor
    number: int


class Wrapped(nn.Module):
    """A layer that returns its features inside a container."""

    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.conv, self.relu, self.wrap = nn.Conv3d(3, 5, 3, padding=1), nn.ReLU(), wrap

    def forward(self, clip: Tensor) -> Any:
        return self.wrap(self.relu(self.conv(clip)))


class WrappedNet(nn.Module):
    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.trunk, self.fc = Wrapped(wrap), nn.Linear(5 * 3 * 16, 4)
        self.kinds: list[type] = []

    def forward(self, clip: Tensor) -> Tensor:
        output = self.trunk(clip)
        self.kinds.append(type(output))
        scores: Tensor = self.fc((output[0] if isinstance(output, list | tuple) else output).flatten(1))
        return scores


@pytest.mark.parametrize("wrap", [lambda x: (x, 3), lambda x: Pair(x, 3), lambda x: [x, x]])
def test_layers_that_return_tuples(wrap: Callable[[Tensor], Any]) -> None:
    clip = random_clip(2, 3, 3, 4, 4)
    net = seeded(WrappedNet, wrap=wrap)
    assert isinstance(net, WrappedNet)
    expected = explain(seeded(WrappedNet, wrap=lambda x: x), clip, layer="trunk", methods=CHEAP)
    assert_alike(explain(net, clip, layer="trunk", methods=CHEAP), expected, tolerance=0)
    assert set(net.kinds) == {type(wrap(clip))}


class MixesClips(nn.Module):
    """Batch normalisation with the batch's own statistics, also in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4, track_running_stats=False)
        self.relu, self.fc = nn.ReLU(), nn.Linear(4, 3)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.relu(self.norm(self.conv(clip))).mean(dim=(2, 3, 4)))
        return scores


def test_a_batch_that_the_network_mixes() -> None:
    net, clip = seeded(MixesClips), random_clip(2, 3, 4, 8, 8)
    with pytest.raises(InputError, match=r"layer 'norm' uses batch statistics.* 2 clips; pass one clip at a time"):
        explain(net, clip, layer="relu")
    assert explain(net, clip[:1], layer="relu").logits.shape == (1, 3)


# ---- inputs


class Pathways(nn.Module):
    """Slow and fast pathways, as in SlowFast: the slow one sees every fourth frame."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Sequential(nn.Conv3d(3, 6, 3, padding=1), nn.ReLU())
        self.fast = nn.Sequential(nn.Conv3d(3, 2, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(8, 4)

    def forward(self, clips: list[Tensor]) -> Tensor:
        if not isinstance(clips, list):
            raise TypeError(type(clips))
        features = [path(clip).mean(dim=(2, 3, 4)) for path, clip in zip((self.slow, self.fast), clips, strict=True)]
        scores: Tensor = self.fc(torch.cat(features, dim=1))
        return scores


@pytest.mark.parametrize(("layer", "frames", "columns"), [("slow", 2, slice(0, 6)), ("fast", 8, slice(6, 8))])
def test_two_pathways(layer: str, frames: int, columns: slice) -> None:
    net, fast = seeded(Pathways), random_clip(2, 3, 8, 6, 6)
    assert isinstance(net, Pathways)
    clips = [fast[:, :, ::4], fast]
    state = State(net, *clips)
    result = explain(net, clips, layer=layer, methods=("gradcam", "guided-gradcam"), target=1)
    state.check_unchanged()
    activations = net.get_submodule(layer)(clips[0 if layer == "slow" else 1]).detach()
    weights = net.fc.weight[1, columns].detach() / activations[0, 0].numel()
    expected = torch.einsum("d,ndthw->nthw", weights, activations).relu().numpy()
    np.testing.assert_allclose(result.volumes["gradcam"], expected, rtol=1e-4, atol=1e-6)
    assert result.volumes["gradcam"].shape == (2, frames, 6, 6)
    assert result.heat("gradcam").shape == (2, 8, 6, 6)
    assert result.guided["guided-gradcam"].shape == (2, 3, 8, 6, 6)


def test_pathways_are_fused_on_the_finest_grid() -> None:
    net, fast = seeded(Pathways), random_clip(2, 3, 8, 6, 6)
    clips: Input = [fast[:, :, ::4], fast]
    assert explain(net, clips, layer=["slow", "fast"], target=1).volumes["gradcam"].shape == (2, 8, 6, 6)
    assert explain(net, clips, target=1).layer == "slow + fast"


class WritingPathways(Pathways):
    """Puts its features into the list that it was given, as pytorchvideo's SlowFast does."""

    def forward(self, clips: list[Tensor]) -> Tensor:
        clips[0], clips[1] = self.slow(clips[0]), self.fast(clips[1])[..., ::2, ::2]
        scores: Tensor = self.fc(torch.cat([features.mean(dim=(2, 3, 4)) for features in clips], dim=1))
        return scores


@pytest.mark.parametrize("layer", ["fast", None])
def test_a_list_of_pathways_is_left_as_it_was(layer: str | None) -> None:
    net, fast = seeded(WritingPathways), random_clip(1, 3, 8, 6, 6)
    slow = fast[:, :, ::4]
    clips: Input = [slow, fast]
    result = explain(net, clips, layer=layer, methods="gradcam", target=1)
    assert clips[0] is slow
    assert clips[1] is fast
    assert result.heat("gradcam").shape == (1, 8, 6, 6)
