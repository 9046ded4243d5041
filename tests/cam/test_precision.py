"""Low precision: autocast, 16-bit weights, and non-finite activations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.helpers.conduct import State
from tests.helpers.nets import PooledHead, random_clip, seeded
from tests.helpers.networks import CHEAP, EVERY, assert_alike
from vidcam.cam.explain import explain
from vidcam.errors import NonFiniteError


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.04), (torch.float16, 0.005)])
def test_autocast(dtype: torch.dtype, tolerance: float) -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2", methods=EVERY, target=1)
    with torch.autocast("cpu", dtype=dtype):
        state = State(net, clip)
        result = explain(net, clip, layer="block2", methods=EVERY, target=1)
        state.check_unchanged()
    assert_alike(result, expected, tolerance=tolerance)
    assert {volume.dtype for volume in (*result.volumes.values(), *result.guided.values())} == {np.dtype(np.float32)}


def test_sums_are_float32_under_autocast() -> None:
    """A = 60 on 8 × 28 × 28 cells, g = 600: ΣA·g overflows float16 by far, and half precision would round the sums."""
    clip, head = torch.full((1, 1, 8, 28, 28), 60.0), nn.Conv3d(1, 2, 1)
    net = nn.Sequential(nn.ReLU(), head, nn.AdaptiveAvgPool3d(1), nn.Flatten())
    with torch.autocast("cpu", dtype=torch.float16):
        result = explain(net, clip.half(), layer="0", methods=CHEAP, target=0)
    weight = float(head.weight[0].detach().half())
    cells = 8 * 28 * 28
    gradient = float(torch.tensor(weight / cells).half())
    np.testing.assert_allclose(result.volumes["gradcam"], max(0, 60 * gradient), rtol=5e-3)
    expected = 60 * cells * max(gradient, 0) / (2 + 60 * cells * max(gradient, 0))
    np.testing.assert_allclose(result.volumes["gradcam++"], expected, rtol=5e-3)


def test_autocast_caches_no_weights_for_the_callers_training() -> None:
    net, clip = seeded(PooledHead).eval(), random_clip(2, 3, 4, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        explain(net, clip, layer="block2")
        loss = net(clip).square().sum()
    loss.backward()
    assert all(
        parameter.grad is not None and parameter.grad.any() for parameter in net.get_submodule("fc").parameters()
    )
    assert net.get_parameter("block1.0.weight").grad is not None


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.04), (torch.float16, 0.005)])
def test_16_bit_weights(dtype: torch.dtype, tolerance: float) -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2", methods=EVERY, target=1)
    result = explain(net.to(dtype), clip.to(dtype), layer="block2", methods=EVERY, target=1)
    assert_alike(result, expected, tolerance=tolerance)


def test_infinite_activations_raise_also_under_a_bounded_head() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Hardtanh(0, 5), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    clip = random_clip(1, 3, 2, 4, 4)
    explain(net, clip, layer="0")
    clip[0, 0, 0, 0, 0] = torch.inf
    with pytest.raises(NonFiniteError, match="the activations at layer '0' contain NaN or infinity, expected finite"):
        explain(net, clip, layer="0")
