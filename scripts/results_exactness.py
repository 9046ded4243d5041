"""Case `exactness` of `scripts/benchmark results`: how far from float64 the copy is, and the plain network itself.

Copy and plain network add the same numbers in another order. That shows in a map where one place of the network takes
the other side of a threshold (a ReLU's gate, the winner of a maximum), or where a method divides by what is near 0. So
beside every distance stand the choices that fell otherwise than in float64, and what the order alone does: the plain
network with one clip at a time, or laid out channels last and nothing else, and the copy's rounded weights in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from results_timing import Row, Table
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import vidcam
from vidcam.cam.methods import PAIR_METHODS
from vidcam.models.model import Model
from vidcam.models.optimise import optimised
from vidcam.models.registry import load_model

NETWORKS = (
    ("tiny_r3d", None, ("layer3", "layer2"), (*PAIR_METHODS, "gradcam++softmax")),
    ("i3d", None, ("Mixed_5c",), (*PAIR_METHODS, "gradcam++softmax")),
    ("r3d_18", "random", ("layer4", "layer3"), tuple(PAIR_METHODS)),
)
"""Network, its weights (None: learned ones), layers, methods; the softmax form of 400 classes is dear at r3d_18."""

CHOICES, GATES = "choices turned above the layer", ("aten::relu", "aten::relu_")
CLIPS, MORE_CLIPS = 2, 6

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
    hook = module.get_submodule(layer).register_forward_hook(lambda *_: seen.found.clear()) if layer else None
    with torch.no_grad(), seen:
        module(clip)
    if hook:
        hook.remove()
    return seen.found


def turned(some: Sequence[Tensor], others: Sequence[Tensor]) -> int:
    """How many fell otherwise."""
    return sum(int((one != other).sum()) for one, other in zip(some, others, strict=True))


def exactness(networks: Sequence[str]) -> list[Table]:
    """A table for each of these networks' layers and tiny_r3d's, and the choices in the whole of r3d_18."""
    tables = []
    for name, weights, layers, methods in NETWORKS:
        if name not in ("tiny_r3d", *networks):
            continue
        torch.manual_seed(0)
        model = load_model(name, device="cpu") if weights is None else load_model(name, device="cpu", weights=weights)
        tables += [_at(model, layer, methods, random=weights is not None) for layer in layers]
        if weights is not None:
            tables.append(_in_all(model, layers[-1]))
    return tables


def _at(model: Model, layer: str, methods: Sequence[str], *, random: bool) -> Table:
    plain = _plain(model)
    clip, double = _noise(model, CLIPS, 0), copy.deepcopy(plain).double()
    copied = optimised(model, [layer])[0].module
    with torch.no_grad():
        target = [int(index) for index in double(clip.double()).argmax(dim=1)]
    see = partial(_maps, layer=layer, methods=methods)
    truth, expected = see(double, clip.double(), target), choices(double, clip.double(), layer)
    ways: dict[str, tuple[nn.Module, Callable[[nn.Module], Maps]]] = {
        "plain network": (plain, lambda module: see(module, clip, target)),
        "plain network, clip by clip": (plain, lambda module: _one_by_one(see, module, clip, target)),
        "plain network, channels last": (
            copy.deepcopy(plain).to(memory_format=torch.channels_last_3d),
            lambda module: see(module, clip, target),
        ),
        "exact copy": (copied, lambda module: see(module, clip, target)),
        "the copy's float32 weights, in float64": (
            copy.deepcopy(copied).double(),
            lambda module: see(module, clip.double(), target),
        ),
    }
    rows, found = {}, {}
    for name, (module, work) in ways.items():
        found[name] = work(module)
        rows[name] = _row(found[name], truth)
        given = clip if next(module.parameters()).dtype == torch.float32 else clip.double()
        seen = (
            [
                torch.cat(parts)
                for parts in zip(*(choices(module, one, layer) for one in torch.split(given, 1)), strict=True)
            ]
            if "by clip" in name
            else choices(module, given, layer)
        )
        rows[name].more = {CHOICES: turned(seen, expected)} | rows[name].more
    rows["exact copy, from the plain network"] = _row(found["exact copy"], found["plain network"])
    count = sum(one.numel() for one in expected)
    note = (
        f"Largest distance of a map from the plain network's in float64 (last row: from the plain network's in "
        f"float32) over its largest value; {CLIPS} clips of noise, {'random' if random else 'learned'} weights, "
        f"{count} choices above the layer."
    )
    return Table(f"Exactness: {model.spec.name} at {layer}", note, rows)


def _in_all(model: Model, layer: str) -> Table:
    """Choices turned in the whole network, some clips: how rare they are, and for whom."""
    plain = _plain(model)
    double, copied = copy.deepcopy(plain).double(), optimised(model, [layer])[0].module
    laid_out = copy.deepcopy(plain).to(memory_format=torch.channels_last_3d)
    ways = {"plain network": plain, "plain network, channels last": laid_out, "exact copy": copied}
    counts, total = {name: list[int]() for name in ways}, 0
    for seed in range(MORE_CLIPS):
        clip = _noise(model, 1, seed)
        expected = choices(double, clip.double())
        total += sum(one.numel() for one in expected)
        for name, module in ways.items():
            counts[name].append(turned(choices(module, clip), expected))
    rows = {name: Row((0.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0), {"choices turned": sum(counts[name])}) for name in ways}
    for name, row in rows.items():
        row.more["clip by clip"] = ", ".join(map(str, counts[name]))
    note = f"Of {total} gates and maxima in the whole network, {MORE_CLIPS} clips of noise, random weights."
    return Table(f"Exactness: {model.spec.name}, choices otherwise than in float64", note, rows)


def _plain(model: Model) -> nn.Module:
    return copy.deepcopy(model.module).to(memory_format=torch.contiguous_format).eval()


def _noise(model: Model, clips: int, seed: int) -> Tensor:
    return torch.randn(clips, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(seed))


def _maps(module: nn.Module, clip: Tensor, target: Sequence[int], *, layer: str, methods: Sequence[str]) -> Maps:
    return dict(vidcam.explain(module, clip, layer=layer, methods=methods, target=list(target)).volumes)


def _one_by_one(see: Callable[..., Maps], module: nn.Module, clip: Tensor, target: Sequence[int]) -> Maps:
    each = [see(module, one, [index]) for one, index in zip(torch.split(clip, 1), target, strict=True)]
    return {method: np.concatenate([one[method] for one in each]) for method in each[0]}


def _row(found: Maps, truth: Maps) -> Row:
    more = {
        method: f"{np.abs(volume.astype(np.float64) - truth[method]).max() / np.abs(truth[method]).max():.1e}"
        for method, volume in found.items()
    }
    return Row((0.0, 0.0, 0.0), 0.0, (0.0, 0.0, 0.0), dict(more))
