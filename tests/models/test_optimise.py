"""Folding and its proofs: the copy answers as the network does, looked-at layers stay, the network is left alone."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.cam.explain import explain
from vidcam.cam.record import record
from vidcam.errors import InputError
from vidcam.models.model import Model
from vidcam.models.optimise import Forward, optimised
from vidcam.models.registry import load_model
from vidcam.spec import ModelSpec, Scaling

SIZE = (4, 10, 12)


def with_statistics(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """With the normalisations of a network that has learned something."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.3, 3)
            if module.affine:
                nn.init.uniform_(module.weight, -1.5, 1.5)
                nn.init.normal_(module.bias)
    return network.eval()


def model_of(network: nn.Module) -> Model:
    spec = ModelSpec(
        name="own",
        frames=SIZE[0],
        fps=Fraction(5),
        resize=SIZE[1:],
        crop_size=SIZE[1:],
        scaling=Scaling(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
        classes=5,
        layer=None,
    )
    return Model(spec, network, tuple("abcde"), "random")


class Net(nn.Module):
    """A residual network whose pieces can be put together wrongly in many ways."""

    def __init__(self, norm: nn.Module | None = None, norm2: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 6, 3, padding=1, bias=False)
        self.bn1 = norm or nn.BatchNorm3d(6)
        self.conv2 = nn.Conv3d(6, 6, 3, padding=1, groups=2)
        self.bn2 = norm2 or nn.BatchNorm3d(6)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Any:
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = functional.relu(self.bn2(self.conv2(x)) + x)
        return self.fc(x.mean(dim=(2, 3, 4)))


def clips(n: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, 3, *SIZE, generator=torch.Generator().manual_seed(1)).to(dtype)


def answers(network: nn.Module, clip: Tensor) -> Any:
    with torch.no_grad():
        return network(clip)


def gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_copy_answers_as_the_network(dtype: torch.dtype, most: float) -> None:
    model = model_of(with_statistics(Net()).to(dtype))
    faster, forward = optimised(model)
    assert forward == Forward(folded=2, memory_format="channels_last_3d")
    assert gap(answers(faster.module, clips(dtype=dtype)), answers(model.module, clips(dtype=dtype))) < most


@pytest.mark.parametrize(("layer", "folded"), [("conv1", 1), ("bn1", 2), ("conv2", 1), ("bn2", 2), ("fc", 2)], ids=str)
def test_a_layer_that_is_looked_at_returns_what_it_returned(layer: str, folded: int) -> None:
    model = model_of(with_statistics(Net()).double())
    faster, forward = optimised(model, [layer])
    seen = []
    for network in (model.module, faster.module):
        with record(network, [layer]) as tape:
            network(clips(dtype=torch.float64))
            seen.append(tape.activations[layer])
    assert forward.folded == folded
    assert gap(seen[1], seen[0]) < 1e-10
    assert [name for name, _ in faster.module.named_modules()] == [name for name, _ in model.module.named_modules()]


def test_a_block_that_returns_its_convolution_is_a_layer_too() -> None:
    network = Net()
    network.conv1 = nn.Sequential(nn.Conv3d(3, 6, 1))  # type: ignore[assignment]
    model = model_of(with_statistics(network))
    assert optimised(model)[1].folded == 2
    assert optimised(model, ["conv1"])[1].folded == 1


def twice(self: Any, x: Tensor) -> Any:
    features = self.conv1(x)
    both = functional.relu(self.bn1(features)) + features
    return self.fc(both.mean(dim=(2, 3, 4)))


def shared_norm(self: Any, x: Tensor) -> Any:
    x = functional.relu(self.bn1(self.conv1(x)))
    return self.fc(functional.relu(self.bn1(self.conv2(x))).mean(dim=(2, 3, 4)))


def shared_convolution(self: Any, x: Tensor) -> Any:
    half = self.conv2(torch.cat([x, x], dim=1))
    return self.fc((self.bn1(half) + self.bn2(self.conv2(half))).mean(dim=(2, 3, 4)))


def weight_is_read(self: Any, x: Tensor) -> Any:
    features = functional.relu(self.bn1(self.conv1(x))).mean(dim=(2, 3, 4))
    return self.fc(features * self.conv1.weight.abs().mean())


def norm_is_read(self: Any, x: Tensor) -> Any:
    return self.fc(functional.relu(self.bn1(self.conv1(x))).mean(dim=(2, 3, 4)) * self.bn1.weight)


def changed_between(self: Any, x: Tensor) -> Any:
    return self.fc(self.bn1(self.conv1(x).relu_()).mean(dim=(2, 3, 4)))


def looks_at_values(self: Any, x: Tensor) -> Any:
    features = self.conv1(x)
    return self.fc((self.bn1(features) if float(x.mean()) < 9 else features).mean(dim=(2, 3, 4)))


def on_the_side(self: Any, x: Tensor) -> Any:
    norm = self.bn1
    return self.fc(functional.batch_norm(self.conv1(x), norm.running_mean, norm.running_var).mean((2, 3, 4)))


@pytest.mark.parametrize(
    "forward",
    [
        twice,
        shared_norm,
        shared_convolution,
        weight_is_read,
        norm_is_read,
        changed_between,
        looks_at_values,
        on_the_side,
    ],
    ids=lambda function: function.__name__,
)
def test_what_is_not_proven_is_not_folded(forward: Callable[[Any, Tensor], Any]) -> None:
    network = type("Own", (Net,), {"forward": forward})()
    model = model_of(with_statistics(network))
    faster, how = optimised(model)
    assert how.folded == 0
    assert (how.reason is not None) == (forward is looks_at_values)
    assert gap(answers(faster.module, clips()), answers(model.module, clips())) < 1e-6


def test_a_normalisation_that_still_learns_is_left_alone() -> None:
    model = model_of(with_statistics(Net()))
    model.module.get_submodule("bn1").train()
    assert optimised(model)[1].folded == 1
    model.module.train()
    assert optimised(model)[1].folded == 0


def test_a_normalisation_without_statistics_is_left_alone() -> None:
    model = model_of(with_statistics(Net(norm=nn.BatchNorm3d(6, track_running_stats=False))))
    assert optimised(model)[1].folded == 1


def test_a_normalisation_that_learned_nothing_of_its_own_is_folded() -> None:
    model = model_of(with_statistics(Net(norm=nn.BatchNorm3d(6, affine=False))).double())
    faster, forward = optimised(model)
    assert forward.folded == 2
    double = clips(dtype=torch.float64)
    assert gap(answers(faster.module, double), answers(model.module, double)) < 1e-10


class Scaled(nn.Conv3d):
    """A convolution that weighs itself: its weight is none of its parameters."""

    def forward(self, input: Tensor) -> Any:  # noqa: A002
        return self._conv_forward(input, self.weight / self.weight.norm(), self.bias)


class Biasless(nn.Conv3d):
    """A convolution that would not use a bias if it had one."""

    def forward(self, input: Tensor) -> Any:  # noqa: A002
        return self._conv_forward(input, self.weight, None)


@pytest.mark.parametrize("kind", [Scaled, Biasless])
def test_a_convolution_of_another_kind_is_not_folded(kind: type[nn.Conv3d]) -> None:
    network = Net()
    network.conv1 = kind(3, 6, 3, padding=1, bias=False)
    model = model_of(with_statistics(network))
    faster, _ = optimised(model)
    assert gap(answers(faster.module, clips()), answers(model.module, clips())) < 1e-5


def test_a_normalisation_that_is_called_by_a_second_name_is_replaced_there_too() -> None:
    network = Net()
    network.alias = network.bn1
    model = model_of(with_statistics(network))
    faster, forward = optimised(model)
    assert forward.folded == 2
    assert faster.module.alias is faster.module.bn1


def test_a_network_with_hooks_or_unknown_layers_runs_as_it_is() -> None:
    model = model_of(with_statistics(Net()))
    assert optimised(model, ["conv9"])[0] is model
    model.module.get_submodule("conv1").register_forward_hook(lambda *_: None)
    faster, forward = optimised(model)
    assert faster is model
    assert forward == Forward(reason="it has hooks")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_network_is_never_modified(dtype: torch.dtype) -> None:
    model = model_of(with_statistics(Net()).to(dtype))
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    strides = {name: tensor.stride() for name, tensor in model.module.state_dict().items()}
    former = answers(model.module, clips(dtype=dtype))
    for precision in ("float32", "bf16"):
        faster, _ = optimised(model, ["bn2"], precision=precision)
        explain(faster.module, clips(dtype=dtype), layer="bn2")
    after = model.module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) and after[name].stride() == strides[name] for name in before)
    assert torch.equal(answers(model.module, clips(dtype=dtype)), former)
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.module.modules())


def test_weights_that_are_not_changed_are_shared() -> None:
    model = model_of(with_statistics(Net()))
    faster, _ = optimised(model)
    assert faster.module.get_parameter("fc.weight").data_ptr() == model.module.get_parameter("fc.weight").data_ptr()
    assert (
        faster.module.get_parameter("conv1.weight").data_ptr() != model.module.get_parameter("conv1.weight").data_ptr()
    )


def test_bfloat16_is_near_and_its_classifier_exact() -> None:
    model = model_of(with_statistics(Net()))
    faster, forward = optimised(model, precision="bf16")
    assert forward == Forward(folded=2, memory_format="channels_last_3d", precision="bf16")
    assert faster.module.get_parameter("conv1.weight").dtype == torch.bfloat16
    assert faster.module.get_parameter("fc.weight").dtype == torch.float32
    assert 0 < gap(answers(faster.module, clips()), answers(model.module, clips())) < 0.02


@pytest.mark.parametrize(("precision", "match"), [("fp16", "on a CPU"), ("int8", "expected one of float32")])
def test_a_precision_that_cannot_be_is_refused(precision: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        optimised(model_of(Net()), precision=precision)  # type: ignore[arg-type]


def test_a_precision_is_never_left_out_silently() -> None:
    model = model_of(with_statistics(Net()))
    model.module.get_submodule("conv1").register_forward_hook(lambda *_: None)
    with pytest.raises(InputError, match=r"own.*bf16 \(it has hooks\)"):
        optimised(model, precision="bf16")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folded"),
    [("tiny_r3d", 10), ("tiny_c3d", 0), ("r3d_18", 20), ("mc3_18", 20), ("r2plus1d_18", 37), ("s3d", 77), ("i3d", 57)],
)
def test_built_in_networks_are_folded_whole(name: str, folded: int) -> None:
    model = load_model(name, weights="random")
    with_statistics(model.module)
    faster, forward = optimised(model, [model.spec.layer or ""])
    assert forward == Forward(folded=folded, memory_format="channels_last_3d")
    clip = torch.randn(1, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(2))
    if name in {"tiny_r3d", "tiny_c3d", "r3d_18"}:  # the others take seconds, and differ by nothing else
        plain = explain(model.module, clip, layer=model.spec.layer)
        other = explain(faster.module, clip, layer=model.spec.layer, target=int(plain.target[0]))
        for method, volume in plain.volumes.items():
            assert abs(volume - other.volumes[method]).max() <= 1e-4 * abs(volume).max()
        assert abs(plain.logits - other.logits).max() <= 2e-5 * max(1, abs(plain.logits).max())


@pytest.mark.parametrize(("reshape", "layout"), [("view", "contiguous"), ("flatten", "channels_last_3d")])
def test_a_network_that_takes_views_keeps_its_layout(reshape: str, layout: str) -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv3d(3, 4, 1), nn.Linear(4 * 480, 5)

        def forward(self, x: Tensor) -> Any:
            features = self.conv(x).relu()
            return self.fc(features.view(len(x), -1) if reshape == "view" else features.flatten(1))

    assert optimised(model_of(Views().eval()))[1].memory_format == layout


def test_a_transformer_stays_as_it_is() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.norm, self.head = nn.Conv3d(3, 8, 2, 2), nn.LayerNorm(8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Any:
            return self.head(self.norm(self.patches(x).flatten(2).transpose(1, 2)).mean(dim=1))

    model = model_of(Tokens().eval())
    assert optimised(model) == (model, Forward(reason="it has nothing to fold or to lay out anew"))
    assert optimised(model, precision="bf16")[1].precision == "bf16"
