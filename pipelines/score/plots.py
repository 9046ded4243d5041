"""The plots of a scoring run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    for name, draw in _Plots(table, summary).available():
        with atomic_write(out / name, sync=True) as path:
            draw(path)
        captions[name] = CAPTIONS[name]
    return captions


@dataclass(frozen=True, slots=True, eq=False)
class _Plots:
    """The plots of one run."""

    table: ScoreTable = field(repr=False)
    summary: Summary = field(repr=False)

    def available(self) -> list[tuple[str, Callable[[Path], None]]]:
        """Return the plots for which there are numbers: file name and drawing function."""
        methods, sanity = self.summary.methods, self.summary.sanity
        plots: list[tuple[str, Callable[[Path], None], object]] = [
            ("retention.png", self._retention, next(iter(methods.values())).retention),
            ("relative.png", self._relative, self._ratios()),
            ("alpha.png", self._alpha, "gradcam++" in methods and methods["gradcam++"].alpha),
            ("classes.png", self._classes, True),
            ("evidence.png", self._evidence, self.table.evidence),
            ("sanity.png", self._sanity, sanity and sanity.layers),
        ]
        return [(name, draw) for name, draw, numbers in plots if numbers]

    @property
    def _setting(self) -> str:
        return f"{self.summary.settings.where}, fill {self.summary.settings.fill}, n = {self.table.n}"

    def _retention(self, path: Path) -> None:
        curves = {method: _curve(figures.retention) for method, figures in self.summary.methods.items()}
        plot_retention(path, curves, title=f"Retention: {self._setting}")

    def _relative(self, path: Path) -> None:
        plot_relative(path, self._ratios(), title=f"Relative performance: {self._setting}")

    def _ratios(self) -> dict[str, Array]:
        """Return O_a / O_b of each pair of methods, with the logit's and, if scored, the probability's maps."""
        return {
            f"{a} vs {b}{kind}": np.exp(pair_ratios(self.table, a, b, column))
            for a, b in pair_names(self.table.methods)
            for column, kind in (("log_masked_probability", ""), (POST_SOFTMAX, ", post-softmax"))
            if b not in CONTROLS and (not kind or has_post_softmax(self.table, a, b))
        }

    def _alpha(self, path: Path) -> None:
        numbers = {name: self.table.values("gradcam++", f"alpha_{column}") for name, column in _ALPHA.items()}
        plot_alpha(path, numbers, title=f"α of gradcam++: {self._setting}")

    def _classes(self, path: Path) -> None:
        classes = self.summary.classes
        drops = {label: figures.average_drop for label, figures in classes.items()}
        counts = {label: figures.n for label, figures in classes.items()}
        plot_classes(path, drops, counts, title=f"Average Drop by class: {self._setting}")

    def _evidence(self, path: Path) -> None:
        plot_evidence(path, self.table.evidence, title=f"Evidence over time: {self._setting}")

    def _sanity(self, path: Path) -> None:
        summary, sanity = self.summary, self.summary.sanity
        assert sanity is not None
        correlations = {method: figures.correlation for method, figures in sanity.cascading.items()}
        title = f"Sanity check: {summary.settings.where}, {len(sanity.clips)} clips"
        plot_sanity(path, sanity.layers, correlations, title=title)


def _curve(retention: Mapping[str, Mean]) -> tuple[Array, Array, Array, Array]:
    """Return θ from 0 on, and the mean with its interval in percent, 100 at θ = 0; NaN if undefined."""
    thetas = sorted(retention, key=float)
    means = [retention[theta] for theta in thetas]
    ends = [[100.0, *(mean.value for mean in means)], [100.0, *(mean.low for mean in means)]]
    ends.append([100.0, *(mean.high for mean in means)])
    value, low, high = (np.array(end, np.float64) for end in ends)
    return np.array([0.0, *map(float, thetas)]), value, low, high
