"""Files from `tests.helpers.c3d_files` give back the same network. Keras' arithmetic is checked by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from tests.helpers.c3d_files import (
    CONVOLUTIONS,
    Kernels,
    arrays,
    keras1_names,
    keras1_theano_names,
    keras2_names,
    keras_kernels,
    mmaction2_state,
    plain_state,
    small,
    theano_kernels,
    write_keras,
    write_keras03,
)
from tests.helpers.nets import random_clip
from vidcam.errors import WeightsError
from vidcam.models.families.c3d import C3D
from vidcam.models.families.c3d_layouts import to_state_dict
from vidcam.models.weights.files import read_weights

Write = Callable[[C3D, Path], object]


def old_torch(net: C3D, path: Path) -> None:
    torch.save(plain_state(net), path, _use_new_zipfile_serialization=False)


def parallel(net: C3D, path: Path) -> None:
    torch.save({f"module.{name}": tensor for name, tensor in plain_state(net).items()}, path)


def keras1(net: C3D, path: Path) -> None:
    write_keras(path, keras_kernels(net), keras1_names)


def keras2(net: C3D, path: Path) -> None:
    attributes = {"backend": "tensorflow", "keras_version": "2.0.6"}
    write_keras(path, keras_kernels(net), keras2_names, attributes=attributes)


def keras2_model(net: C3D, path: Path) -> None:
    attributes = {"model_config": '{"config": [{"data_format": "channels_last"}]}'}
    write_keras(path, keras_kernels(net), keras2_names, root="model_weights", attributes=attributes)


def keras1_theano(net: C3D, path: Path) -> None:
    write_keras(path, theano_kernels(net), keras1_theano_names)


def keras_theano_backend(net: C3D, path: Path) -> None:
    write_keras(path, theano_kernels(net), keras1_names, attributes={"backend": "theano"})


def keras1_channels_first_tensorflow(net: C3D, path: Path) -> None:
    kernels = {name: arrays(net)[name] for name in CONVOLUTIONS}  # not flipped
    write_keras(path, {**theano_kernels(net), **kernels}, keras1_names)


WRITERS: dict[str, tuple[str, Write]] = {
    "plain": ("plain", lambda net, path: torch.save(plain_state(net), path)),
    "old torch": ("plain", old_torch),
    "checkpoint": ("plain", lambda net, path: torch.save({"epoch": 1, "state_dict": plain_state(net)}, path)),
    "parallel": ("plain", parallel),
    "plain safetensors": ("plain", lambda net, path: save_file(plain_state(net), path)),
    "mmaction2": ("mmaction2", lambda net, path: torch.save({"state_dict": mmaction2_state(net), "meta": {}}, path)),
    "mmaction2 bare": ("mmaction2", lambda net, path: torch.save(mmaction2_state(net), path)),
    "vidcam": ("vidcam", lambda net, path: save_file(net.state_dict(), path)),
    "keras 0.3": ("keras", lambda net, path: write_keras03(path, theano_kernels(net))),
    "keras 1": ("keras", keras1),
    "keras 1 theano": ("keras", keras1_theano),
    "keras 1 channels first": ("keras", keras1_channels_first_tensorflow),
    "keras theano": ("keras", keras_theano_backend),
    "keras 2": ("keras", keras2),
    "keras 2 model": ("keras", keras2_model),
}


@pytest.fixture(scope="module")
def original() -> C3D:
    return small(seed=1)


@pytest.fixture(scope="module")
def clip() -> Tensor:
    return random_clip(1, 3, 16, 112, 112) * 60


@pytest.fixture(scope="module")
def outputs(original: C3D, clip: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = original(clip)
    return logits


def state_of(path: Path) -> tuple[str, dict[str, Tensor]]:
    return to_state_dict(read_weights(path, max_numbers=10**6))


@pytest.mark.parametrize("writer", WRITERS)
def test_round_trip(writer: str, original: C3D, clip: Tensor, outputs: Tensor, tmp_path: Path) -> None:
    expected, write = WRITERS[writer]
    write(original, tmp_path / "weights")
    layout, state = state_of(tmp_path / "weights")
    assert layout == expected
    net = small(seed=2)
    net.load_state_dict(state)
    for name, tensor in original.state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor), name
    with torch.no_grad():
        torch.testing.assert_close(net(clip), outputs, rtol=1e-6, atol=1e-6)


def channels_last_convolution(
    grid: NDArray[Any], kernel: NDArray[Any], bias: NDArray[Any], at: tuple[int, int, int]
) -> NDArray[Any]:
    """Compute one cell of TensorFlow's "SAME" convolution: (T, H, W, in) with (3, 3, 3, in, out) gives (out,)."""
    t, y, x = at
    total = bias.astype(np.float64)
    for dt in range(3):
        for dy in range(3):
            for dx in range(3):
                total = total + grid[t + dt - 1, y + dy - 1, x + dx - 1].astype(np.float64) @ kernel[dt, dy, dx]
    return total


def test_keras_by_hand(original: C3D, clip: Tensor, tmp_path: Path) -> None:
    """Keras' arithmetic on the arrays of the file gives the outputs of the converted network."""
    write_keras(tmp_path / "w.h5", keras_kernels(original), keras1_names)
    net = small(seed=2)
    net.load_state_dict(state_of(tmp_path / "w.h5")[1])
    with h5py.File(tmp_path / "w.h5") as stored, torch.no_grad():
        conv = (stored["conv1/conv1_W:0"][()], stored["conv1/conv1_b:0"][()])
        frames = clip[0].permute(1, 2, 3, 0).numpy()
        convolved = net.get_submodule("conv1a")(clip)[0]
        for at in [(1, 1, 1), (7, 50, 90), (14, 110, 3)]:
            by_hand = channels_last_convolution(frames, *conv, at)
            np.testing.assert_allclose(convolved[:, at[0], at[1], at[2]].numpy(), by_hand, rtol=1e-4, atol=1e-3)
        pooled = random_clip(1, 16, 1, 4, 4)
        flat = pooled[0].permute(1, 2, 3, 0).reshape(-1).numpy()  # Flatten, channels last
        by_hand = flat @ stored["fc6/fc6_W:0"][()] + stored["fc6/fc6_b:0"][()]
        np.testing.assert_allclose(net.get_submodule("fc6")(pooled.flatten(1))[0].numpy(), by_hand, atol=1e-5)


def test_theano_by_hand(original: C3D, clip: Tensor, tmp_path: Path) -> None:
    """Theano flips the kernel: the last element of the kernel multiplies the cell before."""
    write_keras(tmp_path / "w.h5", theano_kernels(original), keras1_theano_names)
    net = small(seed=2)
    net.load_state_dict(state_of(tmp_path / "w.h5")[1])
    with h5py.File(tmp_path / "w.h5") as stored, torch.no_grad():
        kernel, bias = stored["conv1/conv1_W"][()].astype(np.float64), stored["conv1/conv1_b"][()]
        frames = clip[0].numpy()
        total = bias.astype(np.float64)
        for dt in (-1, 0, 1):
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    total += kernel[:, :, 1 + dt, 1 + dy, 1 + dx] @ frames[:, 5 - dt, 60 - dy, 70 - dx]
        np.testing.assert_allclose(net.get_submodule("conv1a")(clip)[0, :, 5, 60, 70].numpy(), total, rtol=1e-4)


def test_the_other_order_of_fc6_has_the_same_shape(original: C3D, tmp_path: Path) -> None:
    """Shapes cannot detect a wrong order of fc6. So the tests above compare the outputs."""
    wrong = keras_kernels(original) | {"fc6": theano_kernels(original)["fc6"]}
    write_keras(tmp_path / "w.h5", wrong, keras1_names)
    state = state_of(tmp_path / "w.h5")[1]
    assert state["fc6.weight"].shape == original.state_dict()["fc6.weight"].shape
    assert not torch.allclose(state["fc6.weight"], original.state_dict()["fc6.weight"])


def without(state: Mapping[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if name not in names}


CHANGES: dict[str, tuple[Callable[[C3D], Mapping[str, Tensor]], str]] = {
    "missing": (
        lambda net: without(plain_state(net), "fc8.bias", "conv1.weight"),
        r"do not fit C3D in the layout 'plain': missing conv1\.weight, fc8\.bias \(2\)$",
    ),
    "extra": (
        lambda net: plain_state(net) | {"bn1.weight": torch.ones(1)},
        r"in the layout 'plain': unexpected bn1\.weight \(1\)$",
    ),
    "both": (
        lambda net: without(mmaction2_state(net), "cls_head.fc_cls.bias") | {"x": torch.ones(1)},
        r"'mmaction2': missing cls_head\.fc_cls\.bias \(1\), unexpected x \(1\)",
    ),
    "another network": (
        lambda _: {"conv1.weight": torch.ones(1), "layer4.1.conv2.weight": torch.ones(1)},
        r"are not of C3D: they have conv1\.weight, layer4\.1\.conv2\.weight \(2\); docs/c3d\.md lists the layouts",
    ),
    "the trunk alone": (
        lambda net: {k.removeprefix("backbone."): v for k, v in mmaction2_state(net).items() if "cls" not in k},
        r"the weights are not of C3D: they have conv1a\.conv\.weight, ",
    ),
    "empty": (lambda _: {}, r"contain nothing, expected a state_dict\(\)"),
    "integers": (
        lambda net: plain_state(net) | {"fc8.bias": torch.ones(5, dtype=torch.int64)},
        r"the weights have integers in fc8\.bias \(1\), expected floats",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_state_dict(change: str, original: C3D, tmp_path: Path) -> None:
    make_state, message = CHANGES[change]
    torch.save(dict(make_state(original)), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=message):
        state_of(tmp_path / "w.pt")


def changed(kernels: Kernels, name: str, kernel: NDArray[Any]) -> Kernels:
    return kernels | {name: (kernel, kernels[name][1])}


def test_wrong_keras_files(original: C3D, tmp_path: Path) -> None:
    kernels = keras_kernels(original)
    small_kernel = np.zeros((1, 3, 3, 2, 4), "f4")
    cases: list[tuple[Callable[[Path], object], str]] = [
        (
            partial(write_keras, kernels={k: v for k, v in kernels.items() if k != "fc7"}, names=keras1_names),
            r"in the layout 'keras': missing fc7 \(1\)",
        ),
        (
            partial(write_keras, kernels=changed(kernels, "conv2", small_kernel), names=keras1_names),
            r"the Keras file is not C3D: expected 3 × 3 × 3 kernels, got \{.*'conv2': \(1, 3, 3, 2, 4\)",
        ),
        (
            partial(write_keras, kernels=changed(kernels, "conv2", np.zeros((3, 3), "f4")), names=keras1_names),
            r"the Keras file is not C3D: layer 'conv2' has arrays with \[2, 1\] axes, expected a kernel",
        ),
        (
            partial(
                write_keras,
                kernels=kernels,
                names=keras2_names,
                attributes={"model_config": '{"data_format": "channels_first"}'},
            ),
            r"kernels \(t, h, w, in, out\) but data_format channels_first; convert it to PyTorch",
        ),
    ]
    for index, (write, message) in enumerate(cases):
        write(tmp_path / f"{index}.h5")
        with pytest.raises(WeightsError, match=message):
            state_of(tmp_path / f"{index}.h5")
