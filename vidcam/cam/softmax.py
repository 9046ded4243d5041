"""Grad-CAM++ of a probability: channel weights from the exact derivatives of Y = softmax(S)_c (GC++ eq. 10, 22–24).

With the plain exp of eq. 19 the other classes play no part. Here they do, through g_k = ∂S^k/∂A of every class. Let
p = softmax(S), q = 1 - p_c, h_k = g_k - g_c, u_k = p_k/q for k ≠ c (these sum to 1), and n_j = Σ_{k≠c} u_k·h_k^j,
all elementwise over A. Divided by p_c·q, eq. 22–24 are

    Y′ = -n_1        Y″ = 2q·n_1² - n_2        Y‴ = -6q²·n_1³ + 6q·n_1·n_2 - n_3

    w_d = Σ α·relu(Y′),        α = Y″ / (2Y″ + ΣA·Y‴)

No digits are lost where the model is sure: h_k is differentiated directly, u and q come from a float64 log-softmax
without the target, and the factor p_c·q, which may be 1e-30, is left out. It changes a map only by a factor, α not.

The n_j are running sums over the classes: memory is that of a few tensors like A, not of K.
GC++ is arXiv:1710.11063. Exact when the head is piecewise linear in A.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcam.cam.weights import at_least_float32, channel_sums, clamped_denominator
from vidcam.devices import double
from vidcam.errors import InputError, NonFiniteError, ShapeError

Products = Callable[[Tensor], Tensor]
"""Cotangents of the scores (M, N, K) → their vector-Jacobian products at the target layer, (M, N, D, t, h, w)."""


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxForm:
    """Channel weights of the softmax form.

    Attributes:
        weights: (N, D), Σ α·relu(Y′) divided by the clip's p_c·(1 - p_c); float32 or float64.
        clamped: (N,) float64, share of the positions with Y′ > 0 whose denominator was clamped.
    """

    weights: Tensor
    clamped: Tensor


def softmax_form(
    activations: Tensor, scores: Tensor, classes: Tensor, products: Products, *, chunk: int = 32, tail: float = 0.0
) -> SoftmaxForm:
    """Channel weights of Grad-CAM++ with the score passed through softmax.

    A clip's weights do not depend on its batch. `products` is called with directions e_k - e_c in the dtype of the
    scores; directions that a clip does not need are zero.

    Args:
        activations: A, (N, D, t, h, w).
        scores: S, (N, K) finite logits, K >= 2.
        classes: c, (N,) the target class of each clip.
        products: vector-Jacobian products through the head.
        chunk: classes per call of `products`.
        tail: the least probable other classes are left out, up to this share of 1 - p_c; 0 keeps every class whose
            share is above 0 in float64.

    Raises:
        ShapeError: shapes do not agree, or there is only one class.
        InputError: chunk < 1, or tail outside [0, 1).
        NonFiniteError: NaN or infinity in the products or the activations.
    """
    _check(activations, scores, classes, chunk=chunk, tail=tail)
    moments = torch.zeros((3, *activations.shape), dtype=torch.float64, device=activations.device)
    for cotangents, shares in _cotangents(scores, classes, *_other_classes(scores, classes, tail), chunk):
        differences = products(cotangents)
        if differences.shape != (len(cotangents), *activations.shape):
            raise ShapeError(
                f"products must return (M, *activations.shape), got {differences.shape = }, {activations.shape = }"
            )
        for share, difference in zip(shares, differences, strict=True):
            _add(moments, _as_column(share, activations), difference.detach().double())
    weights, clamped = _weights(activations, moments, _probability_left(scores, classes))
    if not bool(torch.isfinite(weights).all()):
        raise NonFiniteError("the weights of gradcam++softmax contain NaN or infinity; check the model and the input")
    return SoftmaxForm(weights.to(at_least_float32(activations).dtype), clamped)


def probability_cotangent(scores: Tensor, classes: Tensor) -> Tensor:
    """Return ∂p_c/∂S, whose product is the gradient of a probability: p_c·(1 - p_c) at c, -p_c·p_k at k.

    Args:
        scores: S, (N, K) finite logits, K >= 2.
        classes: c, (N,).

    Returns:
        (N, K) float64, precise also where p_c rounds to 1; each row sums to 0.
    """
    _check_scores(scores, classes)
    left = _probability_left(scores, classes)
    column = classes.unsqueeze(1)
    rows = -left.unsqueeze(1) * _other_log_shares(scores, classes).exp()
    return _log_odds(scores, classes).sigmoid().unsqueeze(1) * rows.scatter(1, column, left.unsqueeze(1))


def _other_classes(scores: Tensor, classes: Tensor, tail: float) -> tuple[Tensor, Tensor]:
    """Return the fewest other classes that leave out no more than `tail` of their probability.

    Returns:
        The M classes of each clip, the most probable first, (N, M); and u, (N, M) float64, 0 if the clip needs fewer.
    """
    shares, order = _other_log_shares(scores, classes).exp().sort(dim=1, descending=True, stable=True)
    rest = shares.flip(1).cumsum(1).flip(1)  # of this class and all less probable ones; the smallest are added first
    is_used = rest > tail
    most = int(is_used.sum(dim=1).max())
    return order[:, :most], shares.masked_fill(~is_used, 0.0)[:, :most]


def _cotangents(
    scores: Tensor, classes: Tensor, others: Tensor, their_shares: Tensor, chunk: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield cotangents e_k - e_c, (M, N, K), and their shares u_k, (M, N), in chunks."""
    for rows, shares in zip(*(torch.split(each, chunk, dim=1) for each in (others, their_shares)), strict=True):
        is_used = (shares > 0).T.unsqueeze(2).to(scores.dtype)  # (M, N, 1)
        targets = classes.expand(rows.shape[1], -1).unsqueeze(2)
        cotangents = torch.zeros((*is_used.shape[:2], scores.shape[1]), dtype=scores.dtype, device=scores.device)
        cotangents.scatter_(2, rows.T.unsqueeze(2), is_used)
        cotangents.scatter_(2, targets, -is_used)
        yield cotangents, shares.T


def _add(moments: Tensor, share: Tensor, difference: Tensor) -> None:
    """Add one class to n_1, n_2 and n_3, in float64: cubes of float32 gradients overflow float32."""
    term = share
    for moment in moments:
        term = term * difference
        moment.add_(term)


def _weights(activations: Tensor, moments: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Return Σ α·relu(Y′), (N, D), and the clamped share, (N,)."""
    first, second, third = _derivatives(moments, _as_column(left, activations))
    product = channel_sums(activations.detach().double()) * third
    # α = Y″/(2Y″ + ΣA·Y‴), both parts times sgn Y″: clamps 2 + ΣA·Y‴/Y″ without the division.
    denominator, is_clamped = clamped_denominator(torch.where(second < 0, -product, product), constant=2 * second.abs())
    alpha = torch.where(second == 0, 0.0, second.abs() / denominator)
    weights = (alpha * first.relu()).flatten(2).sum(dim=2)
    positive = (first > 0).flatten(1)
    share = (is_clamped.flatten(1) & positive).sum(dim=1).double() / positive.sum(dim=1).clamp(min=1)
    return weights, share


def _derivatives(moments: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return Y′, Y″ and Y‴ divided by p_c·q, from the moments n_1, n_2, n_3 and from q."""
    mean, square, cube = moments
    scaled = left * mean
    return -mean, 2 * scaled * mean - square, 6 * scaled * (square - scaled * mean) - cube


def _other_log_shares(scores: Tensor, classes: Tensor) -> Tensor:
    """Log of u, (N, K) float64: the softmax without the target, -inf at the target."""
    return double(scores.detach()).scatter(1, classes.unsqueeze(1), -torch.inf).log_softmax(dim=1)


def _log_odds(scores: Tensor, classes: Tensor) -> Tensor:
    """log(p_c / (1 - p_c)), (N,) float64."""
    rows, column = double(scores.detach()), classes.unsqueeze(1)
    return rows.gather(1, column).squeeze(1) - rows.scatter(1, column, -torch.inf).logsumexp(dim=1)


def _probability_left(scores: Tensor, classes: Tensor) -> Tensor:
    """1 - p_c, (N,) float64, without the loss of digits of a subtraction."""
    return (-_log_odds(scores, classes)).sigmoid()


def _as_column(values: Tensor, activations: Tensor) -> Tensor:
    return values.to(activations.device).view(-1, *[1] * (activations.ndim - 1))


def _check(activations: Tensor, scores: Tensor, classes: Tensor, *, chunk: int, tail: float) -> None:
    _check_scores(scores, classes)
    if activations.ndim < 3 or activations.shape[0] != scores.shape[0]:
        raise ShapeError(
            f"activations must be (N, D, ...) for the N clips, got {activations.shape = }, {scores.shape = }"
        )
    if chunk < 1:
        raise InputError(f"softmax_chunk is {chunk}, expected 1 or more")
    if not 0 <= tail < 1:
        raise InputError(f"softmax_tail is {tail}, expected 0 <= softmax_tail < 1")


def _check_scores(scores: Tensor, classes: Tensor) -> None:
    if scores.ndim != 2 or scores.shape[1] < 2 or classes.shape != scores.shape[:1]:
        raise ShapeError(
            f"scores must be (N, K) with K >= 2, and classes must be (N,), got {scores.shape = }, {classes.shape = }"
        )
