"""Insertion and deletion: the probability as the most important part is shown first, or hidden first.

Both work on space-time voxels, and on whole frames ordered by their mean heat. Insertion starts from the fill alone and
shows the share s of highest rank. On voxels it equals retention at θ = 1 - s, so that both use the same forward passes.
Deletion hides that share instead. The value is the area under the probability against s (Petsiuk et al.,
arXiv:1806.07421): high is good for insertion, low for deletion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidcam.metrics.retention import area_under, hidden_count

SHARES = tuple(step / 10 for step in range(11))


def insert(ranks: Tensor, share: float) -> Tensor:
    """Insert a share of the voxels, or of the whole frames, highest rank first. Return where the clip is visible.

    Args:
        ranks: (T, H, W) of voxels or (T, 1, 1) of frames, from `ranks_of`.
        share: in [0, 1]; rounded to whole voxels or frames.

    Returns:
        bool, the shape of the ranks.
    """
    count = ranks.numel()
    return ranks >= count - hidden_count(share, count)


def delete(ranks: Tensor, share: float) -> Tensor:
    """Delete a share of the voxels or frames, highest rank first; see `insert`."""
    return ~insert(ranks, share)


def frame_shares(frames: int) -> tuple[float, ...]:
    """Return SHARES rounded to whole frames, without duplicates."""
    return tuple(dict.fromkeys(hidden_count(share, frames) / frames for share in SHARES))


def curve_area(shares: tuple[float, ...], log_probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area under the curve of the probability against the shares.

    Args:
        shares: (P,) shares inserted or deleted, increasing.
        log_probability: (..., P).

    Returns:
        (...) in [0, 1].
    """
    return area_under(np.asarray(shares), np.exp(log_probability))
