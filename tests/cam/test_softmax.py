"""The softmax form: small numbers, three derivatives of the probability, confident predictions, poles."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.helpers import oracle
from tests.helpers.nets import HiddenHead, random_clip
from tests.helpers.softmax import GRID, hidden_head, linear, of_head, scores_of, some_activations, zero
from vidcam.cam.methods import combine
from vidcam.cam.softmax import Products, SoftmaxForm, probability_cotangent, softmax_form
from vidcam.cam.weights import GUARD, gradcam_pp_weights
from vidcam.errors import InputError, NonFiniteError, ShapeError


def with_rest(head: HiddenHead, activations: Tensor, target: int, rest: float) -> HiddenHead:
    """Shift the target's bias of the head so that 1 - p is `rest`."""
    scores = head.head(activations)[0].detach()
    others = torch.cat([scores[:target], scores[target + 1 :]]).logsumexp(0)
    head.out.bias.data[target] += others - scores[target] + math.log1p(-rest) - math.log(rest)
    return head


def assert_same(form: SoftmaxForm, other: SoftmaxForm) -> None:
    assert torch.equal(form.weights, other.weights)
    assert torch.equal(form.clamped, other.clamped)


def test_two_classes() -> None:
    """1 - p = 3/4, g the gradient of S_0 - S_1: Y″ = g²(2q - 1) = g²/2, Y‴ = g³(6q² - 6q + 1) = -g³/8."""
    a = torch.tensor([1.0, 3.0, 0.0], dtype=torch.float64).view(1, 1, 1, 1, 3)  # ΣA = 4
    gradients = torch.zeros(1, 2, 1, 1, 1, 3, dtype=torch.float64)
    gradients[0, 0, 0, 0, 0] = torch.tensor([1.5, 0.0, -1.0])
    gradients[0, 1, 0, 0, 0] = torch.tensor([0.5, -0.5, 0.0])  # g = 1, 1/2, -1
    form = softmax_form(a, scores_of(1 / 4, 3 / 4), zero(), linear(gradients))
    expected = 1 / (2 - 4 / 4) * 1 + 1 / (2 - 2 / 4) * 0.5
    torch.testing.assert_close(form.weights, torch.tensor([[expected]], dtype=torch.float64), rtol=1e-12, atol=0)
    assert form.clamped.tolist() == [0.0]


def test_three_classes() -> None:
    """u = (1/2, 1/2), h = (-1, -3), q = 1/2: n = (-2, 5, -14), so Y′ = 2, Y″ = 4 - 5, Y‴ = 12 - 30 + 14."""
    a = torch.full((1, 1, 2), 1.0, dtype=torch.float64)  # ΣA = 2
    gradients = torch.tensor([[3.0, 0.0], [2.0, 0.0], [0.0, 0.0]], dtype=torch.float64).view(1, 3, 1, 2)
    form = softmax_form(a, scores_of(1 / 2, 1 / 4, 1 / 4), zero(), linear(gradients))
    expected = -1 / (2 * -1 + 2 * -4) * 2
    torch.testing.assert_close(form.weights, torch.tensor([[expected]], dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("scale", [1.0, 8.0])
@pytest.mark.parametrize("target", range(4))
def test_equals_three_derivatives_of_the_probability(target: int, scale: float) -> None:
    head, activations = hidden_head(scale=scale), some_activations(2)
    scores, products = of_head(head, activations)
    form = softmax_form(activations, scores, torch.tensor([target, target]), products)
    assert form.clamped.tolist() == [0.0, 0.0]
    for n in range(2):
        expected = oracle.softmax_pp_weights(lambda leaf: head.head(leaf.unsqueeze(0))[0], activations[n], target)
        assert (form.weights[n] - expected).abs().max() <= 1e-9 * expected.abs().max()


@pytest.mark.parametrize("rest", [0.3, 1e-8, 1e-30])
def test_equals_120_digit_arithmetic(rest: float) -> None:
    head, activations = hidden_head(scale=4.0), some_activations(1) + 0.1  # positive: the head begins with a ReLU
    head.hidden.bias.data.zero_()
    with_rest(head, activations, 2, rest)
    scores, products = of_head(head, activations)
    form = softmax_form(activations, scores, torch.tensor([2]), products)
    expected = oracle.softmax_pp_weights_in_decimals(
        head.hidden.weight.detach(), head.out.weight.detach(), head.out.bias.detach(), activations[0], 2
    )
    assert expected.abs().max() > 0.01
    assert (form.weights[0] - expected).abs().max() <= 1e-9 * expected.abs().max()


@pytest.mark.parametrize("rest", [0.5, 1e-8, 1e-30])
def test_float32_is_precise_for_a_confident_model(rest: float) -> None:
    head, activations = hidden_head(classes=9, scale=4.0), some_activations(1)
    with_rest(head, activations, 5, rest)
    target = torch.tensor([5])
    exact = softmax_form(activations, *_scores_first(head, activations, target))
    head.float()
    single = softmax_form(activations.float(), *_scores_first(head, activations.float(), target))
    assert single.weights.dtype == torch.float32
    assert exact.weights.dtype == torch.float64
    expected, volume = combine(exact.weights, activations), combine(single.weights, activations.float())
    assert expected.max() > 0
    assert (volume - expected).abs().max() <= 1e-3 * expected.max()


def _scores_first(head: HiddenHead, activations: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Products]:
    scores, products = of_head(head, activations)
    return scores, target, products


def test_equals_eq_19_for_an_improbable_class() -> None:
    """p = e^-40 with the other class flat: Y is exp(S) up to a factor, and the factor p·(1 - p) is left out."""
    a = random_clip(1, 3, *GRID, seed=1, dtype=torch.float64).relu()
    gradients = torch.zeros(1, 2, 3, *GRID, dtype=torch.float64)
    gradients[:, 0] = random_clip(1, 3, *GRID, seed=2, dtype=torch.float64)
    form = softmax_form(a, torch.tensor([[-40.0, 0.0]]), zero(), linear(gradients))
    torch.testing.assert_close(form.weights, gradcam_pp_weights(a, gradients[:, 0]), rtol=1e-12, atol=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e12])
def test_no_overflow_in_float32(scale: float) -> None:
    """Scale A up and g down: α stays equal, which cubes of 1e-30 or an epsilon would break."""
    a = random_clip(1, 3, *GRID, seed=1).relu()
    gradients = random_clip(1, 4, 3, *GRID, seed=2)
    scores = random_clip(1, 4)
    base = softmax_form(a, scores, zero(), linear(gradients)).weights
    scaled = softmax_form(a / scale, scores, zero(), linear(gradients * scale)).weights
    torch.testing.assert_close(scaled / scale, base, rtol=1e-5, atol=0)


@pytest.mark.parametrize("tail", [0.0, 0.2])
def test_a_batch_equals_single_clips(tail: float) -> None:
    head, activations = hidden_head(classes=6, scale=8.0), some_activations(3)
    classes = torch.tensor([4, 0, 4])
    scores, products = of_head(head, activations)
    together = softmax_form(activations, scores, classes, products, tail=tail)
    for n in range(3):
        one = slice(n, n + 1)
        alone = softmax_form(activations[one], *_scores_first(head, activations[one], classes[one]), tail=tail)
        torch.testing.assert_close(together.weights[one], alone.weights, rtol=1e-10, atol=1e-14)


def test_a_pole_is_clamped_and_counted() -> None:
    """As in test_two_classes, the denominator is 2 - ΣA·g/4: 0 at ΣA·g = 8, where it is kept at 1e-4·(2 + 2)."""
    a = torch.tensor([8.0, 0.0, 0.0, 0.0], dtype=torch.float64).view(1, 1, 4)
    gradients = torch.zeros(1, 2, 1, 4, dtype=torch.float64)
    gradients[0, 0, 0] = torch.tensor([1.0, 0.5, 0.0, -1.0])
    form = softmax_form(a, scores_of(1 / 4, 3 / 4), zero(), linear(gradients))
    assert form.clamped.tolist() == [0.5]  # one of the two cells with Y′ > 0
    pole = float(form.weights) - 0.5 / (2 - 8 * 0.5 / 4)
    assert abs(pole) == pytest.approx(1 / (4 * GUARD), rel=1e-9)


def test_both_sides_of_a_pole_keep_their_sign() -> None:
    gradients = torch.zeros(1, 2, 1, 1, dtype=torch.float64)
    gradients[0, 0] = 1.0
    for total, sign in ((8 - 1e-6, 1), (8 + 1e-6, -1)):
        a = torch.full((1, 1, 1), total, dtype=torch.float64)
        form = softmax_form(a, scores_of(1 / 4, 3 / 4), zero(), linear(gradients))
        assert float(form.weights) == pytest.approx(sign / (4 * GUARD), rel=1e-4)
        assert form.clamped.tolist() == [1.0]


def test_alpha_is_zero_at_the_inflection() -> None:
    """Two classes at p = 1/2: Y″ = 0 and Y‴ != 0, so eq. 10 gives 0. If ΣA = 0 too, 0/0 counts as 0."""
    gradients = random_clip(1, 2, 2, 5, dtype=torch.float64)
    a = torch.stack([torch.ones(5), torch.zeros(5)]).unsqueeze(0).double()
    form = softmax_form(a, torch.zeros(1, 2), zero(), linear(gradients))
    assert form.weights.tolist() == [[0.0, 0.0]]
    assert form.clamped.tolist() == [0.0]


def test_no_gradient_gives_no_weight() -> None:
    form = softmax_form(torch.ones(1, 2, 3), torch.zeros(1, 3), zero(), linear(torch.zeros(1, 3, 2, 3)))
    assert form.weights.tolist() == [[0.0, 0.0]]
    assert form.clamped.tolist() == [0.0]


def test_permuted_channels_give_permuted_weights() -> None:
    a, gradients = random_clip(2, 4, *GRID, seed=1).relu(), random_clip(2, 3, 4, *GRID, seed=2)
    scores, classes, order = random_clip(2, 3), torch.tensor([0, 2]), torch.tensor([2, 0, 3, 1])
    form = softmax_form(a, scores, classes, linear(gradients))
    permuted = softmax_form(a[:, order], scores, classes, linear(gradients[:, :, order]))
    torch.testing.assert_close(permuted.weights, form.weights[:, order])


def test_video_of_one_frame_equals_the_image() -> None:
    a, gradients = random_clip(2, 4, 3, 5, seed=1).relu(), random_clip(2, 3, 4, 3, 5, seed=2)
    scores, classes = random_clip(2, 3), torch.tensor([0, 2])
    image = softmax_form(a, scores, classes, linear(gradients))
    video = softmax_form(a.unsqueeze(2), scores, classes, linear(gradients.unsqueeze(3)))
    assert_same(video, image)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    """ΣA = 100,352 overflows float16, and cubes of gradients of 1e-3 underflow."""
    a = torch.full((1, 1, 8, 28, 28), 16.0, dtype=dtype)
    gradients = (random_clip(1, 3, 1, 8, 28, 28) * 1e-3).to(dtype)
    scores = torch.tensor([[9.0, 1.0, 0.0]], dtype=dtype)
    form = softmax_form(a, scores, zero(), linear(gradients))
    exact = softmax_form(a.double(), scores.double(), zero(), linear(gradients.double()))
    assert form.weights.dtype == torch.float32
    assert exact.weights.abs().max() > 0
    # products in half precision have lost digits already
    halved = softmax_form(a.double(), scores.double(), zero(), lambda c: linear(gradients)(c).double())
    torch.testing.assert_close(form.weights.double(), halved.weights, rtol=1e-6, atol=0)


def test_inputs_do_not_change() -> None:
    head, activations = hidden_head(), some_activations(1)
    scores, products = of_head(head, activations)
    before, classes = (activations.clone(), scores.detach().clone()), torch.tensor([1])
    form = softmax_form(activations.requires_grad_(), scores, classes, products)
    assert torch.equal(activations, before[0])
    assert torch.equal(scores, before[1])
    assert classes.tolist() == [1]
    assert not form.weights.requires_grad


def test_cotangent_of_a_small_probability() -> None:
    rows = probability_cotangent(
        torch.cat([scores_of(1 / 4, 3 / 4, 1e-300), scores_of(0.2, 0.5, 0.3)]), zero().expand(2)
    )
    expected = torch.tensor([[3 / 16, -3 / 16, 0.0], [0.16, -0.1, -0.06]], dtype=torch.float64)
    torch.testing.assert_close(rows, expected, rtol=1e-12, atol=1e-16)


def test_cotangent_of_a_probability_is_its_derivative() -> None:
    scores, classes = random_clip(3, 6, dtype=torch.float64).requires_grad_(), torch.tensor([5, 0, 2])
    total = torch.softmax(scores, dim=1).gather(1, classes.unsqueeze(1)).sum()
    expected = torch.autograd.grad(total, scores)[0]
    torch.testing.assert_close(probability_cotangent(scores, classes), expected, rtol=1e-12, atol=1e-16)


def test_cotangent_is_precise_if_the_probability_rounds_to_1() -> None:
    rows = probability_cotangent(torch.tensor([[50.0, 0.0, 0.0]]), zero())
    small = math.exp(-50)
    expected = torch.tensor([[2 * small, -small, -small]], dtype=torch.float64) / (1 + 2 * small) ** 2
    assert rows.dtype == torch.float64
    torch.testing.assert_close(rows, expected, rtol=1e-12, atol=0)


def test_invalid_arguments() -> None:
    a, scores, products = torch.ones(1, 2, 3), torch.zeros(1, 4), linear(torch.zeros(1, 4, 2, 3))
    with pytest.raises(ShapeError, match=r"scores must be \(N, K\) with K >= 2"):
        softmax_form(a, scores[:, :1], zero(), products)
    with pytest.raises(ShapeError, match=r"classes must be \(N,\), got .*classes.shape = torch.Size\(\[2\]\)"):
        softmax_form(a, scores, torch.tensor([0, 1]), products)
    with pytest.raises(ShapeError, match=r"scores must be \(N, K\)"):
        probability_cotangent(scores[0], zero())
    with pytest.raises(ShapeError, match=r"activations must be \(N, D, \.\.\.\) for the N clips"):
        softmax_form(a.expand(2, -1, -1), scores, zero(), products)
    with pytest.raises(ShapeError, match=r"products must return .*torch.Size\(\[3, 2, 3\]\)"):
        softmax_form(a, scores, zero(), lambda cotangents: products(cotangents)[:, 0])
    with pytest.raises(InputError, match="softmax_chunk is 0"):
        softmax_form(a, scores, zero(), products, chunk=0)
    for tail in (-0.1, 1.0, math.nan):
        with pytest.raises(InputError, match=r"softmax_tail is .*, expected 0 <= softmax_tail < 1"):
            softmax_form(a, scores, zero(), products, tail=tail)
    with pytest.raises(NonFiniteError, match=r"the weights of gradcam.*softmax contain NaN or infinity"):
        softmax_form(a, scores, zero(), lambda cotangents: products(cotangents) * math.nan)
