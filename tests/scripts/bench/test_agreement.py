"""The oracle and the seam of the case `agreement`, as far as they need no other tool."""

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


def test_the_shortcut_for_large_networks_is_measured_against_three_derivatives() -> None:
    activations = torch.rand(2, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.linspace(-1, 2, activations.numel(), dtype=torch.float64).view_as(activations)

    def linear(a: torch.Tensor) -> torch.Tensor:
        return (weights * a).sum()

    exact = oracle.three_derivatives(linear, activations)
    deviation = agreement._deviation(linear, activations, exact, 8)
    assert deviation < 1e-12
    assert agreement._deviation(linear, activations, (exact[0], exact[1], 1.01 * exact[2]), 8) == pytest.approx(
        0.01 / 1.01
    )


def test_a_tool_that_is_not_installed_is_a_cell_of_the_table() -> None:
    case = agreement.Case("none", torch.nn.Identity(), torch.zeros(1, 3, 2, 4, 4), "", 0, {})

    def absent(*_: object) -> Any:
        return importlib.import_module("no_such_tool")

    tool = Tool("absent", ("gradcam",), absent)
    truth = agreement.Truth({}, None)
    missing = "**ModuleNotFoundError: No module named 'no_such_tool'**"
    assert agreement.compare(tool, "gradcam", case, truth) == missing
    assert agreement.compare(tool, "layercam", case, truth) == "–"


@pytest.mark.slow
def test_vidcam_agrees_with_the_small_case() -> None:
    case = agreement.cases(large=False)[0]
    truth = agreement.derive(case)
    ours = TOOLS["vidcam"]
    for method in ("gradcam", "gradcam++", "guided"):
        text = agreement.compare(ours, method, case, truth)
        assert text.startswith("1.000000"), text
    assert agreement.pearson(truth.maps["gradcam"], truth.maps["gradcam++"]) < 0.7  # or the case would show nothing
