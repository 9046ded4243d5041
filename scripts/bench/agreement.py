"""Case `agreement`: each tool's maps beside maps derived in float64 without code of any tool, on the same 5-D inputs.

The derived Grad-CAM++ takes three autograd derivatives of Y = exp(score) for each cell (`tests/helpers/oracle.py`). At
r3d_18's last block, with 50,176 cells, the score is linear in A, so that Y″ = Y·g² and Y‴ = Y·g³ hold exactly.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scripts.bench.peers import TOOLS, Map, Tool, installed_peers
from scripts.bench.tables import Row, Table
from scripts.library import faster
from tests.helpers import oracle
from vidcam.models.registry import load_model

METHODS = ("gradcam", "gradcam++", "layercam", "hirescam", "guided")


@dataclass(frozen=True, slots=True)
class Case:
    """A float32 network and its other forms, a clip (1, 3, T, H, W), a layer and the network above it, and a class."""

    title: str
    network: nn.Module
    copies: Mapping[str, nn.Module]
    clip: Tensor
    layer: str
    above: nn.Sequential
    target: int


def agreement() -> list[Table]:
    """A table for each case; a cell is the correlation and the largest difference of the min-max scaled maps."""
    return [_table(case) for case in (small_case(), large_case())]


def small_case() -> Case:
    """A small network with a hidden layer above, on which the methods differ.

    The grid of its layer is 4 × 5 × 6, so that no axis looks like another.
    """
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        ramp = torch.linspace(0.2, 2, 8 * 20 * 24).view(1, 1, 8, 20, 24)  # larger values late and at the lower right
        clip = torch.randn(1, 3, 8, 20, 24) * ramp
        below = (nn.Conv3d(3, 6, 3, (1, 2, 2), 1), nn.ReLU(), nn.Conv3d(6, 8, 3, 2, 1), nn.ReLU())
        above = nn.Sequential(nn.Flatten(), nn.Linear(8 * 4 * 5 * 6, 24), nn.ReLU(), nn.Linear(24, 5))
    network = nn.Sequential(*below, *above).eval()
    return Case("small network with a hidden layer", network, {}, clip, "3", above, _predicted(network, clip))


def large_case() -> Case:
    """r3d_18 with random weights at its last block, and the copies that vidcam runs."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        model, clip = load_model("r3d_18", device="cpu", weights="random"), torch.randn(1, 3, 16, 112, 112)
    network = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format).requires_grad_().eval()
    copies = {"float32 copy": faster(model, "layer4"), "bf16 copy": faster(model, "layer4", "bf16")}
    above = nn.Sequential(network.get_submodule("avgpool"), nn.Flatten(), network.get_submodule("fc"))
    title = "r3d_18, random weights, layer4 (512×2×7×7)"
    return Case(title, network, copies, clip, "layer4", above, _predicted(network, clip))


@torch.no_grad()
def _predicted(network: nn.Module, clip: Tensor) -> int:
    return int(network(clip).argmax())


def derive(case: Case) -> dict[str, Map]:
    """Derive all maps of a case in float64: method → (t, h, w), `guided` → (3, T, H, W)."""
    network, above = copy.deepcopy(case.network).double(), copy.deepcopy(case.above).double()
    clip, outputs = case.clip.double(), list[Tensor]()
    handle = network.get_submodule(case.layer).register_forward_hook(lambda _m, _i, output: outputs.append(output))
    network(clip)
    handle.remove()
    a = outputs[0][0].detach()

    def score(activations: Tensor) -> Tensor:
        logits: Tensor = above(activations[None])
        return logits[0, case.target]

    leaf = a.clone().requires_grad_()
    value = score(leaf)
    (g,) = torch.autograd.grad(value, leaf)
    ones = torch.ones(len(a), dtype=a.dtype)
    pp_weights = _linear_pp_weights(a, g, value.detach().exp()) if case.copies else oracle.gradcam_pp_weights(score, a)
    maps = {
        "gradcam": oracle.weighted_map(g.flatten(1).mean(1), a),
        "gradcam++": oracle.weighted_map(pp_weights, a),
        "layercam": oracle.weighted_map(ones, g.clamp(min=0) * a),
        "hirescam": oracle.weighted_map(ones, g * a),
        "guided": _guided(network, clip, case.target),
    }
    return {name: volume.numpy() for name, volume in maps.items()}


def _linear_pp_weights(a: Tensor, g: Tensor, y: Tensor) -> Tensor:
    """Channel weights by eq. 10 for a score that is linear in A, (D,)."""
    first, second, third = y * g, y * g**2, y * g**3
    denominator = 2 * second + a.flatten(1).sum(1).view(-1, 1, 1, 1) * third
    alpha = torch.where(second != 0, second / torch.where(second != 0, denominator, 1), 0.0)
    return (alpha * first.clamp(min=0)).flatten(1).sum(1)


def _guided(network: nn.Module, clip: Tensor, target: int) -> Tensor:
    """Guided backpropagation (3, T, H, W): each ReLU passes only the positive part of the gradient."""
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
            module.register_full_backward_hook(_positive)
    leaf = clip.clone().requires_grad_()
    return torch.autograd.grad(network(leaf)[0, target], leaf)[0][0]


def _positive(_module: nn.Module, gradients: Any, _of_output: Any) -> tuple[Tensor]:
    return (gradients[0].clamp(min=0),)


def pearson(first: Map, second: Map) -> float:
    """Pearson correlation of two maps of one shape."""
    return float(np.corrcoef(first.ravel().astype(np.float64), second.ravel().astype(np.float64))[0, 1])


def min_max(volume: Map) -> Map:
    """Scale to [0, 1], as most tools scale their maps."""
    low, high = volume.min(), volume.max()
    return np.asarray((volume - low) / (high - low))


def compare(tool: Tool, method: str, case: Case, maps: Mapping[str, Map], network: nn.Module | None = None) -> str:
    """Return 'correlation (largest difference)' of a tool's map and the derived one, or the tool's error."""
    if method not in tool.methods:
        return "–"
    try:
        volume = tool.call_on(network or case.network, case.layer, method, case.target)(case.clip)[0]
    except Exception as error:  # a tool's errors, of any kind, belong in the table
        return f"**{type(error).__name__}: {str(error).strip().splitlines()[0]}**"
    expected = maps[method]
    if method == "guided":
        expected = expected if volume.ndim == 4 else expected.mean(axis=0)  # medcam averages over colour
    elif tool.enlarge is not None:
        expected = tool.enlarge(expected, tuple(case.clip.shape[2:]))
    return f"{pearson(volume, expected):.6f} ({np.abs(min_max(volume) - min_max(expected)).max():.0e})"


def _table(case: Case) -> Table:
    maps, vidcam = derive(case), TOOLS["vidcam"]
    tools = [(tool.title, tool, case.network) for tool in (vidcam, *installed_peers())]
    tools += [(f"vidcam, {name}", vidcam, network) for name, network in case.copies.items()]
    rows = {
        title: Row(more={method: compare(tool, method, case, maps, network) for method in METHODS})
        for title, tool, network in tools
    }
    others = ", ".join(
        f"{name} {pearson(maps['gradcam++'], maps[name]):.4f}" for name in ("gradcam", "layercam", "hirescam")
    )
    note = (
        "Pearson correlation with maps derived in float64 (largest difference of min-max scaled maps). grad-cam gives "
        f"maps at the clip's size; there the derived map is enlarged too. Derived gradcam++ beside others: {others}."
    )
    return Table(f"Agreement: {case.title}", note, rows)
