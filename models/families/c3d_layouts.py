"""The ways in which weights of C3D are published, and their translation to `vidcam.models.families.c3d`.

    plain       conv1.weight, conv2.weight, conv3a.weight … fc8.bias         PyTorch ports, under 'state_dict' or not
    mmaction2   backbone.conv1a.conv.weight … cls_head.fc_cls.bias           MMAction2
    keras       conv1 … fc8, a kernel and a bias each                        Keras 0.3 to 2, HDF5
    vidcam      conv1a.weight … fc8.bias                                     `c3d_weights.save`

The layout is told from the names. Keras' kernels are (t, h, w, in, out), or (out, in, t, h, w) from the days of
Theano, whose convolution turns them round on all three axes. What fc6 reads was flattened with the channels last in the
first case, (t, h, w, c), and first in the second, as in PyTorch.
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


def _plain(layer: str) -> str:
    return {"conv1a": "conv1", "conv2a": "conv2"}.get(layer, layer)


def _mmaction2(layer: str) -> str:
    return "cls_head.fc_cls" if layer == "fc8" else f"backbone.{layer}" + ".conv" * layer.startswith("conv")


def _names(theirs: Callable[[str], str]) -> dict[str, str]:
    """Their name → ours."""
    return {f"{theirs(layer)}.{part}": f"{layer}.{part}" for layer in _LAYERS for part in _PARTS}


_NAMES: Mapping[Layout, Mapping[str, str]] = {
    "vidcam": _names(str),
    "plain": _names(_plain),
    "mmaction2": _names(_mmaction2),
}


def to_state(file: WeightsFile) -> tuple[Layout, dict[str, Tensor]]:
    """The layout of a file, and its tensors as a state dict of `C3D`.

    Raises:
        WeightsError: the names are of no layout, some are missing or unexpected, or Keras' kernels have another form.
    """
    if file.is_keras:
        return "keras", _from_keras(file)
    tensors = file.tensors
    layout = max(_NAMES, key=lambda known: len(_NAMES[known].keys() & tensors.keys()))
    names = _NAMES[layout]
    _expect_names(layout, names, tensors)
    whole = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    if whole:
        raise WeightsError(
            f"the weights have whole numbers in {_few(whole)}, expected floats; save the trained network"
        )
    return layout, {names[theirs]: tensor for theirs, tensor in tensors.items()}


def _expect_names(layout: Layout, expected: Iterable[str], given: Iterable[str]) -> None:
    wanted, there = list(expected), list(given)
    if 2 * len(set(wanted) & set(there)) < len(wanted):
        raise WeightsError(
            f"the weights hold {_few(there)}, expected C3D in the layout of PyTorch (conv1.weight … fc8.bias), "
            "MMAction2 (backbone.conv1a.conv.weight … cls_head.fc_cls.bias) or Keras; they are of another network, "
            "or of a part of it"
        )
    lists = {
        "lack": [name for name in wanted if name not in there],
        "have": [name for name in there if name not in wanted],
    }
    problems = [f"{verb} {_few(names)}{' besides' * (verb == 'have')}" for verb, names in lists.items() if names]
    if problems:
        raise WeightsError(
            f"the weights are of C3D in the layout {layout!r}, but {' and '.join(problems)}; expected its "
            f"{len(wanted)} {'layers' if layout == 'keras' else 'tensors'} and no others; pass the whole network"
        )


def _few(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{' …' * (len(names) > 3)} ({len(names)})" if names else "nothing"


def _from_keras(file: WeightsFile) -> dict[str, Tensor]:
    layers = _keras_layers(file.tensors)
    _expect_names("keras", [_plain(layer) for layer in _LAYERS], layers)
    channels_last = _is_channels_last(file, {_plain(layer): layers[_plain(layer)][0] for layer in CONVOLUTIONS})
    turned = not channels_last and _is_theano(file)
    state: dict[str, Tensor] = {}
    for layer in _LAYERS:
        kernel, bias = layers[_plain(layer)]
        if layer in CONVOLUTIONS:
            kernel = kernel.permute(4, 3, 0, 1, 2) if channels_last else kernel.flip(2, 3, 4) if turned else kernel
        else:
            kernel = (_channels_first(kernel) if layer == "fc6" and channels_last else kernel).t()
        state |= {f"{layer}.weight": kernel, f"{layer}.bias": bias}
    return state


def _keras_layers(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Kernel and bias of each layer, by the layer's name; layers that are only counted get theirs by their order."""
    found: dict[str, list[Tensor]] = {}
    for path, tensor in tensors.items():
        found.setdefault(path.partition("/")[0], []).append(tensor)
    if all(name.removeprefix("layer_").isdecimal() for name in found) and len(found) == len(_LAYERS):
        ordered = sorted(found, key=lambda name: int(name.removeprefix("layer_")))
        found = {_plain(layer): found[name] for layer, name in zip(_LAYERS, ordered, strict=True)}
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for name, parts in found.items():
        parts.sort(key=lambda tensor: -tensor.ndim)
        axes = [tensor.ndim for tensor in parts]
        if axes != ([5, 1] if name.startswith("conv") else [2, 1]):
            raise WeightsError(
                f"the layer {name!r} of the Keras file holds arrays of {axes} axes, expected a kernel (of 5 axes, or 2 "
                "if fully connected) and a bias; this is another network than C3D"
            )
        pairs[name] = (parts[0], parts[1])
    return pairs


def _is_channels_last(file: WeightsFile, kernels: Mapping[str, Tensor]) -> bool:
    """Whether the kernels are (t, h, w, in, out); they must all be, or all be (out, in, t, h, w)."""
    cube = (3, 3, 3)
    last = all(kernel.shape[:3] == cube for kernel in kernels.values())
    if not last and not all(kernel.shape[2:] == cube for kernel in kernels.values()):
        shapes = {name: tuple(kernel.shape) for name, kernel in kernels.items()}
        raise WeightsError(
            f"the kernels of the Keras file are {shapes}, expected 3 × 3 × 3 in all; this is another network"
        )
    if last and file.notes.get("data_format") in {"channels_first", "th"}:
        raise WeightsError(
            "the Keras file has kernels (t, h, w, in, out) of a network with channels first, where the order that fc6 "
            "reads in depends on Keras' version; expected channels last; convert the file to PyTorch's layout"
        )
    return last


def _is_theano(file: WeightsFile) -> bool:
    """As the file says, else by the names, which TensorFlow ends with ':0'."""
    if "backend" in file.notes:
        return file.notes["backend"] == "theano"
    return not any(name.endswith(":0") for name in file.tensors)


def _channels_first(kernel: Tensor) -> Tensor:
    """Rows in the order (t, h, w, c) to (c, t, h, w)."""
    if kernel.shape[0] % math.prod(POOL5_GRID):
        return kernel  # of another network, which is said when its shape is compared
    return kernel.reshape(*POOL5_GRID, -1, kernel.shape[1]).permute(3, 0, 1, 2, 4).reshape(kernel.shape)
