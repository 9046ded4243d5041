"""Average the windows of a clip, so that each clip counts once.

A clip's probability is the mean over its windows, as in `explain`. So is the probability that is left of it. The drop,
the retention and the areas under curves are computed from these means, as for a single window. What belongs to a map,
such as its area or its energy inside boxes, is averaged over the windows that have a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from vidcam.pipelines.score.columns import Row
from vidcam.pipelines.score.forwards import Key

_OVER_WINDOWS = {"alpha_min": min, "alpha_all_min": min, "alpha_max": max, "alpha_all_max": max}


def mean_log(logs: Sequence[float]) -> float:
    """Return the logarithm of the mean of probabilities, from their logarithms."""
    return float(logsumexp(np.asarray(logs, np.float64))) - float(np.log(len(logs)))


def mean_logs(windows: Sequence[Mapping[Key, float]]) -> Mapping[Key, float]:
    """Return the logarithm of the mean probability of each perturbed version; all windows have the same versions."""
    return {key: mean_log([logs[key] for logs in windows]) for key in windows[0]}


def mean_row(windows: Sequence[Row]) -> Row:
    """Return one row of the columns that belong to a map, from those of each window.

    Numbers are averaged, except that minima stay minima and maxima stay maxima. A map is empty if it is in all windows.
    It peaks in the artifact if it does in at least half of them.
    """
    names = dict.fromkeys(name for row in windows for name in row)
    return {name: _merged(name, [row[name] for row in windows if row.get(name) is not None]) for name in names}


def _merged(name: str, values: Sequence[float | bool | NDArray[np.float64]]) -> object:
    if len(values) < 2:
        return values[0] if values else None
    if name in _OVER_WINDOWS:
        return _OVER_WINDOWS[name](values)
    if name.startswith("empty"):
        return all(values)
    mean = np.mean(np.asarray(values, np.float64), axis=0)
    if name == "artifact":
        return bool(mean >= 0.5)
    return mean if isinstance(values[0], np.ndarray) else float(mean)
