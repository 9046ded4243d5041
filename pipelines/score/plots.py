"""The plots of a scoring run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.pairs import POST_SOFTMAX, has_post_softmax, pair_names, pair_ratios
from vidcam.pipelines.score.summary import Mean, Summary
from vidcam.pipelines.score.table import ScoreTable
from vidcam.render.score_plots import (
    Array,
    plot_alpha,
    plot_classes,
    plot_evidence,
    plot_relative,
    plot_retention,
    plot_sanity,
)
from vidcam.system.atomic import atomic_write

_ALPHA = {"minimum": "min", "lower quartile": "q1", "median": "median", "upper quartile": "q3", "maximum": "max"}

CAPTIONS = {
    "retention.png": "Retention against the hidden share of the voxels (GC++ fig. 10)",
    "relative.png": "Relative performance of each clip (EQ fig. 6)",
    "alpha.png": "α of gradcam++: minimum, quartiles and maximum of each clip, as box plots (EQ fig. 3–4)",
    "classes.png": "Average Drop by explained class; at most the classes with the most clips",
    "evidence.png": "Evidence over time: mean of the map in each frame",
    "sanity.png": "Rank correlation with maps of randomised weights, all layers from the last one down",
}


def draw_plots(out: Path, table: ScoreTable, summary: Summary) -> dict[str, str]:
    """Draw the plots for which the table and the summary have numbers. Return file name → caption."""
    if not table.n:
        return {}
    captions = {}
    for name, draw in _plots(table, summary):
        with atomic_write(out / name, sync=True) as path:
            draw(path)
        captions[name] = CAPTIONS[name]
    return captions


def _plots(table: ScoreTable, summary: Summary) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Yield the plots for which there are numbers: file name and drawing function."""
    methods, sanity, where = summary.methods, summary.sanity, summary.settings.where
    about = f"{where}, fill {summary.settings.fill}, n = {table.n}"
    if next(iter(methods.values())).retention:
        curves = {method: _curve(figures.retention) for method, figures in methods.items()}
        yield "retention.png", partial(plot_retention, curves=curves, title=f"Retention: {about}")
    if ratios := _ratios(table):
        yield "relative.png", partial(plot_relative, ratios=ratios, title=f"Relative performance: {about}")
    if "gradcam++" in methods and methods["gradcam++"].alpha:
        numbers = {name: table.values("gradcam++", f"alpha_{column}") for name, column in _ALPHA.items()}
        yield "alpha.png", partial(plot_alpha, numbers=numbers, title=f"α of gradcam++: {about}")
    drops = {label: figures.average_drop for label, figures in summary.classes.items()}
    counts = {label: figures.n for label, figures in summary.classes.items()}
    title = f"Average Drop by class: {about}"
    yield "classes.png", partial(plot_classes, drops=drops, counts=counts, title=title)
    if table.evidence:
        yield "evidence.png", partial(plot_evidence, curves=table.evidence, title=f"Evidence over time: {about}")
    if sanity and sanity.layers:
        correlations = {method: figures.correlation for method, figures in sanity.cascading.items()}
        title = f"Sanity check: {where}, {len(sanity.clips)} clips"
        yield "sanity.png", partial(plot_sanity, layers=sanity.layers, correlations=correlations, title=title)


def _ratios(table: ScoreTable) -> dict[str, Array]:
    """Return O_a / O_b of each pair of methods, with the logit's and, if scored, the probability's maps."""
    return {
        f"{a} vs {b}{kind}": np.exp(pair_ratios(table, a, b, column))
        for a, b in pair_names(table.methods)
        for column, kind in (("log_masked_probability", ""), (POST_SOFTMAX, ", post-softmax"))
        if b not in CONTROLS and (not kind or has_post_softmax(table, a, b))
    }


def _curve(retention: Mapping[str, Mean]) -> tuple[Array, Array, Array, Array]:
    """Return θ from 0 on, and the mean with its interval in percent, 100 at θ = 0; NaN if undefined."""
    thetas = sorted(retention, key=float)
    means = [retention[theta] for theta in thetas]
    ends = [[100.0, *(mean.value for mean in means)], [100.0, *(mean.low for mean in means)]]
    ends.append([100.0, *(mean.high for mean in means)])
    value, low, high = (np.array(end, np.float64) for end in ends)
    return np.array([0.0, *map(float, thetas)]), value, low, high
