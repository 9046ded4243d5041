"""The pictures of a table of scores: retention as GC++ fig. 10, relative performance as EQ fig. 6, α as EQ fig. 3–4.

Plain numbers in, PNG files out; the same numbers give the same bytes. Controls are drawn grey and dashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from vidcam.render.colormap import PLOT_COLOURS

Array = NDArray[np.float64]

CONTROL_COLOURS = {"random": "#8a8f98", "centre": "#b9bec6"}
_DPI = 120
_MOST_CLASSES = 12


def colours(methods: Sequence[str]) -> dict[str, str]:
    """A colour for each method, the same in all plots of one run."""
    own = cycle(PLOT_COLOURS)
    return {method: CONTROL_COLOURS.get(method) or next(own) for method in methods}


def plot_retention(path: Path, curves: Mapping[str, tuple[Array, Array, Array, Array]], *, title: str) -> None:
    """What is left of the probability against the hidden share.

    Args:
        path: of the PNG.
        curves: method → hidden shares θ (P,), mean(100·O/Y), lower and upper end of its interval.
        title: above.
    """
    figure, axes = _figure(title, (7.2, 4.8))
    for method, colour in colours(list(curves)).items():
        thetas, mean, low, high = curves[method]
        axes.plot(thetas, mean, color=colour, label=method, **_line(method))
        axes.fill_between(thetas, low, high, color=colour, alpha=0.13, linewidth=0)
    axes.set_xlabel("hidden share θ of the voxels, lowest first")
    axes.set_ylabel("mean of 100·O/Y, %")
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    _finish(figure, axes, path)


def plot_relative(path: Path, ratios: Mapping[str, Array], *, title: str) -> None:
    """Relative performance of pairs, one box a pair, on a logarithmic axis; 1 means the same.

    Args:
        path: of the PNG.
        ratios: 'a vs b' → O_a / O_b of each clip, (N,).
        title: above.
    """
    figure, axes = _figure(title, (7.2, 1.4 + 0.5 * len(ratios)))
    boxes = [np.clip(values, 1e-6, 1e6) for values in ratios.values()]
    axes.boxplot(boxes, orientation="horizontal", tick_labels=list(ratios), **_BOX)
    axes.axvline(1.0, color="#33363b", linewidth=0.8, linestyle=":")
    _log_axis(axes)
    axes.invert_yaxis()
    axes.set_xlabel("O of the first / O of the second (whiskers: 5–95 %)")
    _finish(figure, axes, path, legend=False)


def plot_alpha(path: Path, numbers: Mapping[str, Array], *, title: str) -> None:
    """How α of Grad-CAM++ is distributed: a box over the clips for each of a clip's own numbers.

    Args:
        path: of the PNG.
        numbers: 'minimum', 'lower quartile', … → (N,), over positions with g > 0.
        title: above.
    """
    figure, axes = _figure(title, (7.2, 4.2))
    kept = {name: values[~np.isnan(values)] for name, values in numbers.items()}
    axes.boxplot(list(kept.values()), tick_labels=list(kept), **_BOX)
    axes.axhline(0.5, color="#33363b", linewidth=0.8, linestyle=":")
    axes.set_ylabel("α where g > 0")
    axes.set_ylim(-0.02, 0.55)
    _finish(figure, axes, path, legend=False)


def plot_classes(
    path: Path, drops: Mapping[str, Mapping[str, float]], counts: Mapping[str, int], *, title: str
) -> None:
    """Average Drop of each class, one bar a method; of many classes the ones with most clips.

    Args:
        path: of the PNG.
        drops: class → method → percent.
        counts: class → clips.
        title: above.
    """
    chosen = sorted(drops, key=lambda label: (-counts[label], label))[:_MOST_CLASSES]
    methods = list(next(iter(drops.values()), {}))
    figure, axes = _figure(title, (7.6, 1.6 + 0.16 * len(chosen) * (len(methods) + 1)))
    height = 0.84 / max(1, len(methods))
    for row, (method, colour) in enumerate(colours(methods).items()):
        places = np.arange(len(chosen)) - 0.42 + (row + 0.5) * height
        axes.barh(places, [drops[label][method] for label in chosen], height, color=colour, label=method)
    axes.set_yticks(np.arange(len(chosen)), [f"{label[:32]} ({counts[label]})" for label in chosen])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("Average Drop, % (in brackets: clips)")
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    _finish(figure, axes, path, legend=False)


def plot_evidence(path: Path, courses: Mapping[str, Array], *, title: str) -> None:
    """When the evidence came: the mean of the map in each frame, mean over the clips.

    Args:
        path: of the PNG.
        courses: method → (T,).
        title: above.
    """
    figure, axes = _figure(title, (7.2, 3.6))
    for method, colour in colours(list(courses)).items():
        axes.plot(np.arange(courses[method].size), courses[method], color=colour, label=method, **_line(method))
    axes.set_xlabel("frame of the window")
    axes.set_ylabel("mean of the map")
    axes.set_ylim(bottom=0)
    _finish(figure, axes, path)


def plot_sanity(
    path: Path, layers: Sequence[str], correlations: Mapping[str, Sequence[float | None]], *, title: str
) -> None:
    """Rank correlation of the maps with those of a model whose layers were drawn anew, from the last one down.

    Args:
        path: of the PNG.
        layers: names, the last first.
        correlations: method → one mean a layer.
        title: above.
    """
    figure, axes = _figure(title, (7.2, 4.6))
    for method, colour in colours(list(correlations)).items():
        values = [np.nan if value is None else value for value in correlations[method]]
        axes.plot(np.arange(len(values)), values, color=colour, marker="o", markersize=3, label=method)
    axes.set_xticks(np.arange(len(layers)), list(layers), rotation=60, ha="right", fontsize=7)
    axes.set_ylabel("Spearman's rank correlation")
    axes.set_ylim(-0.6, 1.05)
    axes.axhline(0.0, color="#33363b", linewidth=0.8, linestyle=":")
    _finish(figure, axes, path)


def _log_axis(axes: Axes) -> None:
    """A logarithmic x axis with plain numbers: 0.5, 0.8, 1, 1.25, 2 where it spans less than two decades."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    if high / low >= _MANY:
        return
    even = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])
    axes.xaxis.set_major_locator(even if high / low < _FEW else LogLocator(subs=_STEPS))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


_FEW, _MANY = 1.5, 100.0
"""Ends of an axis over each other: below the first, steps are even; from the second on, powers of ten are enough."""

_STEPS = (1.0, 1.25, 2.0, 5.0, 8.0)

_BOX: dict[str, Any] = {
    "whis": (5, 95),
    "widths": 0.6,
    "medianprops": {"color": "#d55e00"},
    "flierprops": {"marker": ".", "markersize": 2, "markeredgecolor": "#8a8f98"},
}


def _line(method: str) -> dict[str, Any]:
    return {"linewidth": 1.4, "linestyle": "--"} if method in CONTROL_COLOURS else {"linewidth": 1.8}


def _figure(title: str, size_inches: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size_inches, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=9, loc="left")
    axes.grid(visible=True, color="#e6e8eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _finish(figure: Figure, axes: Axes, path: Path, *, legend: bool = True) -> None:
    if legend:
        axes.legend(fontsize=8, frameon=False)
    canvas = FigureCanvasAgg(figure)
    with path.open("wb") as file:  # `savefig` would draw twice: the first time for the layout alone
        canvas.print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
