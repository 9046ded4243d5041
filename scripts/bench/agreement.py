"""How far each tool's maps agree with derivations that share no code with any of them, on the same 5-D inputs.

Grad-CAM++ comes from three autograd derivatives of exp(score) in float64 (`tests/helpers/oracle.py`), cell by cell for
the small network. r3d_18 has 50,176 cells at layer4 and 200,704 at layer3: there eq. 10 is taken with Y″ = Y·g² and
Y‴ = Y·g³, and a sample of cells is differentiated three times to see that this holds.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scripts.bench.peers import TOOLS, Map, Tool, installed_peers
from scripts.bench.timing import Row, Table
from scripts.library import faster
from tests.helpers import oracle
from vidcam.models.registry import load_model

METHODS = ("gradcam", "gradcam++", "layercam", "hirescam", "guided")
SAMPLED_CELLS = {"layer4": 64, "layer3": 4}


@dataclass(frozen=True, slots=True)
class Case:
    """A network in float32, a clip (1, 3, T, H, W), a layer and a class, and other forms of the network to compare."""

    title: str
    network: nn.Module
    clip: Tensor
    layer: str
    target: int
    copies: Mapping[str, nn.Module]

    def score(self, network: nn.Module, activations: Tensor) -> Tensor:
        """Score of the class from activations (1, D, t, h, w) of a copy of the network."""
        if isinstance(network, nn.Sequential):
            above, out = network[int(self.layer) + 1 : -1], network[-1]
        else:
            names = ("layer4", "avgpool") if self.layer == "layer3" else ("avgpool",)
            above, out = nn.Sequential(*map(network.get_submodule, names), nn.Flatten()), network.get_submodule("fc")
        score: Tensor = out(above(activations))[0, self.target]
        return score


@dataclass(frozen=True, slots=True)
class Truth:
    """The derived maps of a case: method → (t, h, w), `guided` → (3, T, H, W); how well eq. 10's shortcut holds."""

    maps: dict[str, Map]
    deviation: float | None


def agreement() -> list[Table]:
    """A table for each case: correlation (largest difference of the min-max scaled maps)."""
    return [_table(case, derive(case)) for case in cases()]


def cases(*, large: bool = True) -> list[Case]:
    """The small network, and `large`: r3d_18 with random weights at its last block and the one before."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        ramp = torch.linspace(0.2, 2, 8 * 20 * 24).view(1, 1, 8, 20, 24)  # louder towards the end and the lower right
        clip = torch.randn(1, 3, 8, 20, 24) * ramp
        made = [Case("small network with a hidden layer, relu2 (8×4×5×6)", _small_network(), clip, "3", 0, {})]
        if large:
            model, clip = load_model("r3d_18", device="cpu", weights="random"), torch.randn(1, 3, 16, 112, 112)
            network = copy.deepcopy(model.module).to(memory_format=torch.contiguous_format).requires_grad_().eval()
            for layer, grid in (("layer4", "512×2×7×7"), ("layer3", "256×4×14×14")):
                copies = {"faster": faster(model, layer), "bf16": faster(model, layer, "bf16")}
                made.append(Case(f"r3d_18, random weights, {layer} ({grid})", network, clip, layer, 0, copies))
    with torch.no_grad():
        return [replace(case, target=int(case.network(case.clip).argmax())) for case in made]


def _small_network() -> nn.Sequential:
    """Two convolutions, then a head with a hidden layer, on which the methods differ; each ReLU is a module of its own.

    The grid of `relu2` is 4 × 5 × 6 for a clip of 8 × 20 × 24: no axis looks like another.
    """
    below = (nn.Conv3d(3, 6, 3, (1, 2, 2), 1), nn.ReLU(), nn.Conv3d(6, 8, 3, 2, 1), nn.ReLU())
    return nn.Sequential(*below, nn.Flatten(), nn.Linear(8 * 4 * 5 * 6, 24), nn.ReLU(), nn.Linear(24, 5)).eval()


def derive(case: Case) -> Truth:
    """All maps of a case in float64, from plain definitions."""
    network, clip = copy.deepcopy(case.network).double().requires_grad_(requires_grad=False), case.clip.double()
    kept: list[Tensor] = []
    handle = network.get_submodule(case.layer).register_forward_hook(lambda _m, _i, output: kept.append(output))
    score = network(clip.clone().requires_grad_())[0, case.target]
    handle.remove()
    a, g = kept[0][0].detach(), torch.autograd.grad(score, kept[0])[0][0]
    deviation = None
    if case.layer not in SAMPLED_CELLS:
        weights = oracle.gradcam_pp_weights(lambda x: case.score(network, x[None]), a)
    else:
        y = score.detach().exp()
        first, second, third = y * g, y * g**2, y * g**3
        deviation = _deviation(lambda x: case.score(network, x), a, (first, second, third), SAMPLED_CELLS[case.layer])
        denominator = 2 * second + a.flatten(1).sum(1).view(-1, 1, 1, 1) * third
        alpha = torch.where(second != 0, second / torch.where(second != 0, denominator, 1), 0.0)
        weights = (alpha * first.clamp(min=0)).flatten(1).sum(1)
    ones = torch.ones(len(a), dtype=a.dtype)
    maps = {
        "gradcam": oracle.weighted_map(g.flatten(1).sum(1) / g[0].numel(), a),
        "gradcam++": oracle.weighted_map(weights, a),
        "layercam": oracle.weighted_map(ones, g.clamp(min=0) * a),
        "hirescam": oracle.weighted_map(ones, g * a),
        "guided": _guided(network, clip, case.target),
    }
    return Truth({name: volume.numpy() for name, volume in maps.items()}, deviation)


def _deviation(
    score: oracle.ScoreOfActivations, activations: Tensor, claimed: tuple[Tensor, ...], sample: int
) -> float:
    """Largest relative deviation of Y′, Y″ and Y‴ from three autograd derivatives along single cells, over a sample."""
    count, worst = activations.numel(), 0.0
    for cell in torch.randperm(count, generator=torch.Generator().manual_seed(0))[:sample]:
        step = torch.zeros((), dtype=torch.float64, requires_grad=True)
        along = torch.zeros(count, dtype=torch.float64).index_fill(0, cell, 1).view_as(activations)
        derivative = score((activations + step * along)[None]).exp()
        for tensor in claimed:
            (derivative,) = torch.autograd.grad(derivative, step, create_graph=True)
            value = float(tensor.flatten()[cell])
            worst = max(worst, abs(derivative.item() - value) / max(abs(value), 1e-300))
    return worst


def _guided(network: nn.Module, clip: Tensor, target: int) -> Tensor:
    """Guided backpropagation (3, T, H, W): what goes back through a ReLU keeps only its positive part."""
    plain = copy.deepcopy(network)
    for module in plain.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
            module.register_full_backward_hook(_positive)
    leaf = clip.clone().requires_grad_()
    return torch.autograd.grad(plain(leaf)[0, target], leaf)[0][0]


def _positive(_module: nn.Module, gradients: Any, _of_output: Any) -> tuple[Tensor]:
    return (gradients[0].clamp(min=0),)


def pearson(first: Map, second: Map) -> float:
    """Pearson correlation of two maps of one shape."""
    return float(np.corrcoef(first.ravel().astype(np.float64), second.ravel().astype(np.float64))[0, 1])


def min_max(volume: Map) -> Map:
    """Scaled to [0, 1]; most tools give their maps so."""
    low, high = volume.min(), volume.max()
    return np.asarray((volume - low) / (high - low))


def compare(tool: Tool, method: str, case: Case, truth: Truth, network: nn.Module | None = None) -> str:
    """One cell of the table: 'correlation (largest difference)', or what went wrong."""
    if method not in tool.methods:
        return "–"
    try:
        found = tool.call_on(network or case.network, case.layer, method, case.target)(case.clip)[0]
    except Exception as error:  # whatever a tool raises belongs in the table
        return f"**{type(error).__name__}: {str(error).strip().splitlines()[0]}**"
    expected = truth.maps[method]
    if method == "guided":
        expected = expected if found.ndim == 4 else expected.mean(axis=0)  # medcam averages over colour
    elif tool.enlarge is not None:
        expected = tool.enlarge(expected, tuple(case.clip.shape[2:]))
    return f"{pearson(found, expected):.6f} ({np.abs(min_max(found) - min_max(expected)).max():.0e})"


def _table(case: Case, truth: Truth) -> Table:
    ours = TOOLS["vidcam"]
    rows = {tool.title: _row(tool, case, truth) for tool in (ours, *installed_peers())}
    rows |= {f"vidcam, {name} copy": _row(ours, case, truth, network) for name, network in case.copies.items()}
    own = truth.maps["gradcam++"]
    others = ", ".join(f"{name} {pearson(own, truth.maps[name]):.4f}" for name in ("gradcam", "layercam", "hirescam"))
    note = (
        "Pearson correlation with maps derived in float64 by autograd (largest difference of min-max scaled maps), at "
        f"the clip's size for tools that give them so. The derived gradcam++ correlates with the derived {others}."
    )
    if truth.deviation is not None:
        count = SAMPLED_CELLS[case.layer]
        note += f" Three autograd derivatives at {count} cells: within {truth.deviation:.0e} of those used."
    return Table(f"Agreement: {case.title}", note, rows)


def _row(tool: Tool, case: Case, truth: Truth, network: nn.Module | None = None) -> Row:
    return Row(more={method: compare(tool, method, case, truth, network) for method in METHODS})
