"""Run a recipe as its page shows it, and compare its maps with the independent derivation."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn

import vidcam
from tests.gallery.family import Family, Patch, run
from tests.gallery.oracle import class_activation_maps, reacting_cells
from tests.gallery.recipes import read_recipes

METHODS = ("gradcam", "gradcam++", "hirescam")


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of `vidcam.explain` in a recipe.

    Attributes:
        network: a copy of the network before the call, in evaluation mode.
        model: as it was passed.
        clip: as it was passed.
        options: its keyword arguments.
    """

    network: nn.Module
    model: Any
    clip: Any
    options: dict[str, Any]

    @property
    def video(self) -> Tensor:
        """The clip, or the pathway with the most frames."""
        parts = self.clip.values() if isinstance(self.clip, dict) else self.clip
        return self.clip if isinstance(self.clip, Tensor) else max(parts, key=lambda part: (part.ndim, part.numel()))

    def run(self, network: nn.Module, clip: Tensor) -> Any:
        """Run a network on another clip in the place of its own."""
        if not isinstance(self.clip, dict):
            return run(network, clip)
        return run(network, {name: clip if value is self.video else value for name, value in self.clip.items()})


@dataclass(frozen=True, slots=True)
class Measured:
    """What the gallery's table shows of a family.

    Attributes:
        lines: of the recipe.
        layer: the layer of the maps.
        difference: largest difference of a map from the independent derivation, as a share of the map's maximum.
        probe: for each probed cell, whether the same cell of the layer reacts most; empty if nothing is probed.
        heat: shape of the recipe's heat.
        clip: (N, T, H, W) of the clip, or of the pathway with the most frames.
        cost: processor time of `vidcam.explain` over that of a forward pass without gradients; NaN if not measured.
    """

    lines: int
    layer: str
    difference: float
    probe: tuple[bool, ...]
    heat: tuple[int, ...]
    clip: tuple[int, ...]
    cost: float


def measure(family: Family, patch: Patch, *, is_timed: bool = False) -> Measured:
    """Run the recipe of a family and measure its last call of `vidcam.explain`."""
    recipe = read_recipes(family.page)[family.title]
    torch.manual_seed(0)
    names = family.prepare(patch)
    calls: list[Call] = []
    explain = vidcam.explain

    def noted(model: Any, clip: Any, **options: Any) -> Any:
        network = deepcopy(model if isinstance(model, nn.Module) else model.module)
        explanation = explain(model, clip, **options)
        _require_unchanged(network, model)
        if isinstance(options.get("layer"), nn.Module):
            options["layer"] = explanation.layer  # the copy has other modules
        calls.append(Call(network.eval().requires_grad_(requires_grad=False), model, clip, options))
        return explanation

    patch.setattr(vidcam, "explain", noted)
    exec(recipe.code, names)  # noqa: S102 – our own text
    patch.setattr(vidcam, "explain", explain)
    call = calls[-1]
    heat = names["heats"][-1] if "heats" in names else names["heat"]
    again = partial(explain, _model_of(call), call.clip, **call.options)
    options = {**call.options, "methods": METHODS, **family.cams(call.network)}
    explanation = vidcam.explain(_model_of(call), call.clip, **options)
    score = partial(_score, family=family, call=call, target=torch.as_tensor(explanation.target))
    expected = class_activation_maps(call.network, explanation.layer.split(" + "), family.layout, score)
    return Measured(
        lines=recipe.lines,
        layer=explanation.layer,
        difference=max(_difference(explanation.volumes[name], expected[name]) for name in METHODS),
        probe=_probe(family, call, explanation.layer, expected["gradcam"]) if family.is_probed else (),
        heat=heat.shape,
        clip=tuple(call.video.shape[family.axes.index(letter)] for letter in "NTHW"),
        cost=_seconds(again) / _seconds(partial(_forward, call)) if is_timed else float("nan"),
    )


def _require_unchanged(before: nn.Module, model: Any) -> None:
    """Check that `vidcam.explain` left weights and buffers as they were."""
    after = (model if isinstance(model, nn.Module) else model.module).state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.state_dict().items())


def _model_of(call: Call) -> Any:
    """The model as it was before the recipe's call."""
    return call.network if isinstance(call.model, nn.Module) else call.model


def _score(network: nn.Module, *, family: Family, call: Call, target: Tensor) -> Tensor:
    """The sum over clips of the score that was explained."""
    scores = family.scores(network, call.clip)
    function = call.options.get("target")
    chosen: Tensor = function(scores) if callable(function) else scores.gather(1, target[:, None])
    return chosen.sum()


def _difference(volume: Any, expected: Tensor) -> float:
    assert volume.shape == expected.shape
    assert expected.max() > 0  # an empty map would equal any other
    return float((torch.as_tensor(volume).double() - expected).abs().max() / expected.max())


def _probe(family: Family, call: Call, layer: str, volume: Tensor) -> tuple[bool, ...]:
    """Whether the right cell reacts, for three cells whose indices differ on all axes."""
    grid = volume.shape[1:]
    cells = [tuple((step * (axis + 1) + 1) % length for axis, length in enumerate(grid)) for step in (1, 2, 3)]
    reacting = reacting_cells(
        call.network, call.run, call.video, family.axes, layer=layer, layout=family.layout, cells=cells
    )
    return tuple(
        max(abs(i - j) for i, j in zip(cell, found, strict=True)) <= family.reach
        for cell, found in zip(cells, reacting, strict=True)
    )


@torch.no_grad()
def _forward(call: Call) -> None:
    run(call.network, call.clip)


def _seconds(run: Any) -> float:
    """The least processor time of three runs after one."""
    times = []
    for _ in range(4):
        start = process_time()
        run()
        times.append(process_time() - start)
    return min(times[1:])
