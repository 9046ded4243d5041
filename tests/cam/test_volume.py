from __future__ import annotations

import pytest
import torch

from vidcam.cam.volume import combine
from vidcam.errors import ShapeError


def test_by_hand() -> None:
    a = torch.tensor([[1.0, 2.0, 0.0], [4.0, 0.0, 1.0]]).view(1, 2, 1, 1, 3)
    assert combine(torch.tensor([[1.0, -0.5]]), a).tolist() == [[[[0.0, 2.0, 0.0]]]]


def test_channels_may_be_permuted() -> None:
    generator = torch.Generator().manual_seed(0)
    weights, a = torch.randn(2, 6, generator=generator), torch.randn(2, 6, 2, 3, 4, generator=generator)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(combine(weights[:, order], a[:, order]), combine(weights, a))


def test_half_precision_becomes_float32() -> None:
    volume = combine(torch.ones(1, 2), torch.ones(1, 2, 3, 3, dtype=torch.bfloat16))
    assert volume.dtype == torch.float32
    assert volume.eq(2).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"weights must be \(N, D\) of activations"):
        combine(torch.ones(1, 3), torch.ones(1, 2, 3, 3))
