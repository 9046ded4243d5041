"""The derived maps of the case `agreement`, and the interface of the tools."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch

from scripts.bench import agreement
from scripts.bench.peers import TOOLS, Tool
from tests.helpers import oracle


def test_min_max_and_pearson_by_hand() -> None:
    volume = np.array([2.0, 3.0, 6.0])
    np.testing.assert_allclose(agreement.min_max(volume), [0, 0.25, 1])
    assert agreement.pearson(volume, -volume) == pytest.approx(-1)
    assert agreement.pearson(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])) == pytest.approx(0)


def test_weights_below_a_linear_head_equal_those_of_three_derivatives() -> None:
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(2, 1, 2, 2, generator=generator, dtype=torch.float64)
    gradient = torch.linspace(-1, 2, activations.numel(), dtype=torch.float64).view_as(activations)

    def score(a: torch.Tensor) -> torch.Tensor:
        return (gradient * a).sum()

    weights = agreement._linear_pp_weights(activations, gradient, score(activations).exp())
    torch.testing.assert_close(weights, oracle.gradcam_pp_weights(score, activations), rtol=1e-12, atol=0)


def test_a_missing_tool_is_a_cell_of_the_table() -> None:
    case = agreement.Case("none", torch.nn.Identity(), {}, torch.zeros(1, 3, 2, 4, 4), "", torch.nn.Sequential(), 0)

    def absent(*_: object) -> Any:
        return importlib.import_module("no_such_tool")

    tool = Tool("absent", ("gradcam",), absent)
    missing = "**ModuleNotFoundError: No module named 'no_such_tool'**"
    assert agreement.compare(tool, "gradcam", case, {}) == missing
    assert agreement.compare(tool, "layercam", case, {}) == "–"


@pytest.mark.slow
def test_vidcam_agrees_with_the_small_case() -> None:
    case = agreement.small_case()
    maps = agreement.derive(case)
    for method in agreement.METHODS:
        assert agreement.compare(TOOLS["vidcam"], method, case, maps).startswith("1.000000"), method
    assert agreement.pearson(maps["gradcam"], maps["gradcam++"]) < 0.7  # the methods differ on this case
