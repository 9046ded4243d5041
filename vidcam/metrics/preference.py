"""Strengths of things that were compared in pairs, with ties (Davidson 1970; without ties: Bradley and Terry 1952).

    P(i is preferred) = π_i / (π_i + π_j + ν √(π_i π_j)),   P(same) = ν √(π_i π_j) / (π_i + π_j + ν √(π_i π_j))

They are fitted as logarithms, θ = log π and λ = log ν, by maximum likelihood, which is concave in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components

from vidcam.errors import ShapeError

Doubles = NDArray[np.float64]

FIRST, SECOND, SAME = 0, 1, 2
"""Outcomes of a comparison."""

LARGEST = 8.0
"""Bound of |θ| and |λ|. They reach it if a thing won every comparison: then the likelihood has no maximum."""

_STEPS = 4
_RIDGE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """N comparisons of M things.

    Attributes:
        first: (N,) index of the one thing.
        second: (N,) index of the other.
        outcome: (N,) FIRST, SECOND or SAME.
        count: M.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    outcome: NDArray[np.int64]
    count: int

    def __post_init__(self) -> None:
        if not len(self.first) == len(self.second) == len(self.outcome):
            raise ShapeError(f"{len(self.first)} comparisons have {len(self.outcome)} outcomes")

    def counts(self, weights: Doubles) -> Doubles:
        """Count the outcomes of each pair, (B, 3, P): those won by the lower index, by the higher, and the same.

        Args:
            weights: (B, N) how often each comparison counts.
        """
        low, high = np.minimum(self.first, self.second), np.maximum(self.first, self.second)
        is_turned = (self.first > self.second) & (self.outcome != SAME)
        rows, columns = np.triu_indices(self.count, 1)
        number = np.zeros((self.count, self.count), np.int64)
        number[rows, columns] = np.arange(len(rows))
        cells = np.where(is_turned, 1 - self.outcome, self.outcome) * len(rows) + number[low, high]
        return np.asarray(weights @ np.eye(3 * len(rows))[cells]).reshape(len(weights), 3, len(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Strengths:
    """Fitted strengths.

    Attributes:
        log_strengths: θ, (M,), with mean 0; NaN if the comparisons do not connect all things.
        log_ties: λ; -inf if nothing was called the same.
    """

    log_strengths: Doubles
    log_ties: float

    @property
    def shares(self) -> Doubles:
        """Strengths π, (M,), with sum 1."""
        powers = np.exp(self.log_strengths)
        return np.asarray(powers / powers.sum())

    @property
    def is_bounded(self) -> bool:
        """Whether the likelihood has a maximum; if not, something won every comparison, and θ is only a bound."""
        return bool(np.ptp(self.log_strengths) < LARGEST)


def fit_strengths(counts: Doubles, size: int) -> Strengths:
    """Fit Davidson's model.

    Args:
        counts: (3, P) of the P = M (M - 1) / 2 pairs, as `Comparisons.counts` has them.
        size: M.
    """
    rows, columns = np.triu_indices(size, 1)
    links = np.zeros((size, size))
    links[rows, columns] = counts.sum(axis=0)
    if connected_components(links, directed=False)[0] != 1:
        return Strengths(np.full(size, np.nan), np.nan)

    has_ties = bool(counts[SAME].any())

    def loss(free: Doubles) -> tuple[float, Doubles]:
        values = (free if has_ties else np.append(free, -np.inf))[None]
        exponents, log_sum = _exponents(values, size)
        likelihood = (np.where(counts > 0, exponents[0] - log_sum[0], 0.0) * counts).sum()
        return -float(likelihood), -_slopes(values, counts[None], size)[0][0, : len(free)]

    start = np.zeros(size + has_ties)
    options: dict[str, Any] = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 500}
    limits = [(-LARGEST, LARGEST)] * len(start)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits, options=options).x
    theta = found[:size] - found[:size].mean()
    return Strengths(theta, float(found[size]) if has_ties else -np.inf)


def refit_strengths(near: Strengths, counts: Doubles) -> Doubles:
    """Fit the model to B other sets of counts by Newton's method, from the strengths of a set that is near to them.

    Args:
        near: where it starts.
        counts: (B, 3, P).

    Returns:
        (B, M + 1): θ with mean 0, and λ.
    """
    size = len(near.log_strengths)
    free = size + int(np.isfinite(near.log_ties))
    values = np.tile(np.append(near.log_strengths, near.log_ties), (len(counts), 1))
    for _ in range(_STEPS):
        gradient, hessian = _slopes(values, counts, size)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        values[:, :free] += np.clip(step[:, :free], -1.0, 1.0)
    values[:, :size] -= values[:, :size].mean(axis=1, keepdims=True)
    return np.asarray(values)


def _exponents(values: Doubles, size: int) -> tuple[Doubles, Doubles]:
    """Logarithms of the three terms, (B, 3, P), and of their sum, (B, P)."""
    rows, columns = np.triu_indices(size, 1)
    half = 0.5 * (values[:, rows] - values[:, columns])
    exponents = np.stack([half, -half, np.broadcast_to(values[:, size:], half.shape)], axis=1)
    return exponents, np.logaddexp.reduce(exponents, axis=1)


def _slopes(values: Doubles, counts: Doubles, size: int) -> tuple[Doubles, Doubles]:
    """Gradient (B, M + 1) of the log-likelihood, and its negative Hessian (B, M + 1, M + 1)."""
    exponents, log_sum = _exponents(values, size)
    won, lost, same = np.moveaxis(np.exp(exponents - log_sum[:, None]), 1, 0)
    total, lead = counts.sum(axis=1), won - lost
    rows, columns = np.triu_indices(size, 1)
    design = np.zeros((2, len(rows), size + 1))  # how the difference and the ties of a pair depend on the values
    design[0, np.arange(len(rows)), rows], design[0, np.arange(len(rows)), columns] = 0.5, -0.5
    design[1, :, size] = 1.0
    residual = np.stack([counts[:, FIRST] - counts[:, SECOND] - total * lead, counts[:, SAME] - total * same])
    spread = np.array([[won + lost - lead**2, -lead * same], [-lead * same, same * (1.0 - same)]]) * total
    gradient = np.einsum("kbp,kpm->bm", residual, design)
    hessian = np.einsum("klbp,kpm,lpn->bmn", spread, design, design, optimize=True)
    hessian[:, :size, :size] += 1.0 / size  # the mean of θ is free
    return gradient, hessian + _RIDGE * np.eye(size + 1)
