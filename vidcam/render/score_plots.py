"""Plot a table of scores as PNG files.

Retention is plotted as in arXiv:1710.11063 (Grad-CAM++), fig. 10; relative performance and α as in arXiv:2205.10838,
fig. 6 and fig. 3–4. Controls are grey and not solid. The same numbers give the same bytes. `path` is that of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from vidcam.render.colormap import PLOT_COLOURS
from vidcam.render.fonts import drawable, families

Array = NDArray[np.float64]

_CONTROL_STYLES = {
    "random": ("#8a8f98", "--"),
    "centre": ("#b9bec6", "--"),
    "frame-difference": ("#5c6168", "-."),
    "uniform": ("#757b84", ":"),
}
"""Grey and line style of each control."""
_DPI = 120
_MAX_CLASSES = 12


def colours(methods: Sequence[str]) -> dict[str, str]:
    """Choose a colour for each method. All plots of a run use the same colours."""
    palette = cycle(PLOT_COLOURS)
    return {method: _CONTROL_STYLES[method][0] if method in _CONTROL_STYLES else next(palette) for method in methods}


def plot_retention(path: Path, curves: Mapping[str, tuple[Array, Array, Array, Array]], *, title: str) -> None:
    """Plot the remaining probability against the hidden share of the clip.

    `curves` are method → hidden shares θ (P,) from 0 on, the mean of 100·O/Y, and the ends of its interval. Intervals
    of controls are not drawn.
    """
    with _plot(path, title, (7.2, 4.8)) as axes:
        methods = [method for method in curves if method not in _CONTROL_STYLES]
        thetas = np.unique(np.concatenate([shares for shares, *_ in curves.values()]))
        apart = 0.12 * float(np.diff(thetas).min()) / max(1, len(methods))  # intervals beside each other hide no curve
        for method, colour in colours(list(curves)).items():
            shares, mean, low, high = curves[method]
            axes.plot(shares, mean, color=colour, label=_plain(method), **_line(method))
            if method in methods:
                x = shares[1:] + apart * (methods.index(method) - (len(methods) - 1) / 2)
                axes.vlines(x, low[1:], high[1:], color=colour, linewidth=1.1, alpha=0.8)
        axes.set_xlabel("hidden share of the voxels, those with the lowest evidence first, %")
        axes.set_ylabel("what is left of the probability, mean over the clips, %")
        axes.set_xlim(0, float(thetas[-1]) + 0.02)
        axes.set_xticks(thetas, [f"{100 * theta:g}" for theta in thetas])
        axes.set_ylim(bottom=0)


def plot_relative(path: Path, ratios: Mapping[str, Array], *, title: str) -> None:
    """Plot the relative performance of pairs of methods: one box per pair on a logarithmic axis. 1 means equal.

    `ratios` are 'a vs b' → O_a / O_b of each clip, (N,).
    """
    with _plot(path, title, (7.2, 1.4 + 0.5 * len(ratios)), legend=False) as axes:
        boxes = [np.clip(values, 1e-6, 1e6) for values in ratios.values()]
        axes.boxplot(boxes, orientation="horizontal", tick_labels=[*map(_plain, ratios)], **_BOX)
        axes.axvline(1.0, color="#33363b", linewidth=0.8, linestyle=":")
        _log_axis(axes)
        axes.invert_yaxis()
        axes.set_xlabel("left by the first map / by the second, each clip (whiskers: 5–95 %)")


def plot_alpha(path: Path, numbers: Mapping[str, Array], *, title: str) -> None:
    """Plot the distribution of α of Grad-CAM++: one box over the clips for each statistic of a clip.

    `numbers` are 'minimum', 'lower quartile', … → the statistic of each clip over positions with g > 0, (N,). NaN is
    left out.
    """
    with _plot(path, title, (7.2, 4.2), legend=False) as axes:
        finite = {name: values[~np.isnan(values)] for name, values in numbers.items()}
        axes.boxplot(list(finite.values()), tick_labels=[*map(_plain, finite)], **_BOX)
        axes.axhline(0.5, color="#33363b", linewidth=0.8, linestyle=":")
        axes.set_ylabel("α where g > 0")
        axes.set_ylim(-0.02, 0.55)


def plot_classes(
    path: Path, drops: Mapping[str, Mapping[str, float]], counts: Mapping[str, int], *, title: str
) -> None:
    """Plot the Average Drop of each class, one bar per method. At most 12 classes are shown: those with most clips.

    `drops` are class → method → Average Drop in percent, and `counts` class → number of clips.
    """
    shown = sorted(drops, key=lambda label: (-counts[label], label))[:_MAX_CLASSES]
    methods = list(next(iter(drops.values()), {}))
    with _plot(path, title, (7.6, 1.6 + 0.16 * len(shown) * (len(methods) + 1)), legend=False) as axes:
        height = 0.84 / max(1, len(methods))
        for row, (method, colour) in enumerate(colours(methods).items()):
            y = np.arange(len(shown)) - 0.42 + (row + 0.5) * height
            axes.barh(y, [drops[label][method] for label in shown], height, color=colour, label=_plain(method))
        axes.set_yticks(np.arange(len(shown)), [_plain(f"{label[:32]} ({counts[label]})") for label in shown])
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("Average Drop, % (in brackets: clips)")
        axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1.0))


def plot_evidence(path: Path, curves: Mapping[str, Array], *, title: str) -> None:
    """Plot the evidence over time: the mean of the map in each frame, averaged over the clips.

    `curves` are method → (T,).
    """
    with _plot(path, title, (7.2, 3.6)) as axes:
        for method, colour in colours(list(curves)).items():
            axes.plot(
                np.arange(curves[method].size), curves[method], color=colour, label=_plain(method), **_line(method)
            )
        axes.set_xlabel("frame of the window")
        axes.set_ylabel("mean of the map")
        axes.set_ylim(bottom=0)


def plot_sanity(
    path: Path, layers: Sequence[str], correlations: Mapping[str, Sequence[float | None]], *, title: str
) -> None:
    """Plot the sanity check: rank correlation of the maps while layers are randomised one after the other.

    `layers` are in the order of randomisation, the last layer first; `correlations` are method → mean rank correlation
    with the original maps after each layer.
    """
    with _plot(path, title, (7.2, 4.6)) as axes:
        for method, colour in colours(list(correlations)).items():
            values = [np.nan if value is None else value for value in correlations[method]]
            axes.plot(np.arange(len(values)), values, color=colour, marker="o", markersize=3, label=_plain(method))
        axes.set_xticks(np.arange(len(layers)), [*map(_plain, layers)], rotation=60, ha="right", fontsize=7)
        axes.set_ylabel("Spearman's rank correlation")
        axes.set_ylim(-0.6, 1.05)
        axes.axhline(0.0, color="#33363b", linewidth=0.8, linestyle=":")


Point = tuple[float, Mapping[str, tuple[float, float, float]]]
"""Accuracy in [0, 1] of a run; method → Average Drop in percent, and the ends of its interval, NaN if undefined."""


def plot_accuracy(path: Path, runs: Mapping[str, Point], *, title: str) -> None:
    """Plot the Average Drop of runs against their accuracy: one colour for each method, one marker for each run.

    Points lie beside each other, a few pixels apart, as runs may have one accuracy.

    `runs` are name → its point.
    """
    with _plot(path, title, (7.2, 4.8)) as axes:
        methods = list(dict.fromkeys(method for _, drops in runs.values() for method in drops))
        palette, markers = colours(methods), dict(zip(runs, cycle(_MARKERS), strict=False))
        slots = [(name, method) for name in runs for method in methods if method in runs[name][1]]
        for place, (name, method) in enumerate(slots):
            accuracy, (value, low, high) = 100 * runs[name][0], runs[name][1][method]
            aside = ScaledTranslation(_APART_INCHES * (place - (len(slots) - 1) / 2), 0.0, axes.figure.dpi_scale_trans)
            style: dict[str, Any] = {"color": palette[method], "transform": axes.transData + aside}
            axes.plot([accuracy], [value], markers[name], markersize=6, **style)
            axes.plot([accuracy, accuracy], [low, high], linewidth=1.1, **style)
        for method in methods:
            axes.plot([], [], "-", color=palette[method], label=_plain(method))
        for name in runs:
            axes.plot([], [], markers[name], color="#33363b", label=_plain(f"{name[:40]}: {100 * runs[name][0]:.1f} %"))
        known = [100 * accuracy for accuracy, _ in runs.values()]
        axes.set_xlim(min(known) - _LEAST_SPAN / 2, max(known) + _LEAST_SPAN / 2)
        axes.set_xlabel("accuracy (top-1), %")
        axes.set_ylabel("Average Drop, % (lower: the map alone keeps more)")
        axes.set_ylim(0, 100)


_MARKERS = "osD^vP*X"
_APART_INCHES = 0.09
_LEAST_SPAN = 10.0
"""Percentage points that the axis of accuracy shows at least."""


def _log_axis(axes: Axes) -> None:
    """Make the x axis logarithmic, with plain tick labels: 0.5, 0.8, 1, 1.25, 2."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    even = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])
    steps = _LOG_STEPS if high / low < _DECADES_FROM else (1.0,)
    axes.xaxis.set_major_locator(even if high / low < _EVEN_STEPS_BELOW else LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


_EVEN_STEPS_BELOW, _DECADES_FROM = 1.5, 100.0
"""Ratios of the ends of the axis: ticks at even steps below the first, ticks at powers of ten from the second on."""

_LOG_STEPS = (1.0, 1.25, 2.0, 5.0, 8.0)

_BOX: dict[str, Any] = {
    "whis": (5, 95),
    "widths": 0.6,
    "medianprops": {"color": "#d55e00"},
    "flierprops": {"marker": ".", "markersize": 2, "markeredgecolor": "#8a8f98"},
}


def _plain(text: str) -> str:
    """Return what can be drawn, without formulas: matplotlib sets what stands between two dollars as one."""
    return drawable(text).replace("$", r"\$")


def _line(method: str) -> dict[str, Any]:
    _, style = _CONTROL_STYLES.get(method, ("", "-"))
    return {"linewidth": 1.8 if style == "-" else 1.4, "linestyle": style}


@contextmanager
def _plot(path: Path, title: str, size_inches: tuple[float, float], *, legend: bool = True) -> Iterator[Axes]:
    figure = Figure(figsize=size_inches, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(_plain(title), fontsize=9, loc="left")
    axes.grid(visible=True, color="#e6e8eb", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    if legend:
        axes.legend(fontsize=8, frameon=False)
    for text in figure.findobj(Text):
        text.set_fontfamily(families())
    canvas = FigureCanvasAgg(figure)
    with path.open("wb") as file:  # `savefig` would draw twice, once only for the layout
        canvas.print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
