"""Errors of `explain`: invalid arguments, unusual networks, non-finite numbers, probabilities, channels last."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.explain import explain
from vidcam.cam.network import require_finite
from vidcam.errors import InputError, LayerError, NameNotFoundError, NonFiniteError, ShapeError


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layer": "block9"}, NameNotFoundError, r"layer 'block9' not found; the nearest are 'block2', 'block1'"),
        ({"layer": "fc"}, LayerError, r"layer 'fc' returns \(1, 4\) for an input of \(1, 3, 4, 8, 8\)"),
        ({"layer": "pool"}, LayerError, "layer 'pool' has only one cell, expected a grid"),
        ({"methods": ["gradcan"]}, NameNotFoundError, r"method 'gradcan' not found; the nearest are 'gradcam'"),
        ({"methods": []}, InputError, "methods is empty, expected one or more"),
        ({"baseline": "grey"}, InputError, "baseline is 'grey', expected a clip"),
        ({"target": 4}, InputError, "target is 4, expected class indices from 0 to 3"),
        ({"target": -1}, InputError, "target is -1, expected class indices from 0 to 3"),
        ({"target": [0, 1]}, ShapeError, "one class, or one for each of the 1 clips"),
    ],
)
def test_invalid_arguments(options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8), **options)  # type: ignore[arg-type]


def test_slashes_are_read_as_dots() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    np.testing.assert_array_equal(
        explain(net, clip, layer="block2/2").volumes["gradcam"], explain(net, clip, layer="block2.2").volumes["gradcam"]
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_require_finite_finds_one_number_and_ignores_an_overflowing_sum(bad: float) -> None:
    large = torch.full((2, 3, 4), 3e38)
    require_finite(large, "the numbers")
    large[1, 2, 3] = bad
    with pytest.raises(NonFiniteError, match="the numbers contain NaN or infinity"):
        require_finite(large, "the numbers")


def test_non_finite_logits() -> None:
    clip = random_clip(1, 3, 4, 8, 8)
    clip[0, 0, 0, 0, 0] = torch.nan
    with pytest.raises(NonFiniteError, match="the logits contain NaN or infinity"):
        explain(seeded(PooledHead), clip, layer="block2")


class _Odd(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.unused = nn.Conv3d(3, 4, 3, padding=1)
        self.kind = kind

    def forward(self, clip: Tensor) -> object:
        features = self.conv(clip)
        if self.kind == "in a row":
            features = self.conv(features[:, :3])
        if self.kind == "cut":
            features = features.detach()
        scores = features.mean(dim=(2, 3, 4))
        return {"dict": {"scores": scores}, "map": features}.get(self.kind, scores)


@pytest.mark.parametrize(
    ("kind", "layer", "error", "message"),
    [
        ("in a row", "conv", LayerError, "layer 'conv' runs 2 times in a row; name the block .* or a run, 'conv#0'"),
        ("cut", "conv", LayerError, "the score does not depend on layer 'conv'"),
        ("plain", "unused", LayerError, "layer 'unused' did not run"),
        ("dict", "conv", ShapeError, r"the model returns dict, expected logits"),
        ("map", "conv", ShapeError, r"the model returns a tensor of shape \(1, 4, 2, 5, 5\)"),
    ],
)
def test_unusual_networks(kind: str, layer: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explain(_Odd(kind), random_clip(1, 3, 2, 5, 5), layer=layer)


class _Root(nn.Module):
    """Scores are sums of √A: finite, but with an infinite gradient where A is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.relu(clip).sqrt().sum(dim=(2, 3, 4))
        return scores


def test_non_finite_gradients_of_finite_logits() -> None:
    clip = torch.full((1, 3, 2, 4, 4), 4.0)
    assert explain(_Root(), clip, layer="relu", target=0).volumes["gradcam"].max() == 1.0  # g = 1/4, A = 4
    clip[0, 0, 0, 0, 0] = 0.0
    with pytest.raises(NonFiniteError, match="the gradients at layer 'relu' contain NaN or infinity, expected finite"):
        explain(_Root(), clip, layer="relu", target=0)


class _Ending(nn.Module):
    """A network with a softmax, or another last step, after its linear layer."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.end = seeded(PooledHead), end

    def forward(self, clip: Tensor) -> Tensor:
        return self.end(self.net(clip))


def _of_two_views(scores: Tensor) -> Tensor:
    return (scores.softmax(dim=1) + (2 * scores).softmax(dim=1)) / 2


def _written_out(scores: Tensor) -> Tensor:
    """A softmax written as arithmetic."""
    return scores.exp() / scores.exp().sum(dim=1, keepdim=True)


def test_probabilities_raise() -> None:
    message = r"the model returns probabilities \(each row adds up to 1\), expected logits"
    for dtype in (torch.float32, torch.float64):
        net, clip = _Ending(_of_two_views).to(dtype), random_clip(2, 3, 4, 8, 8, dtype=dtype)
        with pytest.raises(InputError, match=message):
            explain(net, clip, layer="net.block2")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda scores: scores.log_softmax(dim=1), id="log probabilities"),
        pytest.param(
            lambda scores: 9 * (scores - scores.mean(dim=1, keepdim=True)) + 0.25, id="rows of 1 with negatives"
        ),
        pytest.param(lambda scores: _written_out(scores) * 1.001, id="rows of 1.001"),
        pytest.param(lambda scores: _written_out(scores) * scores.new_tensor([[1.0], [2.0]]), id="one row of 1"),
        pytest.param(lambda scores: scores[:, :1] * 0 + 1, id="a single class"),
    ],
)
def test_logits_that_resemble_probabilities(end: Callable[[Tensor], Tensor]) -> None:
    assert len(explain(_Ending(end), random_clip(2, 3, 4, 8, 8), layer="net.block2", target=0)) == 2


class _ChannelsLast(nn.Module):
    """Features as (N, t, h, w, D) after the last convolution, as video transformers keep them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 16, 3, padding=1)
        self.last = nn.Identity()
        self.fc = nn.Linear(16, 4)

    def forward(self, clip: Tensor) -> Tensor:
        features = self.last(torch.relu(self.conv(clip)).permute(0, 2, 3, 4, 1))
        scores: Tensor = self.fc(features.mean(dim=(1, 2, 3)))
        return scores


def test_channels_last_features_raise_and_are_no_default() -> None:
    net, clip = seeded(_ChannelsLast), random_clip(1, 3, 4, 8, 8)
    message = r"layer 'last' returns \(1, 4, 8, 8, 16\) for an input of \(1, 3, 4, 8, 8\), expected \(N, D, \.\.\.\)"
    with pytest.raises(LayerError, match=message):
        explain(net, clip, layer="last")
    assert explain(net, clip).layer == "conv"
