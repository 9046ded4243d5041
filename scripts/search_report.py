"""What `search_maps` prints: paired differences of variants over sources, and the choice without one source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.bootstrap import Interval
from vidcam.metrics.intervals import bootstrap_means
from vidcam.metrics.retention import DEFAULT_THETAS

FIGURES = (*(f"retention {theta:g}" for theta in DEFAULT_THETAS), "loc 0.25", "loc 0.5", "pointing", "energy")
COLUMNS = (
    *FIGURES[: len(DEFAULT_THETAS)],
    *(f"100 log(O/Y) {theta:g}" for theta in DEFAULT_THETAS),
    *FIGURES[len(DEFAULT_THETAS) :],
)
BASELINES, CONTROLS = ("gradcam", "gradcam++"), ("random", "centre")
OVER_BUDGET = ("median", "clip mean", "blurred")
Figures = Mapping[str, Sequence[float]]
"""Variant → its figures, in the order of FIGURES."""


def by_group(found: Sequence[Figures], groups: Sequence[str]) -> list[Figures]:
    """Clips of one group are one sample: their means."""
    members: dict[str, list[Figures]] = {}
    for figures_of_clip, group in zip(found, groups, strict=True):
        members.setdefault(group, []).append(figures_of_clip)
    return [
        {name: np.array([clip[name] for clip in clips]).mean(axis=0).tolist() for name in clips[0]}
        for clips in members.values()
    ]


def table(found: Sequence[Figures]) -> Iterator[str]:
    """Markdown: each mean over groups with its paired difference from gradcam, in bold where the interval excludes 0.

    The last column has a sign for each figure: better (+) or worse (-) than gradcam++, 95 % sure.
    """
    yield f"| variant | {' | '.join(COLUMNS)} | than gradcam++ |"
    yield "| --- " * (2 + len(COLUMNS)) + "|"
    of = {name: _columns(np.array([clip[name] for clip in found]).T) for name in found[0]}
    for name, values in of.items():
        means = [f"{one.value:.1f}" for one in _intervals(values)]
        against = _intervals(values - of["gradcam"])
        cells = [_cell(mean, one) for mean, one in zip(means, against, strict=True)] if name != "gradcam" else means
        signs = [_sign(one) for one in _intervals(values - of["gradcam++"])]
        yield f"| {name} | {' | '.join(cells)} | {' '.join(signs)} |"


def held_out(found: Sequence[Figures]) -> Iterator[str]:
    """Leave one source out: the best variant by all other groups, and what it gains on the group that was left out.

    Best has the largest smaller one of two gains over gradcam, each in its own standard deviations: 100·log(O/Y), mean
    over θ, and Loc(0.25). Controls do not compete, nor what needs more than one forward pass for a model.
    """
    names = [name for name in found[0] if name not in CONTROLS and not name.endswith(OVER_BUDGET)]
    gains = np.stack([_gains(found, name) for name in names])  # (variants, groups, 2)
    spread = np.nanstd(gains, axis=(0, 1))
    picked, won = [], []
    for left_out in range(gains.shape[1]):
        others = np.delete(gains, left_out, axis=1) / spread
        best = int(np.nanmean(others, axis=1).min(axis=1).argmax())
        picked.append(names[best])
        won.append(gains[best, left_out])
    counts = ", ".join(f"{name} {count}" for name, count in Counter(picked).most_common())
    kept, placed = _intervals(np.array(won).T)
    yield f"Best by all groups but one: {counts} (of {len(picked)})."
    gained = f"{_interval(kept)} of 100 log(O/Y), {_interval(placed)} of loc 0.25"
    yield f"On the group left out it gains over gradcam {gained}."


def _gains(found: Sequence[Figures], name: str) -> NDArray[np.float64]:
    """(groups, 2), NaN where a group has no boxes."""
    of = {each: _columns(np.array([group[each] for group in found]).T) for each in (name, "gradcam")}
    difference, kept = of[name] - of["gradcam"], len(DEFAULT_THETAS)
    return np.stack([difference[kept : 2 * kept].mean(axis=0), difference[COLUMNS.index("loc 0.25")]], axis=1)


def _interval(one: Interval) -> str:
    return f"{one.value:+.1f} [{one.low:.1f}, {one.high:.1f}]"


def _columns(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of COLUMNS: after the retentions their logarithms, the relative performance of EQ 16 at equal area."""
    kept = figures[: len(DEFAULT_THETAS)]
    logs = 100.0 * np.log(np.maximum(kept, 1e-6) / 100.0)
    return np.concatenate([kept, logs, figures[len(DEFAULT_THETAS) :]])


def _cell(mean: str, one: Interval) -> str:
    text = _interval(one)
    return f"{mean} {text if _sign(one) == '.' else f'**{text}**'}"


def _sign(one: Interval) -> str:
    return "+" if one.low > 0 else "-" if one.high < 0 else "."


def _intervals(values: NDArray[np.float64]) -> list[Interval]:
    names = [str(index) for index in range(values.shape[1])]
    return bootstrap_means(values, lambda: np.random.default_rng(0), groups=names)
