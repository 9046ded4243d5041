"""Can the map be trusted? Figures about α, and the search for a sink.

α: EQ (arXiv:2205.10838) 3.3–3.4 finds α ≈ 1/2 almost everywhere, which makes Grad-CAM++ nearly Grad-CAM+, and rare
outliers where ΣA·g comes near -2. `audit_alpha` reports both for each clip.

Sink: some networks carry a cell or two that are loud on any input, a flat grey clip included. Where a map peaks there,
it shows the network's weights and not the film. `find_sink` names the cells, `sink_share` says how often maps peak in
them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.weights import at_least_float32, channel_sums, is_guarded, scaled_product
from vidcam.results.explanation import AlphaAudit, Sink

MOST_POSITIONS = 1 << 17
"""Quartiles are taken over an even subsample of about this many positions of a clip; minimum and maximum over all."""

PROMINENCE = 3.0
"""A cell is a sink on the grey clip only from this multiple of the median on."""

MOST_LOUD = 0.1
"""Where more than this share of the grid is loud, nothing stands out."""


def audit_alpha(
    activations: Tensor, gradients: Tensor, plus: Tensor, plus_plus: Tensor, *, lam: float = 1.0
) -> AlphaAudit:
    """The audit of α for each clip.

    Args:
        activations: A, (N, D, t, h, w).
        gradients: g, same shape.
        plus: gradcam+ volumes, (N, t, h, w).
        plus_plus: gradcam++ volumes, (N, t, h, w).
        lam: λ of EQ 12.
    """
    a, g = at_least_float32(activations), at_least_float32(gradients)
    scaled = scaled_product(a, g, lam)
    product = scaled if lam == 1 else channel_sums(a) * g
    values = 1 / (2 + scaled)  # α where g != 0; elsewhere nobody looks
    hit = is_guarded(scaled)
    positive, nonzero = (g > 0).flatten(1), (g != 0).flatten(1)
    return AlphaAudit(
        positive=_five_numbers(values, positive),
        nonzero=_five_numbers(values, nonzero),
        product=_five_numbers(product, nonzero),
        guarded=_share(hit.flatten(1), positive),
        agreement=correlation(_numpy(plus), _numpy(plus_plus)),
        uniform=_numpy((g.flatten(2) == g.flatten(2)[:, :, :1]).flatten(1).all(dim=1)),
    )


def find_sink(activations: Tensor) -> Sink | None:
    """The cells that are loud on a content-free clip: those that rise at least half as far above the median as the top.

    Args:
        activations: A of the grey clip, (1, D, t, h, w).

    Returns:
        None where nothing stands out: the loudest cell reaches less than three times the median, or more than a tenth
        of the grid is as loud.
    """
    sums = _numpy(at_least_float32(activations).sum(dim=1)[0]).astype(np.float64)
    flat, median = sums.ravel(), float(np.median(sums))
    top = float(flat.max())
    order = np.argsort(-flat, kind="stable")
    loud = order[flat[order] >= median + (top - median) / 2]
    if top - median <= (PROMINENCE - 1) * abs(median) or loud.size > max(1.0, flat.size * MOST_LOUD):
        return None
    cells = tuple(tuple(int(i) for i in np.unravel_index(index, sums.shape)) for index in loud)
    return Sink(cells, top, median)


def guarded_share(activations: Tensor, gradients: Tensor, *, lam: float = 1.0) -> NDArray[np.float64]:
    """Share of each clip's positions with g != 0 at which α is kept away from a pole, (N,): the signed form's."""
    a, g = at_least_float32(activations), at_least_float32(gradients)
    hit = is_guarded(scaled_product(a, g, lam))
    return _share(hit.flatten(1), (g != 0).flatten(1))


def correlation(first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Pearson correlation of two stacks of maps, clip by clip, (N,); NaN where one of the two is constant."""
    x, y = (m.reshape(m.shape[0], -1).astype(np.float64) for m in (first, second))
    x, y = (m - m.mean(axis=1, keepdims=True) for m in (x, y))
    scale = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    result = np.full(x.shape[0], np.nan)
    np.divide((x * y).sum(axis=1), scale, out=result, where=scale > 0)
    return result


def _five_numbers(values: Tensor, chosen: Tensor) -> NDArray[np.float64]:
    rows = zip(_numpy(values.flatten(1)), _numpy(chosen), strict=True)
    return np.stack([_summary(clip if keep.all() else clip[keep]) for clip, keep in rows])


def _summary(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    if values.size == 0:
        return np.full(5, np.nan)
    sample = np.sort(values[:: max(1, values.size // MOST_POSITIONS)])  # faster than `np.quantile`, and the same
    nearest = np.rint((sample.size - 1) * np.array([0.25, 0.5, 0.75])).astype(int)  # never between a number and inf
    return np.array([values.min(), *sample[nearest], values.max()], dtype=np.float64)


def _share(hit: Tensor, among: Tensor) -> NDArray[np.float64]:
    count = among.sum(dim=1)
    share = (hit & among).sum(dim=1) / count.clamp(min=1)
    return _numpy(share).astype(np.float64)


def _numpy(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu().numpy())
