"""The tables of `research.verdict`: AUC of each check and of the score, and fits on one network tested on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from scripts import markdown
from vidcam.results.verdict import CHECKS, FEATURES, Verdict, features, judge

Row = Mapping[str, Any]
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST = 5
"""An AUC within a method needs this many maps that point and that do not."""

RIDGE = 0.1
RIGHT, WRONG = 0.8, 0.1
"""Of the maps called reliable at least the first share points at the actor, of the unreliable at most the other."""


def print_tables(rows: Sequence[Row]) -> None:
    """Print every table in Markdown."""
    truth = points(rows)
    for label, flags in (("maximum in the box", truth), ("energy at least 3 times uniform", has_energy(rows))):
        click.echo(f"## AUC, truth: {label}\n\n" + "\n".join(auc_table(rows, flags)) + "\n")
    click.echo("## Within each map and network\n\n" + "\n".join(within_table(rows, truth)) + "\n")
    click.echo("## Fitted on one network, tested on the other\n\n" + "\n".join(transfer_table(rows, truth)) + "\n")
    weight, constant = fit(feature_matrix(rows), truth, balance_of(rows))
    click.echo(f"Fitted on both: place {weight:.2f}, constant {constant:.2f}\n")
    click.echo("## Words\n\n" + "\n".join(word_table(rows, truth)))


def points(rows: Sequence[Row]) -> Flags:
    """Whether at least half of the map's maximum lies in the box."""
    return np.array([row["points"] >= 0.5 for row in rows])


def has_energy(rows: Sequence[Row]) -> Flags:
    """Whether the box has at least three times the share of the map that a uniform map gives it."""
    return np.array([row["energy"] >= 3.0 for row in rows])


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Judge each row by the shipped function."""
    return [judge(row["checks"]) for row in rows]


def feature_matrix(rows: Sequence[Row]) -> Values:
    """Return the features of the score, (N, F)."""
    return np.array([list(features(row["checks"]).values()) for row in rows])


def auc(values: Values, truth: Flags) -> float:
    """Return the probability that a true row has the higher value; NaN for fewer than FEWEST of either kind."""
    known = ~np.isnan(values)
    values, truth = values[known], truth[known]
    high, low = int(truth.sum()), int((~truth).sum())
    if min(high, low) < FEWEST:
        return float("nan")
    return float((rankdata(values)[truth].sum() - high * (high + 1) / 2) / (high * low))


def auc_table(rows: Sequence[Row], truth: Flags) -> list[str]:
    """One row for each check, feature and the score: pooled, for each network, and the mean within maps."""
    columns: dict[str, Values] = {
        name: np.array([np.nan if row["checks"].get(name) is None else row["checks"][name] for row in rows], float)
        for name in CHECKS
    }
    columns = {name: -values if name.startswith("peak") else values for name, values in columns.items()}
    columns |= {f"feature {name}": values for name, values in zip(FEATURES, feature_matrix(rows).T, strict=True)}
    columns["score"] = np.array([verdict.score for verdict in verdicts(rows)], float)
    networks = sorted({row["network"] for row in rows})
    lines = []
    for name, values in columns.items():
        each = [auc(values[is_of], truth[is_of]) for is_of in (of(rows, network=n) for n in networks)]
        inner = [mean_within(rows, values, truth, network) for network in networks]
        lines.append((name, *(f"{value:.2f}" for value in (auc(values, truth), *each, *inner))))
    return markdown.table(("check", "pooled", *networks, *(f"within, {n}" for n in networks)), lines)


def of(rows: Sequence[Row], **keys: str) -> Flags:
    """Which rows have these values."""
    return np.array([all(row[key] == value for key, value in keys.items()) for row in rows])


def within(rows: Sequence[Row], values: Values, truth: Flags, network: str) -> list[float]:
    """AUC within each map of a network."""
    names = dict.fromkeys(row["map"] for row in rows)
    parts = [of(rows, network=network, map=name) for name in names]
    return [auc(values[part], truth[part]) for part in parts]


def mean_within(rows: Sequence[Row], values: Values, truth: Flags, network: str) -> float:
    """Mean AUC within the maps of a network that have one; NaN if none has."""
    known = [area for area in within(rows, values, truth, network) if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def within_table(rows: Sequence[Row], truth: Flags) -> list[str]:
    """One row for each map and network: share that points, AUC of the score."""
    scores = np.array([verdict.score for verdict in verdicts(rows)], float)
    lines = []
    for name in dict.fromkeys(row["map"] for row in rows):
        for network in sorted({row["network"] for row in rows}):
            part = of(rows, network=network, map=name)
            if part.any():
                area = auc(scores[part], truth[part])
                lines.append((name, network, f"{truth[part].mean():.2f}", "–" if np.isnan(area) else f"{area:.2f}"))
    return markdown.table(("map", "network", "points", "AUC of the score"), lines)


def balance_of(rows: Sequence[Row]) -> Values:
    """Return weights with which each network counts the same, mean 1."""
    networks = [row["network"] for row in rows]
    return np.array([len(rows) / (len(set(networks)) * networks.count(name)) for name in networks])


def fit(x: Values, truth: Flags, weights: Values) -> tuple[float, float]:
    """Fit the weight of the first feature and the constant by logistic regression; other weights stay as shipped.

    Args:
        x: features, (N, F).
        truth: (N,).
        weights: of the rows, (N,).
    """
    offset = x[:, 1:] @ np.array([*FEATURES.values()][1:])
    z, beta = np.column_stack([x[:, 0], np.ones(len(x))]), np.zeros(2)
    for _ in range(50):  # Newton's method
        p = 1.0 / (1.0 + np.exp(-(z @ beta + offset)))
        slope = z.T @ (weights * (p - truth)) + RIDGE * beta
        beta -= np.linalg.solve((z * (weights * p * (1.0 - p))[:, None]).T @ z + RIDGE * np.eye(2), slope)
    return float(beta[0]), float(beta[1])


def thresholds(scores: Values, truth: Flags) -> tuple[float, float]:
    """Return the lowest score from which RIGHT of the maps point, and the highest below which at most WRONG do."""
    cuts = np.quantile(scores, np.linspace(0.02, 0.98, 97))
    high = min((cut for cut in cuts if truth[scores >= cut].mean() >= RIGHT), default=1.0)
    low = max((cut for cut in cuts if (scores < cut).any() and truth[scores < cut].mean() <= WRONG), default=0.0)
    return float(high), float(min(low, high))


def transfer_table(rows: Sequence[Row], truth: Flags) -> list[str]:
    """Fit and set thresholds on one network; the AUC and what the words are worth on the other."""
    x, networks = feature_matrix(rows), sorted({row["network"] for row in rows})
    lines = []
    for train, test in ((networks[0], networks[1]), (networks[1], networks[0])) if len(networks) == 2 else ():
        here, there = of(rows, network=train), of(rows, network=test)
        weight, constant = fit(x[here], truth[here], np.ones(int(here.sum())))
        total = x @ np.array([weight, *[*FEATURES.values()][1:]]) + constant
        scores = 1.0 / (1.0 + np.exp(-total))
        high, low = thresholds(scores[here], truth[here])
        groups = (scores >= high, (scores < high) & (scores >= low), scores < low)
        shares = (share(truth, group & there, there) for group in groups)
        lines.append((train, test, f"{auc(scores[there], truth[there]):.2f}", f"{high:.2f}, {low:.2f}", *shares))
    return markdown.table(
        ("fitted on", "tested on", "AUC", "thresholds", "reliable: points", "doubtful", "unreliable"), lines
    )


def word_table(rows: Sequence[Row], truth: Flags) -> list[str]:
    """How many maps of each network get each shipped word, and how many of those point."""
    words = np.array([verdict.word for verdict in verdicts(rows)])
    lines = []
    for network in sorted({row["network"] for row in rows}):
        part = of(rows, network=network)
        lines.append(
            (network, *(share(truth, part & (words == word), part) for word in ("reliable", "doubtful", "unreliable")))
        )
    return markdown.table(("network", "reliable: points", "doubtful", "unreliable"), lines)


def share(truth: Flags, group: Flags, whole: Flags) -> str:
    """Format as '0.91 of 120 (25 %)': share that points, size of the group, its share of the whole."""
    count = int(group.sum())
    return f"{truth[group].mean():.2f} of {count} ({100 * count / whole.sum():.0f} %)" if count else "none"
