"""Compare methods pair by pair: the test of what they keep at equal area, and the papers' measures beside it.

Win % and relative performance compare maps of unlike area: a map that shows more keeps more. So only the test at equal
area can say that a method is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

from vidcam.metrics.faithfulness import log_ratio, relative_performance, win, win_rates
from vidcam.metrics.paired import PairedTest, holm, signed_rank
from vidcam.metrics.power import groups_needed, least_groups, smallest_p
from vidcam.metrics.retention import DEFAULT_THETAS, equal_area_ratios
from vidcam.pipelines.score.means import Values, clip_means
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.summary import EqualArea, Mean, Pair, PairRatio, defined
from vidcam.pipelines.score.table import ScoreTable

_COLUMNS = {f"{theta:g}": f"retention_{theta:g}" for theta in DEFAULT_THETAS}
"""θ → its column."""

SIGNIFICANCE = 0.05
"""Level of the test, after Holm's correction."""

POST_SOFTMAX = "log_masked_post_softmax"
"""Column of the maps of the probability's gradient."""


def pair_names(methods: Sequence[str]) -> list[tuple[str, str]]:
    """List the pairs to compare: each method with those before it, and each method with each control."""
    names = [method for method in methods if method not in CONTROLS]
    pairs = [(second, first) for first, second in combinations(names, 2)]
    return pairs + [(method, control) for method in names for control in methods if control in CONTROLS]


def has_post_softmax(table: ScoreTable, a: str, b: str) -> bool:
    """Whether both have maps of the probability's gradient: controls, fine maps and foreign maps have none."""
    has_column = POST_SOFTMAX in table.columns
    return has_column and not any(np.isnan(table.values(name, POST_SOFTMAX)).any() for name in (a, b))


def pair_ratios(table: ScoreTable, a: str, b: str, column: str = "log_masked_probability") -> Values:
    """Compute log(O_a / O_b) of each clip, (N,); with POST_SOFTMAX of the maps of the probability's gradient."""
    return log_ratio(table.values(a, column), table.values(b, column))


def compare_pairs(table: ScoreTable, seed: int) -> tuple[Pair, ...]:
    """Compare all pairs of a run; their equal area is None if the measure `retention` was not chosen."""
    names = pair_names(table.methods)
    if not table.n or not names:
        return ()
    has_retention = set(_COLUMNS.values()) <= set(table.columns)
    blocks = chain([_equal_area_rows(table, names)] * has_retention, (_pair_rows(table, *of_pair) for of_pair in names))
    means = clip_means(table, blocks, seed)
    equal_area = _equal_area(table, names, means.pop(0)) if has_retention else [None] * len(names)
    return tuple(_pair(table, *of_pair) for of_pair in zip(names, equal_area, means, strict=True))


def _equal_area_rows(table: ScoreTable, names: Sequence[tuple[str, str]]) -> Iterator[Values]:
    """Yield log(O_a / O_b) of each clip, mean over θ, for each pair; then at each θ."""
    for a, b in names:
        yield _ratios_by_theta(table, a, b).mean(axis=0)
    for a, b in names:
        yield from _ratios_by_theta(table, a, b)


def _equal_area(table: ScoreTable, names: Sequence[tuple[str, str]], means: Sequence[Mean]) -> list[EqualArea]:
    """Test each pair; `means` are those of `_equal_area_rows`."""
    owner, level = table.clips.group_numbers(), SIGNIFICANCE / len(names)
    tests, needed = [], []
    for a, b in names:
        ratios = _ratios_by_theta(table, a, b).mean(axis=0)
        tests.append(signed_rank(ratios, owner))
        needed.append(groups_needed(ratios, owner, level=level))
    p_values, by_theta = [test.p_value for test in tests], iter(means[len(names) :])
    return [
        EqualArea(
            log_ratio=means[index],
            by_theta={theta: next(by_theta) for theta in _COLUMNS},
            p_value=defined(test.p_value),
            p_holm=defined(p_holm),
            smallest_p=defined(min(test.p_value, smallest_p(test.groups))),
            smallest_p_holm=defined(_smallest_p_holm(p_values, index, test)),
            groups=table.clips.groups,
            groups_that_differ=test.groups,
            least_groups=least_groups(level),
            groups_needed=needed[index],
        )
        for index, (test, p_holm) in enumerate(zip(tests, holm(p_values), strict=True))
    ]


def log_kept(table: ScoreTable, method: str) -> Values | None:
    """Compute log(O / Y) of each clip, mean over θ = 0.25, 0.5, 0.75, (N,); None without the measure `retention`."""
    if not set(_COLUMNS.values()) <= set(table.columns):
        return None
    kept = np.array([table.values(method, column) for column in _COLUMNS.values()])
    original = table.values(method, "log_probability")
    return np.asarray(equal_area_ratios(original, kept, np.ones_like(kept)).mean(axis=0))


def _ratios_by_theta(table: ScoreTable, a: str, b: str) -> Values:
    """Compute log(O_a / O_b) of each clip at each θ, (3, N)."""
    kept_a, kept_b = (np.array([table.values(name, column) for column in _COLUMNS.values()]) for name in (a, b))
    return equal_area_ratios(table.values(a, "log_probability"), kept_a, kept_b)


def _smallest_p_holm(p_values: Sequence[float], index: int, test: PairedTest) -> float:
    """Compute the smallest corrected p that is possible for a pair with so many groups.

    The exact test gives its smallest p, 2 / 2^groups, if all differences have one sign. With tied differences the test
    uses the normal approximation, and its p can be smaller. Then the p of the test is returned, corrected.
    """
    smallest = min(test.p_value, smallest_p(test.groups))
    return holm([*p_values[:index], smallest, *p_values[index + 1 :]])[index]


def _outcomes(table: ScoreTable, a: str, b: str) -> tuple[NDArray[np.int8], Values]:
    """Return who wins each clip, and log(O_a / O_b)."""
    ratios = pair_ratios(table, a, b)
    return win(table.values(a, "drop"), table.values(b, "drop"), ratios), ratios


def _pair_rows(table: ScoreTable, a: str, b: str) -> Iterator[Values]:
    outcomes, ratios = _outcomes(table, a, b)
    yield from (100.0 * (outcomes == 1), ratios)


def _pair(table: ScoreTable, names: tuple[str, str], equal_area: EqualArea | None, means: Sequence[Mean]) -> Pair:
    """Compare a pair; `means` are those of `_pair_rows`."""
    a, b = names
    outcomes, ratios = _outcomes(table, a, b)
    wins, ratio = win_rates(outcomes), _ratio(ratios)
    win_a, log_mean = means
    low, high = (None if end is None else defined(float(np.exp(end))) for end in (log_mean.low, log_mean.high))
    return Pair(
        a=a,
        b=b,
        equal_area=equal_area,
        win_a=wins.a,
        win_b=wins.b,
        ties=wins.ties,
        win_a_low=win_a.low,
        win_a_high=win_a.high,
        relative_performance=ratio.relative_performance,
        log_mean=ratio.log_mean,
        log_std=ratio.log_std,
        relative_performance_low=low,
        relative_performance_high=high,
        post_softmax=_ratio(pair_ratios(table, a, b, POST_SOFTMAX)) if has_post_softmax(table, a, b) else None,
    )


def _ratio(ratios: Values) -> PairRatio:
    performance = relative_performance(ratios)
    return PairRatio(defined(performance.value), defined(performance.log_mean), defined(performance.log_std))
