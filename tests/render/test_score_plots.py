from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from vidcam.pipelines.score.options import CONTROLS
from vidcam.render.colormap import PLOT_COLOURS
from vidcam.render.score_plots import (
    _log_axis,
    colours,
    plot_alpha,
    plot_classes,
    plot_evidence,
    plot_relative,
    plot_retention,
    plot_sanity,
)

THETAS = np.linspace(0, 1, 5)
CURVES = {name: (THETAS, 100 - k * THETAS, 95 - k * THETAS, 105 - k * THETAS) for k, name in enumerate("abc", 20)}


def test_controls_are_grey_and_methods_have_plot_colours() -> None:
    assert colours(["gradcam", "random", "gradcam++"]) == {
        "gradcam": PLOT_COLOURS[0],
        "random": "#8a8f98",
        "gradcam++": PLOT_COLOURS[1],
    }
    greys = colours(CONTROLS)
    assert len(set(greys.values())) == len(CONTROLS)
    assert not set(greys.values()) & set(PLOT_COLOURS)


@pytest.mark.parametrize("name", ["retention", "relative", "alpha", "classes", "evidence", "sanity"])
def test_every_plot_is_a_reproducible_picture(name: str, tmp_path: Path) -> None:
    contents = []
    for path in (tmp_path / "one.png", tmp_path / "two.png"):
        draw(name, path)
        contents.append(path.read_bytes())
        with Image.open(path) as picture:
            assert picture.width > 600
            assert np.asarray(picture.convert("L")).min() < 100
    assert contents[0] == contents[1]


@pytest.mark.parametrize("name", ["\x1b[31mred", "$\\frac{$ and $x$", "打哈欠", "a\nb"])
def test_any_name_can_be_drawn(name: str, tmp_path: Path) -> None:
    plot_classes(tmp_path / "a.png", {name: {name: 10.0}}, {name: 3}, title=name)
    plot_evidence(tmp_path / "b.png", {name: np.arange(4.0)}, title=name)
    plot_sanity(tmp_path / "c.png", [name], {name: [0.5]}, title=name)
    plot_relative(tmp_path / "d.png", {f"{name} vs {name}": np.array([1.0, 2.0])}, title=name)
    assert len(list(tmp_path.glob("*.png"))) == 4


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.45, 2.2, {"0.5", "0.8", "1", "1.25", "2"}),
        (0.97, 1.04, {"0.98", "1", "1.02", "1.04"}),
        (0.06, 3.0, {"0.1", "0.5", "1", "2"}),
    ],
)
def test_a_short_log_axis_has_plain_labels(low: float, high: float, labels: set[str]) -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(low, high)
    _log_axis(axes)
    ticks = zip(axes.get_xticks(), axes.xaxis.get_majorticklabels(), strict=True)
    assert labels <= {text.get_text() for position, text in ticks if low <= position <= high}


def draw(name: str, path: Path) -> None:
    values = np.random.default_rng(0).uniform(0.1, 0.5, (3, 20))
    if name == "retention":
        plot_retention(path, CURVES, title="t")
    elif name == "relative":
        plot_relative(path, {"a vs b": np.exp(values[0] * 9), "c vs b": np.array([np.inf, 0.0, 1.0])}, title="t")
    elif name == "alpha":
        plot_alpha(path, {"minimum": values[0], "median": np.where(values[1] > 0.4, np.nan, values[1])}, title="t")
    elif name == "classes":
        drops = {f"class {index}": {"a": 10.0 + index, "b": 20.0} for index in range(40)}
        plot_classes(path, drops, {label: index for index, label in enumerate(drops)}, title="t")
    elif name == "evidence":
        plot_evidence(path, {"a": values[0], "centre": values[1]}, title="t")
    else:
        plot_sanity(path, ["fc", "conv"], {"a": [0.5, None]}, title="t")
