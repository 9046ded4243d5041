"""The operations that a roofline counts, against hand numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scripts.bench.roofline import operations_of


@pytest.mark.parametrize("batch", [1, 3])
def test_a_convolution_and_a_product_are_counted(batch: int) -> None:
    network = nn.Sequential(nn.Conv3d(3, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 27, 7))
    convolution = 2 * (5 * 3**3) * (3 * 2**3)  # places of the output × numbers behind each
    product = 2 * 7 * (5 * 3**3)
    assert operations_of(network, torch.zeros(batch, 3, 4, 4, 4)) == batch * (convolution + product)
