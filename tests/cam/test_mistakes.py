"""The comparison with three derivatives accepts our Grad-CAM++ and rejects every published mistake."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from tests.helpers import mistakes, oracle
from tests.helpers.mistakes import BEFORE_AN_INPLACE_RELU, ON_ACTIVATIONS, Mistake
from tests.helpers.nets import random_clip
from vidcam.cam.methods import combine
from vidcam.cam.weights import gradcam_pp_weights

GRID = (2, 3, 4)
DISTANT = 1e-2
CLOSE = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A head, its input and the classes to explain, in float32; the expected maps are float64."""

    head: nn.Sequential
    activations: Tensor
    classes: Tensor

    def truth(self) -> Tensor:
        """Compute maps by eq. 5 and 10 from three derivatives of exp(S), up to a factor per clip."""
        exact = nn.Sequential(*[_plain(layer) for layer in self.head])

        def volume(clip: Tensor, target: int) -> Tensor:
            base = float(exact(clip.unsqueeze(0))[0, target].detach())
            weights = oracle.gradcam_pp_weights(lambda leaf: exact(leaf.unsqueeze(0))[0, target] - base, clip)
            return oracle.weighted_map(weights, clip)

        clips = self.activations.double()
        return torch.stack([volume(clip, int(c)) for clip, c in zip(clips, self.classes, strict=True)])


def hard_case() -> Case:
    """Numbers of a large network: g of 1e-4, ΣA of 1e4, a logit of 95, p = 1 in float32, and two clips."""
    case = small_case(clips=2)
    first, last = case.head[2], case.head[4]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    case.activations.mul_(2e3)
    first.weight.data.div_(2e3)
    last.bias.data[1] += 95.0
    return case


def small_case(*, clips: int = 1) -> Case:
    """ΣA and g of order 1."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(7)
        hidden, out = nn.Linear(4 * GRID[0] * GRID[1] * GRID[2], 10), nn.Linear(10, 3)
    out.weight.data *= 4
    head = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), hidden, nn.ReLU(), out)
    activations = random_clip(clips, 4, *GRID, seed=5).relu()
    return Case(head, activations, torch.ones(clips, dtype=torch.int64))


def signed_case() -> Case:
    """A target layer before its in-place ReLU."""
    case = small_case(clips=2)
    return Case(case.head, random_clip(2, 4, *GRID, seed=6) + 0.5, case.classes)


def ours(head: mistakes.Head, a: Tensor, classes: Tensor) -> Tensor:
    return combine(gradcam_pp_weights(a, mistakes.gradients(head, a, classes)), a)


def distance(volumes: Tensor, truth: Tensor) -> float:
    """Return the largest difference of maps scaled to maximum 1, as when drawn; infinite if blank or NaN."""
    for maps in (volumes, truth):
        if not bool(torch.isfinite(maps).all()) or bool((maps.flatten(1).amax(dim=1) <= 0).any()):
            return float("inf")
    return float((_to_maximum(volumes.double()) - _to_maximum(truth)).abs().max())


@pytest.mark.parametrize("case", [hard_case, small_case, signed_case])
def test_our_maps_are_accepted(case: Callable[[], Case]) -> None:
    made = case()
    truth = made.truth()
    assert (truth.flatten(1).amax(dim=1) > 0).all()
    assert distance(ours(made.head, made.activations, made.classes), truth) < CLOSE


@pytest.mark.parametrize("name", ON_ACTIVATIONS)
def test_mistake_is_rejected(name: str) -> None:
    assert distance(_volumes(ON_ACTIVATIONS[name], hard_case()), hard_case().truth()) > DISTANT


@pytest.mark.parametrize("name", BEFORE_AN_INPLACE_RELU)
def test_mistake_before_an_inplace_relu_is_rejected(name: str) -> None:
    assert distance(_volumes(BEFORE_AN_INPLACE_RELU[name], signed_case()), signed_case().truth()) > DISTANT


@pytest.mark.parametrize(
    "name", ["absolute_epsilon", "exponential_of_the_score", "squares_in_half_precision", "first_clip_kept"]
)
def test_mistake_is_harmless_on_easy_numbers(name: str) -> None:
    """With g of order 1, a small logit and a single clip these mistakes have no effect, so nobody noticed them."""
    assert distance(_volumes(ON_ACTIVATIONS[name], small_case()), small_case().truth()) < DISTANT


def test_overwriting_the_activations_is_harmless_after_the_relu() -> None:
    case = small_case()
    volumes = _volumes(mistakes.capture_overwritten, case)
    assert distance(volumes, case.truth()) < CLOSE


def test_the_mistakes_differ_from_one_another() -> None:
    """Each pair differs in at least one case, so no mistake is listed twice."""
    made = {
        name: [_volumes(mistake, hard_case()), _volumes(mistake, small_case())]
        for name, mistake in ON_ACTIVATIONS.items()
    }
    for one, other in itertools.combinations(made, 2):
        apart = [distance(x, y) for x, y in zip(made[one], made[other], strict=True) if _is_map(x) or _is_map(y)]
        assert max(apart) > DISTANT / 100, (one, other)


def _volumes(mistake: Mistake, case: Case) -> Tensor:
    return mistake(case.head, case.activations, case.classes).detach()


def _is_map(volumes: Tensor) -> bool:
    return distance(volumes, torch.ones_like(volumes)) < float("inf")


def _to_maximum(volumes: Tensor) -> Tensor:
    return volumes / volumes.amax(dim=(1, 2, 3), keepdim=True)


def _plain(layer: nn.Module) -> nn.Module:
    """Return a float64 copy of a layer that does not change its input."""
    if isinstance(layer, nn.ReLU):
        return nn.ReLU()
    if isinstance(layer, nn.Linear):
        copy = nn.Linear(layer.in_features, layer.out_features, dtype=torch.float64)
        copy.weight.data.copy_(layer.weight.data)
        copy.bias.data.copy_(layer.bias.data)
        return copy
    return layer
