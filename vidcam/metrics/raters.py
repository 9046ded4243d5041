"""Agreement of raters on nominal answers: Krippendorff's α (Content Analysis, 2004, chapter 11)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError


def krippendorff_alpha(units: NDArray[np.int64], values: NDArray[np.int64]) -> float:
    """Return α of nominal values: 1 is full agreement, 0 that of chance. NaN if no unit has two answers.

    Raters may have answered different units, and any number of raters may have answered a unit.

    Args:
        units: (N,) what each answer is about, as indices from 0.
        values: (N,) the answers, as indices from 0.

    Raises:
        ShapeError: the two are not of one length.
    """
    if units.shape != values.shape or units.ndim != 1:
        raise ShapeError(f"units and values must be (N,), got {units.shape} and {values.shape}")
    if not units.size:
        return np.nan
    counts = np.zeros((int(units.max()) + 1, int(values.max()) + 1))
    np.add.at(counts, (units, values), 1.0)
    counts = counts[counts.sum(axis=1) > 1]
    of_unit, of_value, total = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
    expected = (total**2 - (of_value**2).sum()) / max(total - 1.0, 1.0)
    observed = ((of_unit**2 - (counts**2).sum(axis=1)) / (of_unit - 1.0)).sum()
    if not total:
        return np.nan
    return float(1.0 - observed / expected) if expected else 1.0
