"""Fused maps of several layers, and the audit of each layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.explain import explain
from vidcam.cam.fusion import fuse
from vidcam.cam.guided import guided_saliency
from vidcam.errors import InputError
from vidcam.maps import relative_to_maximum, upsample_volume

COARSE = np.array([[[2.0, 4.0]]])  # (1, 1, 2): in [0, 1] it is 1/2, 1
FINE = np.array([[[0.0, 30.0, 60.0, 0.0]]])  # 0, 1/2, 1, 0


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [("mean", [0.25, (0.625 + 0.5) / 2, (0.875 + 1) / 2, 0.5]), ("max", [0.5, 0.625, 1.0, 1.0])],
)
def test_fusion_of_two_small_maps(fusion: str, expected: list[float]) -> None:
    """The coarse map, linear on four cells, is 1/2, 5/8, 7/8, 1."""
    for volumes in ([COARSE, FINE], [FINE, COARSE]):
        np.testing.assert_allclose(fuse(volumes, fusion), [[expected]])  # type: ignore[arg-type]


def test_one_map_stays_raw() -> None:
    assert fuse([FINE], "mean") is FINE


def test_each_clip_has_its_own_maximum_and_an_empty_map_stays_empty() -> None:
    first = np.array([[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    second = np.array([[50.0, 0.0], [0.0, 5.0], [0.0, 0.0]])
    assert fuse([first, second], "mean").tolist() == [[0.75, 0.5], [0.0, 0.5], [0.0, 0.0]]
    assert fuse([first, second], "max").tolist() == [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]


def test_the_finest_grid_is_taken_along_each_axis() -> None:
    assert fuse([np.ones((2, 4, 3, 1)), np.ones((2, 1, 3, 5))], "mean").tolist() == np.ones((2, 4, 3, 5)).tolist()


@pytest.mark.parametrize("count", [1, 2])
def test_unknown_fusion(count: int) -> None:
    with pytest.raises(InputError, match="fusion is 'median', expected one of mean, max, sum"):
        fuse([FINE] * count, "median")  # type: ignore[arg-type]


def test_the_sum_of_raw_maps_keeps_the_sum_of_each() -> None:
    """2, 4 on four cells is 2, 2.5, 3.5, 4 with the sum 12; scaled to the sum 6 it is half of that."""
    for volumes in ([COARSE, FINE], [FINE, COARSE]):
        np.testing.assert_allclose(fuse(volumes, "sum"), [[[1.0, 31.25, 61.75, 2.0]]])


def test_the_sum_of_an_empty_map_and_another() -> None:
    assert fuse([np.zeros((1, 1, 2)), FINE], "sum").tolist() == FINE.tolist()


class Chain(nn.Module):
    """A0 = the clip's pairs of cells, A1 = 2·A0 + 1 in one channel; S = ΣA1."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.AvgPool1d(1), nn.AvgPool1d(2)

    def forward(self, clip: Tensor) -> Tensor:
        scores = (2 * self.second(self.first(clip)) + 1).sum(dim=(1, 2))
        return torch.stack([scores, -scores], dim=1)


@pytest.mark.parametrize("fusion", ["mean", "max"])
def test_fused_layers_of_a_network(fusion: str) -> None:
    """A = 0, 1, 2, 1 (0, 1/2, 1, 1/2 of its maximum) and its pairs' means 1/2, 3/2 (1/3, 1), on four cells."""
    clip = torch.tensor([[[0.0, 1.0, 2.0, 1.0]]])
    fine, coarse = np.array([0, 0.5, 1, 0.5]), np.array([1 / 3, 1 / 2, 5 / 6, 1])
    expected = (fine + coarse) / 2 if fusion == "mean" else np.maximum(fine, coarse)
    layers = ["first", "second"]
    explanation = explain(Chain(), clip, layer=layers, methods=["gradcam"], target=0, fusion=fusion)  # type: ignore[arg-type]
    np.testing.assert_allclose(explanation.volumes["gradcam"], expected[None], rtol=1e-6)


def test_each_layer_has_its_audit() -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    methods = ("gradcam++", "gradcam++signed", "gradcam++softmax", "guided-gradcam++")
    both = explain(net, clip, layer=["block1", "block2"], methods=methods, target=1)
    assert list(both.alpha) == ["gradcam++ at block1", "gradcam++ at block2"]
    assert sorted(both.clamped) == [
        f"{m} at {x}" for m in ("gradcam++signed", "gradcam++softmax") for x in ("block1", "block2")
    ]
    assert both.layer == "block1 + block2"
    fused = {}
    for layer in ("block1", "block2"):
        alone = explain(net, clip, layer=layer, methods=methods, target=1)
        assert list(alone.alpha) == ["gradcam++"]
        np.testing.assert_allclose(
            both.alpha[f"gradcam++ at {layer}"].positive, alone.alpha["gradcam++"].positive, rtol=1e-5
        )
        fused[layer] = alone
    for name in both.volumes:
        expected = fuse([fused[layer].volumes[name] for layer in fused], "mean")
        np.testing.assert_allclose(both.volumes[name], expected, rtol=0, atol=1e-5)
    assert both.volumes["gradcam++"].shape == (2, 4, 8, 8)
    saliency = guided_saliency(net, clip, 1)
    share = relative_to_maximum(upsample_volume(both.volumes["gradcam++"], both.input_size))
    np.testing.assert_allclose(both.guided["guided-gradcam++"], saliency * share[:, None], rtol=1e-5)
