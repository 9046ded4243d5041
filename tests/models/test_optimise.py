"""The faster copy gives the network's results. If it fails, the network itself is used. The network is unchanged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.helpers.passes import record
from vidcam.cam.explain import explain
from vidcam.errors import InputError
from vidcam.models.families.i3d import Logits, Mixed, SameMaxPool3d, Unit3D
from vidcam.models.families.tiny_r3d import TinyR3D
from vidcam.models.model import Forward, Model, Precision
from vidcam.models.optimise import optimise_model
from vidcam.models.registry import load_model
from vidcam.preprocess import grey_input
from vidcam.spec import ModelSpec, Scaling

SIZE = (4, 10, 12)
CHANNELS_LAST = Forward(memory_format="channels_last_3d")


def randomise_batch_norm(network: nn.Module, *, seed: int = 0) -> nn.Module:
    """Set random batch-norm statistics and weights, as in a trained network."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.3, 3)
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
    """A residual network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(3, 6, 3, padding=1, bias=False), nn.BatchNorm3d(6)
        self.conv2, self.bn2 = nn.Conv3d(6, 6, 3, padding=1, groups=2), nn.BatchNorm3d(6)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Any:
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = functional.relu(self.bn2(self.conv2(x)) + x)
        return self.fc(x.mean(dim=(2, 3, 4)))


def clips(n: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, 3, *SIZE, generator=torch.Generator().manual_seed(1)).to(dtype)


def logits_of(network: nn.Module, clip: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network(clip)
    return logits


def run_on_grey(model: Model) -> Tensor:
    """Run a model on a grey clip."""
    grey = grey_input(model.spec)
    return logits_of(model.module, grey.to(next(model.module.parameters(), grey).dtype))


def optimise(model: Model, precision: Precision = "float32") -> tuple[Model, Forward]:
    """Optimise a model, tested on a grey clip."""
    faster, forward, logits = optimise_model(model, run_on_grey, precision=precision)
    assert torch.isfinite(logits).all()
    return faster, forward


def relative_error(tensor: Tensor, expected: Tensor) -> float:
    return float((tensor.double() - expected.double()).abs().max() / expected.double().abs().max())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-6)])
def test_the_copy_returns_the_networks_logits(dtype: torch.dtype, tolerance: float) -> None:
    model = model_of(randomise_batch_norm(Net()).to(dtype))
    faster, forward = optimise(model)
    assert forward == CHANNELS_LAST
    assert faster.module.get_parameter("conv1.weight").is_contiguous(memory_format=torch.channels_last_3d)
    assert (
        relative_error(logits_of(faster.module, clips(dtype=dtype)), logits_of(model.module, clips(dtype=dtype)))
        < tolerance
    )


@pytest.mark.parametrize("layer", ["conv1", "bn1", "conv2", "bn2", "fc"])
def test_every_layer_keeps_its_name_and_output(layer: str) -> None:
    model = model_of(randomise_batch_norm(Net()).double())
    faster, _ = optimise(model)
    outputs = []
    for network in (model.module, faster.module):
        with record(network, [layer]) as recorder:
            network(clips(dtype=torch.float64))
            outputs.append(recorder.activations[layer])
    assert relative_error(outputs[1], outputs[0]) < 1e-10
    assert [name for name, _ in faster.module.named_modules()] == [name for name, _ in model.module.named_modules()]


def small_i3d() -> nn.Module:
    """Build a network from parts of I3D: a strided convolution and two Inception blocks."""
    return nn.Sequential(
        Unit3D(3, 16, kernel=7, stride=2),
        SameMaxPool3d((1, 3, 3), (1, 2, 2)),
        Mixed(16, (16, 24, 32, 4, 8, 8)),
        SameMaxPool3d((3, 3, 3), (2, 2, 2)),
        Mixed(64, (32, 32, 48, 8, 24, 16)),
        Logits(120, 5),
    )


@pytest.mark.parametrize("build", [TinyR3D, small_i3d])
def test_the_copy_is_as_close_to_float64_as_the_network(build: Callable[[], nn.Module]) -> None:
    """Both differ from float64 by a few 1e-7 of rounding. Either may be closer."""
    module = randomise_batch_norm(build())
    double = copy.deepcopy(module).double()
    clip = torch.randn(4, 3, 16, 64, 64, generator=torch.Generator().manual_seed(2))
    faster, forward, logits = optimise_model(model_of(module), lambda model: logits_of(model.module, clip))
    assert forward == CHANNELS_LAST
    assert relative_error(logits, logits_of(module, clip)) < 1e-6
    expected = logits_of(double, clip.double())
    copy_error = relative_error(logits_of(faster.module, clip), expected)
    network_error = relative_error(logits_of(module, clip), expected)
    assert copy_error <= max(2 * network_error, 5e-7)


def test_a_network_with_hooks_is_not_copied() -> None:
    model = model_of(randomise_batch_norm(Net()))
    model.module.get_submodule("conv1").register_forward_hook(lambda *_: None)
    faster, forward = optimise(model)
    assert faster is model
    assert forward == Forward(reason="it has hooks")


def test_a_network_that_cannot_be_copied_is_used_itself() -> None:
    class Uncopyable(Net):
        def __deepcopy__(self, memo: object) -> object:
            raise TypeError("cannot be copied")

    model = model_of(Uncopyable().eval())
    faster, forward = optimise(model)
    assert faster is model
    assert forward == Forward(reason="the channels-last copy failed: cannot be copied")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_network_is_never_modified(dtype: torch.dtype) -> None:
    model = model_of(randomise_batch_norm(Net()).to(dtype).train())
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    strides = {name: tensor.stride() for name, tensor in model.module.state_dict().items()}
    state = torch.get_rng_state()
    precisions: tuple[Precision, ...] = ("float32", "bf16")
    for precision in precisions:
        faster, _, _ = optimise_model(model, lambda candidate: run_on_grey(eval_copy(candidate)), precision=precision)
        explain(faster.module, clips(dtype=dtype), layer="bn2")
    after = model.module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) and after[name].stride() == strides[name] for name in before)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    assert all(module.training for module in model.module.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.module.modules())


def eval_copy(model: Model) -> Model:
    """Copy a model with its network in evaluation mode."""
    return Model(model.spec, copy.deepcopy(model.module).eval(), model.labels, model.weights)


def test_weights_that_are_not_converted_are_shared() -> None:
    model = model_of(randomise_batch_norm(Net()))
    faster, _ = optimise(model)
    is_shared = {
        name: faster.module.get_parameter(name).data_ptr() == parameter.data_ptr()
        for name, parameter in model.module.named_parameters()
    }
    assert {name for name, shared in is_shared.items() if not shared} == {"conv1.weight", "conv2.weight"}


def test_no_hook_of_the_test_run_stays_on_the_copy() -> None:
    faster, _ = optimise(model_of(randomise_batch_norm(Net())))
    assert not any(module._forward_hooks for module in faster.module.modules())
    assert clips().transpose(0, 1).view_as(clips().transpose(0, 1)).shape == (3, 2, *SIZE)


def test_bfloat16_with_a_float32_classifier() -> None:
    model = model_of(randomise_batch_norm(Net()))
    faster, forward = optimise(model, "bf16")
    assert forward == Forward("channels_last_3d", "bf16")
    assert faster.module.get_parameter("conv1.weight").dtype == torch.bfloat16
    assert faster.module.get_parameter("fc.weight").dtype == torch.float32
    assert 0 < relative_error(logits_of(faster.module, clips()), logits_of(model.module, clips())) < 0.02


def test_the_classifier_is_the_last_module_to_run() -> None:
    class ReverseOrder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.conv, self.unused = nn.Linear(4, 5), nn.Conv3d(3, 4, 1), nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Any:
            return self.fc(self.conv(x).mean(dim=(2, 3, 4)))

    faster, _ = optimise(model_of(ReverseOrder().eval()), "bf16")
    dtypes = {name: parameter.dtype for name, parameter in faster.module.named_parameters() if "weight" in name}
    half = torch.bfloat16
    assert dtypes == {"fc.weight": torch.float32, "conv.weight": half, "unused.weight": half}


@pytest.mark.parametrize(("precision", "match"), [("fp16", "on a CPU"), ("int8", "one of float32.*'int8'")])
def test_an_unavailable_precision_is_refused(precision: Precision, match: str) -> None:
    with pytest.raises(InputError, match=match):
        optimise_model(model_of(Net()), run_on_grey, precision=precision)


def test_a_network_that_cannot_run_in_half_precision_is_refused() -> None:
    model = model_of(randomise_batch_norm(Net()))
    model.module.get_submodule("conv1").register_forward_hook(lambda *_: None)
    with pytest.raises(InputError, match=r"own.*bf16 \(it has hooks\)"):
        optimise_model(model, run_on_grey, precision="bf16")
    with pytest.raises(InputError, match=r"own.*bf16 \(it has no weights\)"):
        optimise_model(model_of(nn.AvgPool3d(2)), run_on_grey, precision="bf16")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny_r3d", "tiny_c3d", "r3d_18", "mc3_18", "r2plus1d_18", "s3d", "i3d"])
def test_built_in_networks_run_channels_last(name: str) -> None:
    model = load_model(name, weights="random")
    randomise_batch_norm(model.module)
    faster, forward = optimise(model)
    assert forward == CHANNELS_LAST
    clip = torch.randn(1, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(2))
    if name in {"tiny_r3d", "tiny_c3d", "r3d_18"}:  # the others take seconds and test nothing new
        expected = explain(model.module, clip, layer=model.spec.layer)
        explanation = explain(faster.module, clip, layer=model.spec.layer, target=int(expected.target[0]))
        for method, volume in expected.volumes.items():
            assert abs(volume - explanation.volumes[method]).max() <= 1e-4 * abs(volume).max()
        assert abs(expected.logits - explanation.logits).max() <= 2e-5 * max(1, abs(expected.logits).max())


class Views(nn.Module):
    """A network that changes the shape of its features before its head."""

    def __init__(self, reshape: str) -> None:
        super().__init__()
        self.conv, self.fc, self.reshape = nn.Conv3d(3, 4, 1), nn.Linear(4, 5), reshape

    def forward(self, x: Tensor) -> Any:
        features = self.conv(x).relu()
        if self.reshape == "features":
            features = features.view(len(x), 4, -1)
        elif self.reshape == "channels of all clips":  # with one clip, channels-last features allow this view too
            features = features.view(len(x) * 4, *SIZE).mean(dim=(1, 2, 3)).view(len(x), 4)
        elif self.reshape == "like another":
            features = features.view_as(torch.empty(len(x), 4, 2 * SIZE[0], SIZE[1] // 2, SIZE[2]))
        elif self.reshape == "copied":
            features = features.contiguous().view(len(x), 4, -1)
        else:
            features = features.reshape(len(x), 4, -1)
        return self.fc(features.flatten(2).mean(dim=2) if features.ndim > 2 else features)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize(
    ("reshape", "memory_format"),
    [
        ("features", "contiguous"),
        ("channels of all clips", "contiguous"),
        ("like another", "contiguous"),
        ("copied", "channels_last_3d"),
        ("reshaped", "channels_last_3d"),
    ],
)
def test_a_network_that_calls_view_keeps_its_memory_format(
    reshape: str, memory_format: str, precision: Precision
) -> None:
    model = model_of(Views(reshape).eval())
    faster, forward = optimise(model, precision)
    assert (forward.memory_format, forward.precision) == (memory_format, precision)
    assert ("calls view() on features" in (forward.reason or "")) == (memory_format == "contiguous")
    for count in (1, 2, 16):
        assert relative_error(logits_of(faster.module, clips(count)), logits_of(model.module, clips(count))) < (
            1e-5 if precision == "float32" else 0.02
        )


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv3d(3, 8, 2, 2), nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.norm(self.patches(x).flatten(2).transpose(1, 2)).mean(dim=1))


@pytest.mark.parametrize(
    ("network", "match"), [(Tokens(), "layer normalisation"), (nn.Flatten(), "no 2-D or 3-D convolutions")]
)
def test_a_network_that_would_not_be_faster_is_not_copied(network: nn.Module, match: str) -> None:
    model = model_of(network.eval())
    faster, forward = optimise(model)
    assert faster is model
    assert forward.memory_format == "contiguous"
    assert match in (forward.reason or "")


def test_a_transformer_can_run_in_half_precision() -> None:
    faster, forward = optimise(model_of(Tokens().eval()), "bf16")
    assert (forward.memory_format, forward.precision) == ("contiguous", "bf16")
    assert faster.module.get_parameter("patches.weight").dtype == torch.bfloat16


def test_a_parametrised_weight_is_not_converted() -> None:
    network = Net()
    network.conv1 = nn.utils.parametrizations.weight_norm(network.conv1)
    model = model_of(randomise_batch_norm(network))
    faster, forward = optimise(model)
    assert forward == CHANNELS_LAST
    assert relative_error(logits_of(faster.module, clips()), logits_of(model.module, clips())) < 1e-5
