"""The oracle and the seam of `scripts/benchmark peers`, as far as they need no other tool."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.helpers import oracle

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("peers_agreement")


def test_min_max_and_pearson_by_hand(peers: Any) -> None:
    volume = np.array([2.0, 3.0, 6.0])
    np.testing.assert_allclose(peers.min_max(volume), [0, 0.25, 1])
    assert peers.pearson(volume, -volume) == pytest.approx(-1)
    assert peers.pearson(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])) == pytest.approx(0)


def test_the_shortcut_for_large_networks_is_measured_against_three_derivatives(peers: Any) -> None:
    activations = torch.rand(2, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.linspace(-1, 2, activations.numel(), dtype=torch.float64).view_as(activations)

    def linear(a: torch.Tensor) -> torch.Tensor:
        return (weights * a).sum()

    exact = oracle.three_derivatives(linear, activations)
    deviation = peers._deviation(linear, activations, exact, 8)
    assert deviation < 1e-12
    assert peers._deviation(linear, activations, (exact[0], exact[1], 1.01 * exact[2]), 8) == pytest.approx(0.01 / 1.01)


def test_a_tool_that_is_not_installed_is_a_cell_of_the_table(peers: Any) -> None:
    case = peers.Case("none", torch.nn.Identity(), torch.zeros(1, 3, 2, 4, 4), "", 0)
    tool = peers.Tool("absent", ("gradcam",), lambda *_: importlib.import_module("no_such_tool"), "grid", None)
    truth = peers.Truth({}, None)
    assert peers.compare(tool, "gradcam", case, truth) == (
        None,
        "**ModuleNotFoundError: No module named 'no_such_tool'**",
    )
    assert peers.compare(tool, "layercam", case, truth) == (None, "–")


@pytest.mark.slow
def test_vidcam_agrees_with_the_small_case(peers: Any) -> None:
    case = peers.cases(large=False)[0]
    truth = peers.derive(case)
    ours = peers.TOOLS["vidcam"]
    for method in ("gradcam", "gradcam++"):
        found, text = peers.compare(ours, method, case, truth)
        assert found is not None
        assert text.startswith("1.000000"), text
    assert peers.pearson(truth.maps["gradcam"], truth.maps["gradcam++"]) < 0.7  # or the case would show nothing
