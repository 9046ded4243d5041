"""Channel weights: numbers by hand, the paper's own example, traps of published code."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.helpers import oracle
from vidcam.cam.weights import (
    GUARD,
    alpha,
    gradcam_plus_weights,
    gradcam_pp_signed_weights,
    gradcam_pp_weights,
    gradcam_weights,
    guarded_denominator,
    is_guarded,
)
from vidcam.errors import InputError, ShapeError

Weights = Callable[[Tensor, Tensor], Tensor]

WEIGHTS: list[Weights] = [gradcam_weights, gradcam_plus_weights, gradcam_pp_weights, gradcam_pp_signed_weights]


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
    signed = torch.tensor([[1 / (2 + 3) - 1 / (2 - 3), 0.5 / (2 + 3 * 0.5)]])
    torch.testing.assert_close(gradcam_pp_signed_weights(a, g), signed)


def test_lambda_by_hand() -> None:
    """exp(λS): the score and with it g are λ times as large, but for one factor λ of the whole map (EQ 12)."""
    a, g = _by_hand()
    torch.testing.assert_close(gradcam_pp_weights(a, g, lam=4.0), torch.tensor([[1 / 14, 0.5 / 8]]))
    torch.testing.assert_close(
        gradcam_pp_signed_weights(a, g, lam=4.0), torch.tensor([[1 / 14 - 1 / (2 - 12), 0.5 / 8]])
    )
    expected = torch.tensor([[1 / 14, 1 / (2 - 12)], [1 / 8, 0.0]]).view(1, 2, 1, 1, 2)
    torch.testing.assert_close(alpha(a, g, lam=4.0), expected)
    torch.testing.assert_close(gradcam_pp_weights(a, g, lam=4.0), gradcam_pp_weights(a, 4 * g) / 4)


def test_lambda_towards_0_gives_gradcam_plus() -> None:
    generator = torch.Generator().manual_seed(2)
    a = torch.rand(2, 4, 2, 3, 3, generator=generator, dtype=torch.float64)
    g = torch.randn(2, 4, 2, 3, 3, generator=generator, dtype=torch.float64)
    half_cells = 2 * 3 * 3 / 2
    for lam, rtol in ((1e-9, 1e-7), (0.0, 1e-15)):
        positive, signed = gradcam_pp_weights(a, g, lam=lam), gradcam_pp_signed_weights(a, g, lam=lam)
        torch.testing.assert_close(positive, half_cells * gradcam_plus_weights(a, g), rtol=rtol, atol=0)
        torch.testing.assert_close(signed, half_cells * gradcam_weights(a, g), rtol=10 * rtol, atol=1e-9)
    assert alpha(a, g, lam=0.0).eq(0.5).all()
    assert not torch.allclose(gradcam_pp_weights(a, g, lam=1e-2), half_cells * gradcam_plus_weights(a, g), rtol=1e-3)


@pytest.mark.parametrize("lam", [-1.0, -1e-300, math.inf, math.nan])
def test_lambda_must_be_a_number_from_0_on(lam: float) -> None:
    a, g = _by_hand()
    for function in (gradcam_pp_weights, gradcam_pp_signed_weights, alpha):
        with pytest.raises(InputError, match=r"lam is .*, expected a finite number >= 0"):
            function(a, g, lam=lam)


def test_signed_weights_equal_three_derivatives_of_the_exponential() -> None:
    """Eq. 30 without relu, on a linear head with gradients of both signs."""
    g = torch.tensor([[0.4, -0.3, 0.0], [-0.9, 0.2, 0.7]], dtype=torch.float64).view(2, 1, 1, 3)
    a = torch.tensor([[1.0, 0.5, 2.0], [0.0, 3.0, 0.25]], dtype=torch.float64).view(2, 1, 1, 3)
    first, second, third = oracle.three_derivatives(lambda leaf: (g * leaf).sum(), a)
    totals = a.flatten(1).sum(dim=1).view(2, 1, 1, 1)
    expected = (second / (2 * second + totals * third)).nan_to_num(0.0) * first / torch.exp((g * a).sum())
    weights = gradcam_pp_signed_weights(a.unsqueeze(0), g.unsqueeze(0))
    torch.testing.assert_close(weights, expected.flatten(1).sum(dim=1).unsqueeze(0), rtol=1e-12, atol=0)


def test_signed_weights_are_guarded_at_a_pole() -> None:
    a = torch.tensor([2.0, 0.0]).view(1, 1, 2)
    g = torch.tensor([-1.0, 0.0]).view(1, 1, 2)  # A >= 0, and yet ΣA·g = -2
    torch.testing.assert_close(gradcam_pp_signed_weights(a, g), torch.tensor([[-1 / (4 * GUARD)]]))


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
    torch.testing.assert_close(gradcam_pp_signed_weights(a, a), torch.tensor([[15 / 17, 4 / 6, 2 / 4]]))


def test_figure_2_by_eq_6_weighs_all_three_objects_alike() -> None:
    """Eq. 6 takes α = 1/(active cells): 1, 1, 1. Eq. 19 comes near that as ΣA·g grows, up to the factor 1/λ."""
    a = torch.zeros(1, 3, 80)
    for channel, active in enumerate((15, 4, 2)):
        a[0, channel, :active] = 1.0
    by_eq_6 = (a / a.sum(dim=2, keepdim=True) * a.relu()).sum(dim=2)
    torch.testing.assert_close(by_eq_6, torch.ones(1, 3))
    lam = 1e6
    torch.testing.assert_close(lam * gradcam_pp_weights(a, a, lam=lam), by_eq_6, rtol=1e-5, atol=0)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_channels_may_be_permuted(weights: Weights) -> None:
    generator = torch.Generator().manual_seed(4)
    a, g = torch.rand(2, 5, 2, 3, 4, generator=generator), torch.randn(2, 5, 2, 3, 4, generator=generator)
    order = torch.tensor([3, 1, 0, 4, 2])
    torch.testing.assert_close(weights(a[:, order], g[:, order]), weights(a, g)[:, order])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_narrow_inputs_stay_finite(weights: Weights, dtype: torch.dtype) -> None:
    a, g = torch.full((1, 1, 8, 28, 28), 60.0, dtype=dtype), torch.full((1, 1, 8, 28, 28), 600.0, dtype=dtype)
    result = weights(a, g)
    assert result.dtype == torch.float32
    assert torch.isfinite(result).all()
    assert (result > 0).all()


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


def test_where_the_guard_acts_is_known_without_the_denominator() -> None:
    product = torch.cat([-2 + torch.linspace(-1e-3, 1e-3, 2001), torch.tensor([0.0, 7.0, float("inf"), -float("inf")])])
    assert 790 < int(is_guarded(product).sum()) < 810
    assert torch.equal(is_guarded(product), guarded_denominator(product)[1])


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
