"""Channel weights: numbers by hand, the paper's own example, traps of published code."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vidcam.cam.weights import (
    GUARD,
    alpha,
    gradcam_plus_weights,
    gradcam_pp_weights,
    gradcam_weights,
    guarded_denominator,
)
from vidcam.errors import ShapeError

WEIGHTS = [gradcam_weights, gradcam_plus_weights, gradcam_pp_weights]


def _by_hand() -> tuple[Tensor, Tensor]:
    a = torch.tensor([[1.0, 2.0], [0.0, 3.0]]).view(1, 2, 1, 1, 2)  # ΣA = 3, 3
    g = torch.tensor([[1.0, -1.0], [0.5, 0.0]]).view(1, 2, 1, 1, 2)
    return a, g


def test_by_hand() -> None:
    a, g = _by_hand()
    assert gradcam_weights(a, g).tolist() == [[0.0, 0.25]]
    assert gradcam_plus_weights(a, g).tolist() == [[0.5, 0.25]]
    expected = torch.tensor([[1 / (2 + 3 * 1), 0.5 / (2 + 3 * 0.5)]])
    torch.testing.assert_close(gradcam_pp_weights(a, g), expected)


def test_alpha_by_hand() -> None:
    a, g = _by_hand()
    expected = torch.tensor([[1 / 5, 1 / (2 - 3)], [1 / 3.5, 0.0]]).view(1, 2, 1, 1, 2)
    torch.testing.assert_close(alpha(a, g), expected)


def test_the_papers_figure_2() -> None:
    """Maps with 15, 4 and 2 active cells of 80, gradient 1 where active (GC++ fig. 2)."""
    a = torch.zeros(1, 3, 80)
    for channel, active in enumerate((15, 4, 2)):
        a[0, channel, :active] = 1.0
    torch.testing.assert_close(gradcam_weights(a, a), torch.tensor([[15 / 80, 4 / 80, 2 / 80]]))
    torch.testing.assert_close(gradcam_pp_weights(a, a), torch.tensor([[15 / 17, 4 / 6, 2 / 4]]))


@pytest.mark.parametrize("weights", WEIGHTS)
def test_video_of_one_frame_equals_the_image(weights: object) -> None:
    assert callable(weights)
    generator = torch.Generator().manual_seed(0)
    a, g = torch.rand(2, 3, 4, 5, generator=generator), torch.randn(2, 3, 4, 5, generator=generator)
    torch.testing.assert_close(weights(a.unsqueeze(2), g.unsqueeze(2)), weights(a, g), rtol=0, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-12, 1e-4, 1.0, 1e4])
def test_plus_plus_has_no_hidden_epsilon(scale: float) -> None:
    """With A scaled up as g is scaled down, ΣA·g and with it α stay the same: an absolute epsilon would show."""
    generator = torch.Generator().manual_seed(1)
    a, g = torch.rand(1, 4, 2, 3, 3, generator=generator), torch.randn(1, 4, 2, 3, 3, generator=generator)
    base = gradcam_pp_weights(a, g)
    torch.testing.assert_close(gradcam_pp_weights(a / scale, g * scale) / scale, base, rtol=1e-5, atol=0)


def test_half_precision_is_summed_in_float32() -> None:
    a = torch.full((1, 1, 8, 28, 28), 16.0, dtype=torch.float16)  # ΣA = 100,352 overflows float16
    g = torch.full_like(a, 1e-4)
    weights = gradcam_pp_weights(a, g)
    assert weights.dtype == torch.float32
    step = float(torch.tensor(1e-4, dtype=torch.float16))
    torch.testing.assert_close(weights, torch.tensor([[6272 * step / (2 + 100352 * step)]]), rtol=1e-5, atol=0)


def test_float64_stays() -> None:
    a = torch.rand(1, 2, 3, 3, dtype=torch.float64)
    assert all(weights(a, a).dtype == torch.float64 for weights in WEIGHTS)


def test_guard_keeps_away_from_the_pole_and_says_where() -> None:
    denominator, hit = guarded_denominator(torch.tensor([-2.0, -2.0 + 1e-6, -2.0 - 1e-6, 0.0, 5.0]))
    floor = 4 * GUARD
    torch.testing.assert_close(denominator, torch.tensor([floor, floor, -floor, 2.0, 7.0]), rtol=1e-5, atol=1e-9)
    assert hit.tolist() == [True, True, True, False, False]


def test_plus_plus_is_finite_at_a_pole() -> None:
    a = torch.tensor([-2.0, 0.0]).view(1, 1, 2)
    g = torch.tensor([1.0, 1.0]).view(1, 1, 2)  # ΣA·g = -2
    assert torch.isfinite(gradcam_pp_weights(a, g)).all()


@pytest.mark.parametrize("weights", WEIGHTS)
def test_shapes_must_agree(weights: object) -> None:
    assert callable(weights)
    with pytest.raises(ShapeError, match=r"one shape .* got activations.shape = torch.Size\(\[1, 2, 3\]\)"):
        weights(torch.rand(1, 2, 3), torch.rand(1, 2, 4))
    with pytest.raises(ShapeError, match="with a grid"):
        weights(torch.rand(1, 2), torch.rand(1, 2))
