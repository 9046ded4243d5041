"""Writers of C3D's weights in the layouts that are in the wild, independent of the readers; and a C3D that is quick.

Each writer takes a network and says in its own words, by `einsum`, what the layout is. Keras' files are written as
Keras does: a group for each layer, those without weights too, and the attributes that name them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.helpers.nets import seeded
from vidcam.models.families.c3d import C3D
from vidcam.models.specs import C3D_SPORTS1M_SPEC

CLASSES = 5
WIDTH = 2
SPEC = replace(C3D_SPORTS1M_SPEC, name="c3d_small", classes=CLASSES)

CONVOLUTIONS = ("conv1", "conv2", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b")
DENSE = ("fc6", "fc7", "fc8")
KERAS_LAYERS = (
    *("conv1", "pool1", "conv2", "pool2", "conv3a", "conv3b", "pool3", "conv4a", "conv4b", "pool4", "conv5a", "conv5b"),
    *("zeropad5", "pool5", "flatten_1", "fc6", "dropout_1", "fc7", "dropout_2", "fc8"),
)


def small(seed: int = 0, *, classes: int = CLASSES) -> C3D:
    """C3D with 2 channels where the original has 64, random biases too, in evaluation mode."""
    net = seeded(C3D, seed, classes=classes, width=WIDTH)
    assert isinstance(net, C3D)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in net.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1, generator=generator)
    return net.eval()


def arrays(net: nn.Module) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Weight and bias of each layer by the name that the Caffe network gave it."""
    parts = {name: tensor.detach().numpy() for name, tensor in net.named_parameters()}
    ours = {"conv1": "conv1a", "conv2": "conv2a"}
    return {
        layer: (parts[f"{ours.get(layer, layer)}.weight"], parts[f"{ours.get(layer, layer)}.bias"])
        for layer in (*CONVOLUTIONS, *DENSE)
    }


def plain_state(net: nn.Module) -> dict[str, Tensor]:
    """As the PyTorch ports name them."""
    return {
        f"{layer}.{part}": torch.tensor(array)
        for layer, pair in arrays(net).items()
        for part, array in zip(("weight", "bias"), pair, strict=True)
    }


def mmaction2_state(net: nn.Module) -> dict[str, Tensor]:
    """As MMAction2's `Recognizer3D` with the backbone `C3D` and an `I3DHead` names them."""
    names = {"conv1": "backbone.conv1a.conv", "conv2": "backbone.conv2a.conv", "fc8": "cls_head.fc_cls"}
    names |= {layer: f"backbone.{layer}.conv" for layer in CONVOLUTIONS[2:]}
    names |= {layer: f"backbone.{layer}" for layer in ("fc6", "fc7")}
    return {f"{names[k.partition('.')[0]]}.{k.partition('.')[2]}": v for k, v in plain_state(net).items()}


def keras_kernels(net: nn.Module) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Kernels of Keras with TensorFlow, channels last: (t, h, w, in, out), and fc6 from (t, h, w, c)."""
    found = arrays(net)
    kernels = {name: (np.einsum("oithw->thwio", found[name][0]), found[name][1]) for name in CONVOLUTIONS}
    kernels |= {name: (np.einsum("oi->io", found[name][0]), found[name][1]) for name in DENSE}
    weight, bias = found["fc6"]
    fc6 = weight.reshape(weight.shape[0], -1, 1, 4, 4)  # (out, c, t, h, w)
    kernels["fc6"] = (np.einsum("octhw->thwco", fc6).reshape(-1, weight.shape[0]), bias)
    return kernels


def theano_kernels(net: nn.Module) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Kernels of Keras with Theano, channels first: (out, in, t, h, w), turned round, as it convolves."""
    found = arrays(net)
    kernels = {name: (found[name][0][:, :, ::-1, ::-1, ::-1], found[name][1]) for name in CONVOLUTIONS}
    return kernels | {name: (found[name][0].T, found[name][1]) for name in DENSE}


Kernels = dict[str, tuple[NDArray[Any], NDArray[Any]]]
LeafNames = Callable[[str], tuple[str, str]]


def keras1_names(layer: str) -> tuple[str, str]:
    return f"{layer}_W:0", f"{layer}_b:0"


def keras1_theano_names(layer: str) -> tuple[str, str]:
    return f"{layer}_W", f"{layer}_b"


def keras2_names(layer: str) -> tuple[str, str]:
    return f"{layer}/kernel:0", f"{layer}/bias:0"


def write_keras(
    path: Path, kernels: Kernels, names: LeafNames, *, root: str = "", attributes: dict[str, str] | None = None
) -> Path:
    """A file of `save_weights`; with `root='model_weights'` one of `save`, which holds the optimizer's numbers too."""
    with h5py.File(path, "w") as stored:
        top = stored.create_group(root) if root else stored
        top.attrs["layer_names"] = [layer.encode() for layer in KERAS_LAYERS]
        for key, value in (attributes or {}).items():
            stored.attrs[key] = value
        for layer in KERAS_LAYERS:
            group = top.create_group(layer)
            leaves = names(layer) if layer in kernels else ()
            group.attrs["weight_names"] = [leaf.encode() for leaf in leaves]
            for leaf, array in zip(leaves, kernels.get(layer, ()), strict=True):
                group.create_dataset(leaf, data=array)
        if root:
            stored.create_dataset("optimizer_weights/iterations", data=np.int64(7))
    return path


def write_keras03(path: Path, kernels: Kernels) -> Path:
    """A file of Keras 0.3: layers by number, as `c3d-sports1M_weights.h5` of 2016 is read."""
    with h5py.File(path, "w") as stored:
        stored.attrs["nb_layers"] = len(KERAS_LAYERS)
        for index, layer in enumerate(KERAS_LAYERS):
            group = stored.create_group(f"layer_{index}")
            for part, array in enumerate(kernels.get(layer, ())):
                group.create_dataset(f"param_{part}", data=array)
            group.attrs["nb_params"] = len(kernels.get(layer, ()))
    return path
