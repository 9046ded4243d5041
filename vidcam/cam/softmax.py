"""Grad-CAM++ of a probability: channel weights from the exact derivatives of Y = softmax(S)_c (GC++ eq. 10, 22–24).

With the plain exp of eq. 19 the other classes play no part; here they do, through g_k = ∂S^k/∂A of every class. Let
p = softmax(S), q = 1 - p_c, h_k = g_k - g_c, u_k = p_k/q for k ≠ c (these add up to 1), and n_j = Σ_{k≠c} u_k·h_k^j,
all elementwise over A. Eq. 22–24 are then, divided by p_c·q,

    Y′ = -n_1        Y″ = 2q·n_1² - n_2        Y‴ = -6q²·n_1³ + 6q·n_1·n_2 - n_3

    w_d = Σ α·relu(Y′),        α = Y″ / (2Y″ + ΣA·Y‴)

Nothing is lost where the model is sure: h_k is differentiated as it stands, u and q come from a float64 log-softmax
without the target, and p_c·q, which may be 1e-30, is left out. α does not depend on it, and a map only by a factor.

The n_j are running sums over the classes, so memory is that of a few tensors like A, not K of them.
GC++ is arXiv:1710.11063. Exact when the head is piecewise linear in A.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcam.cam.weights import at_least_float32, channel_sums, clamped_denominator
from vidcam.errors import InputError, NonFiniteError, ShapeError

Products = Callable[[Tensor], Tensor]
"""Cotangents of the scores (M, N, K) → their vector-Jacobian products at the target layer, (M, N, D, t, h, w)."""


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxForm:
    """Channel weights of the softmax form, and what they left out.

    Attributes:
        weights: (N, D), Σ α·relu(Y′) divided by p_c·(1 - p_c) of the clip; float32 or float64.
        clamped: (N,) float64, share of the positions with Y′ > 0 whose denominator was kept away from a pole.
        tail: (N,) float64, share of the other classes' probability that was left out.
    """

    weights: Tensor
    clamped: Tensor
    tail: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Rivals:
    """The other classes of each clip, the most probable first, the first M of them kept."""

    classes: Tensor  # (N, M)
    shares: Tensor  # u, (N, M) float64; 0 where this clip needs fewer than M
    left_out: Tensor  # (N,) float64


def softmax_form(
    activations: Tensor, scores: Tensor, classes: Tensor, products: Products, *, chunk: int = 32, tail: float = 0.0
) -> SoftmaxForm:
    """Channel weights of Grad-CAM++ with the score passed through softmax.

    A clip's weights do not depend on its batch. The products are asked for along e_k - e_c, in the dtype of the scores;
    rows that a clip does not need are zero.

    Args:
        activations: A, (N, D, t, h, w).
        scores: S, (N, K) finite logits, K >= 2.
        classes: c, (N,) the target class of each clip.
        products: vector-Jacobian products through the head.
        chunk: classes for which products are asked at once.
        tail: the least probable other classes are left out, up to this share of 1 - p_c; 0 keeps every class whose
            share is not 0 in float64.

    Raises:
        ShapeError: shapes do not agree, or there is one class only.
        InputError: chunk < 1, or tail outside [0, 1).
        NonFiniteError: NaN or infinity in the products or the activations.
    """
    _check(activations, scores, classes, chunk=chunk, tail=tail)
    rivals = _rivals(scores, classes, tail)
    moments = torch.zeros((3, *activations.shape), dtype=torch.float64, device=activations.device)
    for cotangents, shares in _requests(scores, classes, rivals, chunk):
        differences = products(cotangents)
        if differences.shape != (len(cotangents), *activations.shape):
            raise ShapeError(
                f"products must return (M, *activations.shape), got {differences.shape = }, {activations.shape = }"
            )
        for share, difference in zip(shares, differences, strict=True):
            _add(moments, _as_column(share, activations), difference.detach().double())
    weights, clamped = _weights(activations, moments, _probability_left(scores, classes))
    if not bool(torch.isfinite(weights).all()):
        raise NonFiniteError(
            "the softmax form's weights contain NaN or infinity, expected finite gradients of every class; check the "
            "weights and the input"
        )
    return SoftmaxForm(weights.to(at_least_float32(activations).dtype), clamped, rivals.left_out)


def probability_cotangent(scores: Tensor, classes: Tensor) -> Tensor:
    """∂p_c/∂S, the one cotangent whose product is the gradient of a probability: p_c·(1 - p_c), and -p_c·p_k elsewhere.

    Args:
        scores: S, (N, K) finite logits, K >= 2.
        classes: c, (N,).

    Returns:
        (N, K) float64, full digits also where p_c rounds to 1; each row adds up to 0.
    """
    _check_scores(scores, classes)
    left = _probability_left(scores, classes)
    column = classes.unsqueeze(1)
    rows = -left.unsqueeze(1) * _rival_log_shares(scores, classes).exp()
    return _probability(scores, classes).unsqueeze(1) * rows.scatter(1, column, left.unsqueeze(1))


def _rivals(scores: Tensor, classes: Tensor, tail: float) -> _Rivals:
    """The shortest list of rivals, by falling probability, that leaves out no more than `tail` of theirs."""
    shares, order = _rival_log_shares(scores, classes).exp().sort(dim=1, descending=True, stable=True)
    rest = shares.flip(1).cumsum(1).flip(1)  # of this class and all that are less probable; small ones added first
    kept = rest > tail
    most = int(kept.sum(dim=1).max())
    left_out = shares.masked_fill(kept, 0.0).flip(1).sum(dim=1)
    return _Rivals(order[:, :most], shares.masked_fill(~kept, 0.0)[:, :most], left_out)


def _requests(scores: Tensor, classes: Tensor, rivals: _Rivals, chunk: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Cotangents e_k - e_c, (M, N, K), and the shares u_k that go with them, (M, N)."""
    for rows, shares in zip(
        torch.split(rivals.classes, chunk, dim=1), torch.split(rivals.shares, chunk, dim=1), strict=True
    ):
        wanted = (shares > 0).T.unsqueeze(2).to(scores.dtype)  # (M, N, 1)
        targets = classes.expand(rows.shape[1], -1).unsqueeze(2)
        cotangents = torch.zeros((*wanted.shape[:2], scores.shape[1]), dtype=scores.dtype, device=scores.device)
        cotangents.scatter_(2, rows.T.unsqueeze(2), wanted)
        cotangents.scatter_(2, targets, -wanted)
        yield cotangents, shares.T


def _add(moments: Tensor, share: Tensor, difference: Tensor) -> None:
    """Add one class to n_1, n_2 and n_3. In float64: cubes of float32 gradients leave the range of float32."""
    term = share
    for moment in moments:
        term = term * difference
        moment.add_(term)


def _weights(activations: Tensor, moments: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Σ α·relu(Y′), (N, D), and the share at the guard, (N,)."""
    first, second, third = _derivatives(moments, _as_column(left, activations))
    product = channel_sums(activations.detach().double()) * third
    # α = Y″/(2Y″ + ΣA·Y‴) with both parts times sgn Y″: the guard on 2 + ΣA·Y‴/Y″ without the division.
    denominator, hit = clamped_denominator(torch.where(second < 0, -product, product), constant=2 * second.abs())
    alpha = torch.where(second == 0, 0.0, second.abs() / denominator)
    weights = (alpha * first.relu()).flatten(2).sum(dim=2)
    positive = (first > 0).flatten(1)
    share = (hit.flatten(1) & positive).sum(dim=1).double() / positive.sum(dim=1).clamp(min=1)
    return weights, share


def _derivatives(moments: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Y′, Y″ and Y‴ divided by p_c·q, of the moments n_1, n_2, n_3 and of q."""
    mean, square, cube = moments
    scaled = left * mean
    return -mean, 2 * scaled * mean - square, 6 * scaled * (square - scaled * mean) - cube


def _rival_log_shares(scores: Tensor, classes: Tensor) -> Tensor:
    """Log of u, (N, K) float64: the softmax without the target, whose own is -inf."""
    return scores.detach().double().scatter(1, classes.unsqueeze(1), -torch.inf).log_softmax(dim=1)


def _log_odds(scores: Tensor, classes: Tensor) -> Tensor:
    """log(p_c / (1 - p_c)), (N,) float64."""
    rows, column = scores.detach().double(), classes.unsqueeze(1)
    return rows.gather(1, column).squeeze(1) - rows.scatter(1, column, -torch.inf).logsumexp(dim=1)


def _probability(scores: Tensor, classes: Tensor) -> Tensor:
    return _log_odds(scores, classes).sigmoid()


def _probability_left(scores: Tensor, classes: Tensor) -> Tensor:
    """1 - p_c without subtracting from 1, (N,) float64."""
    return (-_log_odds(scores, classes)).sigmoid()


def _as_column(values: Tensor, activations: Tensor) -> Tensor:
    return values.to(activations.device).view(-1, *[1] * (activations.ndim - 1))


def _check(activations: Tensor, scores: Tensor, classes: Tensor, *, chunk: int, tail: float) -> None:
    _check_scores(scores, classes)
    if activations.ndim < 3 or activations.shape[0] != scores.shape[0]:
        raise ShapeError(
            f"activations must be (N, D, ...) with a grid for N clips, got {activations.shape = }, {scores.shape = }"
        )
    if chunk < 1:
        raise InputError(f"chunk is {chunk}, expected at least 1 class at once")
    if not 0 <= tail < 1:
        raise InputError(f"tail is {tail}, expected a share of the other classes' probability in [0, 1)")


def _check_scores(scores: Tensor, classes: Tensor) -> None:
    if scores.ndim != 2 or scores.shape[1] < 2 or classes.shape != scores.shape[:1]:
        raise ShapeError(
            f"scores must be (N, K) with at least 2 classes and classes (N,), got {scores.shape = }, {classes.shape = }"
        )
