"""Channel weights: small numbers, and mistakes of published code. The papers' own examples are in `test_papers`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers import oracle
from vidcam.cam import weights
from vidcam.cam.methods import combine
from vidcam.cam.weights import (
    GUARD,
    MAX_POSITIONS,
    audit_alpha,
    clamped_denominator,
    correlation,
    gradcam_plus_weights,
    gradcam_pp_signed_weights,
    gradcam_pp_weights,
    gradcam_weights,
    is_clamped,
)
from vidcam.errors import InputError, ShapeError

Weights = Callable[[Tensor, Tensor], Tensor]

WEIGHTS: list[Weights] = [gradcam_weights, gradcam_plus_weights, gradcam_pp_weights, gradcam_pp_signed_weights]


def _by_hand() -> tuple[Tensor, Tensor]:
    a = torch.tensor([[1.0, 2.0], [0.0, 3.0]]).view(1, 2, 1, 1, 2)  # ΣA = 3, 3
    g = torch.tensor([[1.0, -1.0], [0.5, 0.0]]).view(1, 2, 1, 1, 2)
    return a, g


def test_weights_of_two_channels() -> None:
    a, g = _by_hand()
    assert gradcam_weights(a, g).tolist() == [[0.0, 0.25]]
    assert gradcam_plus_weights(a, g).tolist() == [[0.5, 0.25]]
    expected = torch.tensor([[1 / (2 + 3 * 1), 0.5 / (2 + 3 * 0.5)]])
    torch.testing.assert_close(gradcam_pp_weights(a, g), expected)
    signed = torch.tensor([[1 / (2 + 3) - 1 / (2 - 3), 0.5 / (2 + 3 * 0.5)]])
    torch.testing.assert_close(gradcam_pp_signed_weights(a, g), signed)


def test_weights_with_lambda_2() -> None:
    """With exp(λS) the score and g are λ times as large, up to one factor λ of the whole map (EQ 12)."""
    a, g = _by_hand()
    torch.testing.assert_close(gradcam_pp_weights(a, g, score_scale=4.0), torch.tensor([[1 / 14, 0.5 / 8]]))
    torch.testing.assert_close(
        gradcam_pp_signed_weights(a, g, score_scale=4.0), torch.tensor([[1 / 14 - 1 / (2 - 12), 0.5 / 8]])
    )
    torch.testing.assert_close(gradcam_pp_weights(a, g, score_scale=4.0), gradcam_pp_weights(a, 4 * g) / 4)


def test_lambda_near_0_gives_gradcam_plus() -> None:
    generator = torch.Generator().manual_seed(2)
    a = torch.rand(2, 4, 2, 3, 3, generator=generator, dtype=torch.float64)
    g = torch.randn(2, 4, 2, 3, 3, generator=generator, dtype=torch.float64)
    half_cells = 2 * 3 * 3 / 2
    for score_scale, rtol in ((1e-9, 1e-7), (0.0, 1e-15)):
        positive, signed = (
            gradcam_pp_weights(a, g, score_scale=score_scale),
            gradcam_pp_signed_weights(a, g, score_scale=score_scale),
        )
        torch.testing.assert_close(positive, half_cells * gradcam_plus_weights(a, g), rtol=rtol, atol=0)
        torch.testing.assert_close(signed, half_cells * gradcam_weights(a, g), rtol=10 * rtol, atol=1e-9)
    assert not torch.allclose(
        gradcam_pp_weights(a, g, score_scale=1e-2), half_cells * gradcam_plus_weights(a, g), rtol=1e-3
    )


@pytest.mark.parametrize("score_scale", [-1.0, -1e-300, math.inf, math.nan])
def test_lambda_must_be_finite_and_not_negative(score_scale: float) -> None:
    a, g = _by_hand()
    for function in (gradcam_pp_weights, gradcam_pp_signed_weights):
        with pytest.raises(InputError, match=r"score_scale is .*, expected a finite number >= 0"):
            function(a, g, score_scale=score_scale)


def test_signed_weights_equal_three_derivatives_of_the_exponential() -> None:
    """Eq. 30 without relu, on a linear head with gradients of both signs."""
    g = torch.tensor([[0.4, -0.3, 0.0], [-0.9, 0.2, 0.7]], dtype=torch.float64).view(2, 1, 1, 3)
    a = torch.tensor([[1.0, 0.5, 2.0], [0.0, 3.0, 0.25]], dtype=torch.float64).view(2, 1, 1, 3)
    first, second, third = oracle.three_derivatives(lambda leaf: (g * leaf).sum(), a)
    totals = a.flatten(1).sum(dim=1).view(2, 1, 1, 1)
    expected = (second / (2 * second + totals * third)).nan_to_num(0.0) * first / torch.exp((g * a).sum())
    weights = gradcam_pp_signed_weights(a.unsqueeze(0), g.unsqueeze(0))
    torch.testing.assert_close(weights, expected.flatten(1).sum(dim=1).unsqueeze(0), rtol=1e-12, atol=0)


def test_signed_weights_are_clamped_at_a_pole() -> None:
    a = torch.tensor([2.0, 0.0]).view(1, 1, 2)
    g = torch.tensor([-1.0, 0.0]).view(1, 1, 2)  # A >= 0, and yet ΣA·g = -2
    torch.testing.assert_close(gradcam_pp_signed_weights(a, g), torch.tensor([[-1 / (4 * GUARD)]]))


@pytest.mark.parametrize("weights", WEIGHTS)
def test_permuted_channels_give_permuted_weights(weights: Weights) -> None:
    generator = torch.Generator().manual_seed(4)
    a, g = torch.rand(2, 5, 2, 3, 4, generator=generator), torch.randn(2, 5, 2, 3, 4, generator=generator)
    order = torch.tensor([3, 1, 0, 4, 2])
    torch.testing.assert_close(weights(a[:, order], g[:, order]), weights(a, g)[:, order])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_16_bit_inputs_stay_finite(weights: Weights, dtype: torch.dtype) -> None:
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
    """Scale A up and g down: ΣA·g and α stay equal, which an absolute epsilon would break."""
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


def test_clamped_denominator_at_a_pole() -> None:
    denominator, hit = clamped_denominator(torch.tensor([-2.0, -2.0 + 1e-6, -2.0 - 1e-6, 0.0, 5.0]))
    floor = 4 * GUARD
    torch.testing.assert_close(denominator, torch.tensor([floor, floor, -floor, 2.0, 7.0]), rtol=1e-5, atol=1e-9)
    assert hit.tolist() == [True, True, True, False, False]


def test_is_clamped_equals_clamped_denominator() -> None:
    product = torch.cat([-2 + torch.linspace(-1e-3, 1e-3, 2001), torch.tensor([0.0, 7.0, float("inf"), -float("inf")])])
    assert 790 < int(is_clamped(product).sum()) < 810
    assert torch.equal(is_clamped(product), clamped_denominator(product)[1])


def test_plus_plus_is_finite_at_a_pole() -> None:
    a = torch.tensor([-2.0, 0.0]).view(1, 1, 2)
    g = torch.tensor([1.0, 1.0]).view(1, 1, 2)  # ΣA·g = -2
    assert torch.isfinite(gradcam_pp_weights(a, g)).all()


@pytest.mark.parametrize("weights", WEIGHTS)
def test_shapes_must_agree(weights: object) -> None:
    assert callable(weights)
    with pytest.raises(ShapeError, match=r"same shape .* got activations.shape = torch.Size\(\[1, 2, 3\]\)"):
        weights(torch.rand(1, 2, 3), torch.rand(1, 2, 4))
    with pytest.raises(ShapeError, match=r"the same shape \(N, D, \.\.\.\)"):
        weights(torch.rand(1, 2), torch.rand(1, 2))


# ---- statistics of α


def test_audit_of_two_channels() -> None:
    a = torch.tensor([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]]).view(1, 2, 1, 1, 3)  # ΣA = 3, 4
    g = torch.tensor([[1.0, -1.0, 0.0], [0.5, 2.0, 0.0]]).view(1, 2, 1, 1, 3)
    volumes = [combine(weights(a, g), a) for weights in (gradcam_plus_weights, gradcam_pp_weights)]
    audit = audit_alpha(a, g, *volumes)
    assert audit.positive[0, [0, 2, 4]].tolist() == pytest.approx([1 / 10, 1 / 5, 1 / 4])
    assert audit.nonzero[0, [0, 1, 3, 4]].tolist() == pytest.approx([-1, 1 / 10, 1 / 5, 1 / 4])
    assert audit.product[0, [0, 1, 3, 4]].tolist() == pytest.approx([-3, 2, 3, 8])
    assert audit.clamped.tolist() == [0.0]
    assert audit.uniform.tolist() == [False]
    expected = np.corrcoef(volumes[0].flatten().numpy(), volumes[1].flatten().numpy())[0, 1]
    np.testing.assert_allclose(audit.agreement, [expected])


def test_clamped_share_counts_positive_gradients() -> None:
    a = torch.tensor([-2.0, 0.0, 0.0]).view(1, 1, 3)  # ΣA = -2
    g = torch.tensor([1.0, 0.5, -1.0]).view(1, 1, 3)  # ΣA·g = -2, -1, 2
    volume = torch.zeros(1, 3)
    audit = audit_alpha(a, g, volume, volume)
    assert audit.clamped.tolist() == [0.5]
    assert audit.positive[0].tolist() == [1.0, 1.0, 1.0, np.inf, np.inf]  # unclamped: the pole itself


def test_audit_of_a_clip_without_gradient_is_nan() -> None:
    zero = torch.zeros(1, 2, 1, 2, 2)
    audit = audit_alpha(zero, zero, zero[:, 0], zero[:, 0])
    assert np.isnan(audit.positive).all()
    assert np.isnan(audit.agreement).all()
    assert audit.clamped.tolist() == [0.0]


def test_correlation() -> None:
    first = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    second = np.array([[2.0, 4.0, 6.0], [3.0, 2.0, 1.0], [0.0, 1.0, 2.0]])
    np.testing.assert_allclose(correlation(first, second), [1.0, -1.0, np.nan], atol=1e-12)


def test_quartiles_come_from_the_whole_clip() -> None:
    """g increases from the first to the last position; the first eighth alone has other quartiles."""
    count = 8 * MAX_POSITIONS
    g = torch.linspace(0.001, 8, count, dtype=torch.float64).view(1, 1, 8, 256, -1)
    a = torch.zeros_like(g)
    a[0, 0, 0, 0, 0] = 1.0
    audit = audit_alpha(a, g, g[:, 0], g[:, 0])
    assert audit.product[0].tolist() == pytest.approx([0.001, 2, 4, 6, 8], rel=1e-3)
    assert audit.positive[0].tolist() == pytest.approx([1 / 10, 1 / 8, 1 / 6, 1 / 4, 1 / 2.001], rel=1e-3)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 99, 1000])
def test_quartiles_equal_numpys_nearest(count: int) -> None:
    g = torch.randn(1, 1, count, 1, 1, generator=torch.Generator().manual_seed(count))
    product = audit_alpha(torch.ones_like(g) / count, g, g[:, 0], g[:, 0]).product[0]
    sums = g.numpy() * float((torch.ones_like(g) / count).sum())
    expected = np.quantile(sums, (0, 0.25, 0.5, 0.75, 1), method="nearest")
    assert product.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_extremes_are_taken_over_all_positions() -> None:
    g = torch.full((1, 1, 2, 512, 512), 1.0)
    a = torch.zeros_like(g)
    a[0, 0, 0, 0, 0] = 1.0
    g[0, 0, 0, 0, 1], g[0, 0, 1, 7, 3] = 0.25, 6.0  # neither on the subsample's grid
    assert g.numel() >= 2 * MAX_POSITIONS
    assert audit_alpha(a, g, g[:, 0], g[:, 0]).product[0].tolist() == [0.25, 1.0, 1.0, 1.0, 6.0]


def test_denominator_is_clamped_at_1e_4() -> None:
    """Floor 1e-4 · (2 + |ΣA·g|), which is 4e-4 near the pole."""
    a = torch.tensor([-1.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64).view(1, 1, 5)
    g = torch.tensor([2 + 3e-4, 2 - 3e-4, 2 + 5e-4, 2 - 5e-4, 1.0], dtype=torch.float64).view(1, 1, 5)
    assert audit_alpha(a, g, g[:, 0], g[:, 0]).clamped.tolist() == pytest.approx([2 / 5])


def test_agreement_compares_the_two_volumes() -> None:
    zero = torch.zeros(3, 1, 1, 2, 2)
    plus = torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 3).view(3, 1, 2, 2)
    plus_plus = torch.tensor([[4.0, 3.0, 2.0, 1.0], [2.0, 4.0, 6.0, 8.0], [1.0, 0.0, 0.0, 1.0]]).view(3, 1, 2, 2)
    np.testing.assert_allclose(audit_alpha(zero, zero, plus, plus_plus).agreement, [-1.0, 1.0, 0.0], atol=1e-12)


def test_uniform_is_per_clip() -> None:
    g = torch.ones(2, 2, 1, 2, 2)
    g[:, 1] = 3.0
    g[1, 1, 0, 1, 1] = 3.5
    assert audit_alpha(g, g, g[:, 0], g[:, 0]).uniform.tolist() == [True, False]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.4, 1.0])
def test_the_five_numbers_of_another_device_are_those_of_the_cpu(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    values, mask = torch.randn(3, 4001, generator=generator), torch.rand(3, 4001, generator=generator) < share
    values[0, :5] = torch.inf
    expected = weights._five_numbers(values, mask)
    found = weights._five_numbers_by_torch(values, mask)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found).all() == (share == 0.0)
