"""Convert the published layouts of C3D weights to the state dict of `vidcam.models.families.c3d`.

    plain       conv1.weight, conv2.weight, conv3a.weight … fc8.bias         PyTorch ports, under 'state_dict' or not
    mmaction2   backbone.conv1a.conv.weight … cls_head.fc_cls.bias           MMAction2
    keras       conv1 … fc8, a kernel and a bias each                        Keras 0.3 to 2, HDF5
    vidcam      conv1a.weight … fc8.bias                                     `c3d_weights.save`

The tensor names decide the layout. Keras kernels have one of two orders:

- channels last (TensorFlow): kernels are (t, h, w, in, out), and the input of fc6 is flattened as (t, h, w, c);
- channels first: kernels are (out, in, t, h, w), and the input of fc6 is flattened as (c, t, h, w), as in PyTorch.
  Theano's convolution flips the kernel along t, h and w, so kernels of a Theano file must be flipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from torch import Tensor

from vidcam.errors import WeightsError
from vidcam.models.families.c3d import CONVOLUTIONS, POOL5_GRID
from vidcam.models.weights.files import WeightsFile

Layout = Literal["vidcam", "plain", "mmaction2", "keras"]

_LAYERS = (*CONVOLUTIONS, "fc6", "fc7", "fc8")
_PARTS = ("weight", "bias")


def _plain_name(layer: str) -> str:
    return {"conv1a": "conv1", "conv2a": "conv2"}.get(layer, layer)


def _mmaction2_name(layer: str) -> str:
    return "cls_head.fc_cls" if layer == "fc8" else f"backbone.{layer}" + ".conv" * layer.startswith("conv")


def _name_map(layer_name: Callable[[str], str]) -> dict[str, str]:
    """Map the tensor names of a layout to the names in `C3D`."""
    return {f"{layer_name(layer)}.{part}": f"{layer}.{part}" for layer in _LAYERS for part in _PARTS}


_NAME_MAPS: Mapping[Layout, Mapping[str, str]] = {
    "vidcam": _name_map(str),
    "plain": _name_map(_plain_name),
    "mmaction2": _name_map(_mmaction2_name),
}


def to_state_dict(file: WeightsFile) -> tuple[Layout, dict[str, Tensor]]:
    """Find the layout of a file and convert its tensors to a state dict of `C3D`.

    Raises:
        WeightsError: the names match no layout, some names are missing or unexpected, or a Keras kernel has a wrong
            shape.
    """
    if file.is_keras:
        return "keras", _convert_keras(file)
    tensors = file.tensors
    layout = max(_NAME_MAPS, key=lambda candidate: len(_NAME_MAPS[candidate].keys() & tensors.keys()))
    name_map = _NAME_MAPS[layout]
    _expect_names(layout, name_map, tensors)
    integers = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if integers:
        raise WeightsError(f"the weights have integers in {_preview(integers)}, expected floats")
    return layout, {name_map[name]: tensor for name, tensor in tensors.items()}


def _expect_names(layout: Layout, expected: Iterable[str], actual: Iterable[str]) -> None:
    """Check that a layout's names are complete and that there are no others."""
    expected_names, names = list(expected), list(actual)
    if 2 * len(set(expected_names) & set(names)) < len(expected_names):
        raise WeightsError(f"the weights are not of C3D: they have {_preview(names)}; docs/c3d.md lists the layouts")
    missing = [name for name in expected_names if name not in names]
    unexpected = [name for name in names if name not in expected_names]
    problems = [f"missing {_preview(missing)}"] if missing else []
    problems += [f"unexpected {_preview(unexpected)}"] if unexpected else []
    if problems:
        raise WeightsError(f"the weights do not fit C3D in the layout {layout!r}: {', '.join(problems)}")


def _preview(names: list[str]) -> str:
    """Format the first three names and the number of names: 'a, b, c … (12)'."""
    return f"{', '.join(names[:3])}{' …' * (len(names) > 3)} ({len(names)})" if names else "nothing"


def _convert_keras(file: WeightsFile) -> dict[str, Tensor]:
    layers = _keras_layers(file.tensors)
    _expect_names("keras", [_plain_name(layer) for layer in _LAYERS], layers)
    kernels = {_plain_name(layer): layers[_plain_name(layer)][0] for layer in CONVOLUTIONS}
    channels_last = _is_channels_last(file, kernels)
    is_flipped = not channels_last and _is_theano(file)
    state: dict[str, Tensor] = {}
    for layer in _LAYERS:
        kernel, bias = layers[_plain_name(layer)]
        if layer in CONVOLUTIONS:
            kernel = kernel.permute(4, 3, 0, 1, 2) if channels_last else kernel.flip(2, 3, 4) if is_flipped else kernel
        else:
            kernel = (_to_channels_first(kernel) if layer == "fc6" and channels_last else kernel).t()
        state |= {f"{layer}.weight": kernel, f"{layer}.bias": bias}
    return state


def _keras_layers(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Return kernel and bias of each layer by its name. Layers named 'layer_0', 'layer_1', … are named by their order.

    Raises:
        WeightsError: a layer does not have one kernel and one bias.
    """
    groups: dict[str, list[Tensor]] = {}
    for path, tensor in tensors.items():
        groups.setdefault(path.partition("/")[0], []).append(tensor)
    if all(name.removeprefix("layer_").isdecimal() for name in groups) and len(groups) == len(_LAYERS):
        ordered = sorted(groups, key=lambda name: int(name.removeprefix("layer_")))
        groups = {_plain_name(layer): groups[name] for layer, name in zip(_LAYERS, ordered, strict=True)}
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for name, arrays in groups.items():
        arrays.sort(key=lambda tensor: -tensor.ndim)
        axes = [tensor.ndim for tensor in arrays]
        if axes != ([5, 1] if name.startswith("conv") else [2, 1]):
            raise WeightsError(
                f"the Keras file is not C3D: layer {name!r} has arrays with {axes} axes, expected a kernel and a bias"
            )
        pairs[name] = (arrays[0], arrays[1])
    return pairs


def _is_channels_last(file: WeightsFile, kernels: Mapping[str, Tensor]) -> bool:
    """Return whether the kernels are (t, h, w, in, out) rather than (out, in, t, h, w).

    Raises:
        WeightsError: the kernels do not all have one of these orders, or the order of fc6 is ambiguous.
    """
    size = (3, 3, 3)
    channels_last = all(kernel.shape[:3] == size for kernel in kernels.values())
    if not channels_last and not all(kernel.shape[2:] == size for kernel in kernels.values()):
        shapes = {name: tuple(kernel.shape) for name, kernel in kernels.items()}
        raise WeightsError(f"the Keras file is not C3D: expected 3 × 3 × 3 kernels, got {shapes}")
    if channels_last and file.metadata.get("data_format") in {"channels_first", "th"}:
        raise WeightsError(  # the order in which fc6 was flattened depends on the version of Keras
            "the Keras file has kernels (t, h, w, in, out) but data_format channels_first; convert it to PyTorch"
        )
    return channels_last


def _is_theano(file: WeightsFile) -> bool:
    """Return whether Theano wrote the file: from its metadata, or else because no name ends in TensorFlow's ':0'."""
    if "backend" in file.metadata:
        return file.metadata["backend"] == "theano"
    return not any(name.endswith(":0") for name in file.tensors)


def _to_channels_first(kernel: Tensor) -> Tensor:
    """Reorder the rows from (t, h, w, c) to (c, t, h, w)."""
    if kernel.shape[0] % math.prod(POOL5_GRID):
        return kernel  # not C3D: the comparison of shapes reports this later
    return kernel.reshape(*POOL5_GRID, -1, kernel.shape[1]).permute(3, 0, 1, 2, 4).reshape(kernel.shape)
