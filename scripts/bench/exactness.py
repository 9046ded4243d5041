"""Case `exactness`: how far from float64 vidcam's copy of a network is, and the plain network itself.

Copy and plain network add the same numbers in another order. That shows in a map where one place of the network takes
the other side of a threshold (a ReLU's gate, the winner of a maximum), or where a method divides by what is near 0. So
beside every distance stand the choices that differ from float64, and what the order alone does: the plain network
channels last, and the copy's rounded weights in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import vidcam
from scripts.bench.timing import Row, Table, plain_forward
from scripts.library import PAIR_METHODS, faster
from vidcam.models.model import Model
from vidcam.models.registry import load_model

NETWORKS = (
    ("tiny_r3d", "pretrained", ("layer3", "layer2"), (*PAIR_METHODS, "gradcam++softmax")),
    ("i3d", "pretrained", ("Mixed_5c",), (*PAIR_METHODS, "gradcam++softmax")),
    ("r3d_18", "random", ("layer4", "layer3"), tuple(PAIR_METHODS)),
)
"""Network, its weights, layers, methods; the softmax form of 400 classes is dear at r3d_18."""

CHOICES, GATES = "choices turned above the layer", ("aten::relu", "aten::relu_")
CLIPS = 2

Maps = dict[str, np.ndarray]


class Choices(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes which gates of ReLUs are open and which cells win in max pools."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.name() in GATES:
            self.found.append(result > 0)
        elif func.name() == "aten::max_pool3d_with_indices":
            self.found.append(result[1].clone())
        return result


def choices(module: nn.Module, clip: Tensor, layer: str | None = None) -> list[Tensor]:
    """Of one forward pass, above a layer or of all the network."""
    seen = Choices()
    hook = module.get_submodule(layer or "").register_forward_hook(lambda *_: seen.found.clear() if layer else None)
    with torch.no_grad(), seen:
        module(clip)
    hook.remove()
    return seen.found


def turned(some: Sequence[Tensor], others: Sequence[Tensor]) -> int:
    """How many choices differ."""
    return sum(int((one != other).sum()) for one, other in zip(some, others, strict=True))


def exactness(networks: Sequence[str]) -> list[Table]:
    """A table for each of these networks' layers, and for tiny_r3d's."""
    return [
        _table(load_model(name, device="cpu", weights=weights), layer, methods)
        for name, weights, layers, methods in NETWORKS
        if name in ("tiny_r3d", *networks)
        for layer in layers
    ]


def _table(model: Model, layer: str, methods: Sequence[str]) -> Table:
    plain = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format).eval()
    copied, double = faster(model, layer), copy.deepcopy(plain).double()
    clip = torch.randn(CLIPS, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(0))
    target = plain_forward(double, clip.double()).argmax(dim=1).tolist()

    def see(module: nn.Module) -> tuple[Maps, list[Tensor]]:
        given = clip.to(next(module.parameters()).dtype)
        found = vidcam.explain(module, given, layer=layer, methods=methods, target=target)
        return dict(found.volumes), choices(module, given, layer)

    truth, expected = see(double)
    ways = {
        "plain network": plain,
        "plain network, channels last": copy.deepcopy(plain).to(memory_format=torch.channels_last_3d),
        "exact copy": copied,
        "the copy's float32 weights, in float64": copy.deepcopy(copied).double(),
    }
    rows = {}
    for name, module in ways.items():
        maps, chosen = see(module)
        rows[name] = Row(more={CHOICES: turned(chosen, expected)} | _distances(maps, truth))
    note = (
        "Largest distance of a map from the plain network's in float64 over its largest value; "
        f"{CLIPS} clips of noise, weights: {model.weights}; {sum(map(Tensor.numel, expected))} choices above the layer."
    )
    return Table(f"Exactness: {model.spec.name} at {layer}", note, rows)


def _distances(found: Maps, truth: Maps) -> dict[str, str]:
    return {
        method: f"{np.abs(volume.astype(np.float64) - truth[method]).max() / np.abs(truth[method]).max():.1e}"
        for method, volume in found.items()
    }
