"""The maps that `map_search` compares: of a layer, of the input, by hiding boxes, their products and means, controls.

A network is cut into two parts, body and head, at a layer. `blank` is a flat grey clip, the baseline of every path. All
heats are (T, H, W), >= 0 and not normalised, at the clip's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scripts.research.path_steps import midpoints
from vidcam.axes import Axes
from vidcam.cam.baseline import compute_baseline
from vidcam.cam.methods import LayerData, above_baseline, combine
from vidcam.cam.occlusion import occlusion
from vidcam.cam.path_gradients import integrated_gradients
from vidcam.cam.weights import gradcam_plus_weights
from vidcam.maps import normalise_per_clip, upsample_volume
from vidcam.metrics.controls import centre_heat, shuffled_cells
from vidcam.models.model import Model
from vidcam.preprocess import fill_for, grey_input

Heat = NDArray[np.float32]
Heats = dict[str, Heat]
Score = Callable[[Tensor], Tensor]
"""From a batch of clips or activations (n, …) to the score of the target, (n,)."""

FINE, CELLS = (16, 28, 28), (8, 14, 14)
"""Grids to which maps at the input are pooled."""

VOLUMES = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam", "neutral-gradcam")
EARLIER = {"Mixed_5c": "Mixed_4f", "layer3": "layer1", "relu4": "relu2"}
"""Target layer → the earlier layer to compare."""

LAYER_STEPS, SEED = 8, 0
LITTLE = 0.02
"""Share of the positive part that is added to `mostly signed` maps."""
BOXES = (2, 3, 3)
AXES = Axes("NCTHW")


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A network, a clip and the class to explain.

    Attributes:
        model: a network that runs its children in their order.
        clip: (1, 3, T, H, W), of any size that the network takes.
        target: class index.
    """

    model: Model
    clip: Tensor
    target: int

    @property
    def size(self) -> tuple[int, int, int]:
        """(T, H, W) of the clip."""
        frames, height, width = self.clip.shape[2:]
        return (frames, height, width)

    @property
    def blank(self) -> Tensor:
        """A flat grey clip of the clip's shape."""
        return grey_input(self.model.spec)[..., :1, :1, :1].expand_as(self.clip)

    def activations(self, layer: str) -> tuple[Tensor, Tensor]:
        """Return A of the clip and A₀ of the grey clip, (1, D, t, h, w)."""
        with torch.no_grad():
            body, _ = self.cut(layer)
            return body(self.clip), blank_activations(self.model, layer, self.size)

    def score(self, clips: Tensor) -> Tensor:
        """Return the target's logit of each clip, (n,)."""
        logits: Tensor = self.model.module(clips)
        return logits[:, self.target]

    def cut(self, layer: str) -> tuple[nn.Sequential, Score]:
        """Return the network up to and including a layer, and the score from there on."""
        children = dict(self.model.module.named_children())
        after = list(children).index(layer) + 1
        body, head = nn.Sequential(*list(children.values())[:after]), nn.Sequential(*list(children.values())[after:])
        return body, lambda activations: head(activations)[:, self.target]


@lru_cache(maxsize=8)
def blank_activations(model: Model, layer: str, size: tuple[int, int, int]) -> Tensor:
    """Return A₀, the layer's activations on a grey clip of this size."""
    blank = grey_input(model.spec)[..., :1, :1, :1].expand(1, 3, *size)
    return compute_baseline(model.module, blank.contiguous(), layer=layer).activations[layer]


def gradient(score: Score, point: Tensor) -> Tensor:
    """Return ∂score/∂point."""
    leaf = point.detach().requires_grad_()
    return torch.autograd.grad(score(leaf).sum(), leaf)[0]


def path_products(score: Score, start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Return integrated gradients with midpoints, signed, summed over the channels, (1, T, H, W)."""
    return integrated_gradients(score, end, start, AXES, steps=steps, rule=midpoints).maps[0]  # type: ignore[arg-type]


def input_products(subject: Subject, steps: int) -> Tensor:
    """Return integrated gradients at the input."""
    return path_products(subject.score, subject.blank, subject.clip, steps)


def pooled(values: Tensor, grid: tuple[int, int, int]) -> Heat:
    """Average (1, T, H, W) on a grid and upsample again; a clip twice as long or wide gets twice the cells."""
    frames, height, width = values.shape[1:]
    side = min(height, width)
    cells = (grid[0] * max(1, frames // 16), grid[1] * round(height / side), grid[2] * round(width / side))
    return upsampled(functional.adaptive_avg_pool3d(values, cells), (frames, height, width))


def upsampled(volume: Tensor, size: tuple[int, int, int]) -> Heat:
    """Upsample one raw map (1, t, h, w) or (t, h, w) to a heat."""
    raw = volume.detach().numpy()
    return np.ascontiguousarray(upsample_volume(raw[0] if raw.ndim == 4 else raw, size), np.float32)


def scaled(heat: Heat) -> Heat:
    """Normalise a heat to [0, 1] by min-max."""
    return np.asarray(normalise_per_clip(heat[None])[0], np.float32)


def mean_of(*heats: Heat) -> Heat:
    """Average heats that are normalised first."""
    return np.asarray(np.mean([scaled(heat) for heat in heats], axis=0), np.float32)


def layer_heats(subject: Subject) -> Heats:
    """Make the maps of the target layer from A, A₀ and gradients: one forward pass, backward through the head."""
    layer = str(subject.model.spec.layer)
    (a, a0), (_, score) = subject.activations(layer), subject.cut(layer)
    g = gradient(score, a)
    data = LayerData(a, g, 1.0, lambda: a0, _unused, _unused)
    volumes = data.volumes(VOLUMES)
    volumes["gradcam+ - grey"] = combine(gradcam_plus_weights(a, g), above_baseline(a, a0))
    volumes["layer IG"] = path_products(score, a0, a, LAYER_STEPS).relu()
    cells = shuffled_cells(volumes["gradcam"][0].numpy(), np.random.default_rng(SEED))
    volumes["shuffled cells"] = torch.from_numpy(cells)
    heats = {name: upsampled(volume, subject.size) for name, volume in volumes.items()}
    neutral = heats["neutral-gradcam"]
    return heats | {"neutral²": neutral**2, "neutral+plus": mean_of(neutral, heats["gradcam+ - grey"])}


def _unused() -> NoReturn:  # the methods here need neither the classifier's weights nor a softmax
    raise AssertionError


def earlier_heats(subject: Subject, volumes: Heats, steps: int = LAYER_STEPS) -> Heats:
    """Make the maps of the earlier layer: gradient × (A - A₀) at the clip and, if there are steps, on the path."""
    layer = EARLIER[str(subject.model.spec.layer)]
    (a, a0), (_, score) = subject.activations(layer), subject.cut(layer)
    raw = {"earlier gradient": (gradient(score, a) * (a - a0)).sum(dim=1)}
    if steps:
        raw["earlier IG"] = path_products(score, a0, a, steps)
    heats = {name: upsampled(values.relu(), subject.size) for name, values in raw.items()}
    products = {f"neutral × {name}": volumes["neutral-gradcam"] * heat for name, heat in heats.items()}
    when = when_and_where(volumes["neutral-gradcam"], heats["earlier gradient"])
    return heats | products | {"neutral when, earlier gradient where": when}


def input_heats(volumes: Heats, products: Tensor, name: str) -> Heats:
    """Make the maps of integrated gradients: alone, times a volume map, and in place only.

    `signed` averages the signed values over the cells of the grid first, and takes the positive part last. `mostly
    signed` adds a little of the positive part's average, so that cells below 0 have an order. `neutral²` is the
    square of neutral-gradcam: the product follows the volume map more.
    """
    forms = {f"{name} pixels": products.relu()[0].numpy()}
    for grid, cells in (("fine", FINE), ("cells", CELLS)):
        forms[f"{name} {grid}"] = pooled(products.relu(), cells)
        forms[f"{name} signed {grid}"] = pooled(products, cells).clip(min=0)
        forms[f"{name} mostly signed {grid}"] = forms[f"{name} signed {grid}"] + LITTLE * forms[f"{name} {grid}"]
    heats = dict(forms)
    for form, heat in forms.items():
        heats[f"gradcam × {form}"] = volumes["gradcam"] * heat
        heats[f"neutral × {form}"] = volumes["neutral-gradcam"] * heat
        heats[f"neutral² × {form}"] = volumes["neutral²"] * heat
    return heats | {
        f"neutral when, {name} fine where": when_and_where(volumes["neutral-gradcam"], forms[f"{name} fine"])
    }


def when_and_where(when: Heat, where: Heat) -> Heat:
    """Give each frame the sum of one map, spread over the frame as another map is."""
    sums = where.sum(axis=(1, 2), keepdims=True)
    return np.asarray(where / np.where(sums > 0, sums, 1) * when.sum(axis=(1, 2), keepdims=True), np.float32)


def hidden_boxes(subject: Subject, boxes: tuple[int, int, int], fill: Tensor) -> Heat:
    """Return how far the score falls if a box is hidden, positive part: one forward pass a box."""
    drops = occlusion(subject.score, subject.clip, fill, cells=boxes).values  # type: ignore[arg-type]
    return upsampled(torch.from_numpy(drops).float().relu(), subject.size)


def occlusion_heats(subject: Subject, volumes: Heats, boxes: tuple[int, int, int] = BOXES) -> Heats:
    """Hide boxes in grey, alone and averaged with neutral-gradcam and with neutral+plus."""
    heat = hidden_boxes(subject, boxes, subject.blank)
    means = {f"occlusion + {name}": mean_of(heat, volumes[key]) for name, key in AVERAGED.items()}
    return {"occlusion": heat, **means}


AVERAGED = {"neutral": "neutral-gradcam", "neutral+plus": "neutral+plus"}


def black_occlusion(subject: Subject, volumes: Heats) -> Heats:
    """Hide boxes in black, as the measure does."""
    fill = fill_for(subject.clip, "black", subject.model.spec.scaling).expand_as(subject.clip)
    heat = hidden_boxes(subject, BOXES, fill)
    return {"black occlusion": heat, "black occlusion + neutral": mean_of(heat, volumes["neutral-gradcam"])}


def averaged_heats(subject: Subject, volumes: Heats, mirrored: int, shifts: Sequence[int] = (-1, 1)) -> Heats:
    """Average neutral-gradcam over the mirrored clip (class `mirrored`), and over shifts by some frames."""
    model, clip, name = subject.model, subject.clip, "neutral-gradcam"
    flipped = layer_heats(Subject(model, clip.flip(-1), mirrored))[name][..., ::-1]
    frames = np.arange(subject.size[0])
    moved = [
        layer_heats(Subject(model, clip[:, :, (frames + shift).clip(0, frames[-1])], subject.target))[name][
            (frames - shift).clip(0, frames[-1])
        ]
        for shift in shifts
    ]
    heats = {"neutral, flips": mean_of(volumes[name], flipped)}
    return heats | ({"neutral, shifts": mean_of(volumes[name], *moved)} if shifts else {})


def controls(subject: Subject) -> Heats:
    """Make the maps that ignore the network."""
    steps = subject.clip.diff(dim=2).abs().mean(dim=1)
    difference = torch.cat([steps[:, :1], steps], dim=1)
    return {
        "frame difference pixels": difference[0].numpy(),
        "frame difference fine": pooled(difference, FINE),
        "frame difference cells": pooled(difference, CELLS),
        "centre": np.asarray(centre_heat(subject.size), np.float32),
        "uniform": np.ones(subject.size, np.float32),
    }
