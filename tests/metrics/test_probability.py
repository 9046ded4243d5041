from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vidcam.metrics.probability import log_probability


def test_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]], dtype=torch.float64)
    np.testing.assert_allclose(log_probability(logits, np.array([1, 0])), np.log([0.75, 0.5]))


def test_equals_a_plain_loop() -> None:
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    target = np.array([0, 3, 10, 10, 5, 1])
    rows = logits.tolist()
    expected = [row[c] - math.log(math.fsum(map(math.exp, row))) for row, c in zip(rows, target.tolist(), strict=True)]
    np.testing.assert_allclose(log_probability(logits, target), expected, rtol=1e-13)


def test_probabilities_of_all_classes_add_up_to_one() -> None:
    logits = 30 * torch.randn(1, 400, generator=torch.Generator().manual_seed(4))
    everyone = log_probability(logits.expand(400, 400), np.arange(400))
    assert float(np.exp(everyone).sum()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_extreme_logits_stay_finite(dtype: torch.dtype) -> None:
    logits = torch.tensor([[1000.0, -1000.0, 0.0]] * 3, dtype=dtype)
    logs = log_probability(logits, np.array([0, 1, 2]))
    assert logs.dtype == np.float64
    np.testing.assert_array_equal(logs, [0, -2000, -1000])


def test_confidence_near_one_keeps_its_digits() -> None:
    """1 - p = 2e-9 is below the float32 resolution of p, not of log p in float64."""
    logits = torch.tensor([[20.0, 0.0]], dtype=torch.float32)
    assert log_probability(logits, np.array([0]))[0] == pytest.approx(-math.log1p(math.exp(-20)), rel=1e-9)


def test_takes_logits_with_a_graph_and_leaves_them() -> None:
    logits = torch.tensor([[1.0, 2.0]], requires_grad=True)
    log_probability(logits, np.array([0]))
    assert logits.grad is None
    assert logits.tolist() == [[1.0, 2.0]]
