"""Draw the figures of the documentation: all, or those named."""

from __future__ import annotations

from pathlib import Path

import click

from scripts.figures.captions import draw_captions
from scripts.figures.footprints import draw_footprints
from scripts.figures.methods import draw_baseline, draw_methods
from scripts.figures.motion import draw_motion
from scripts.figures.page import draw_page
from scripts.figures.shapes import draw_shapes
from scripts.figures.showcase import draw_showcase
from scripts.figures.styles import draw_styles
from scripts.figures.truth import draw_truth

FIGURES = {
    "showcase": draw_showcase,
    "methods": draw_methods,
    "baseline": draw_baseline,
    "styles": draw_styles,
    "motion": draw_motion,
    "footprints": draw_footprints,
    "truth": draw_truth,
    "shapes": draw_shapes,
    "captions": draw_captions,
    "page": draw_page,
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(FIGURES)))
@click.option("--out", default="docs", show_default=True, type=click.Path(path_type=Path), help="Output folder.")
def figures(names: tuple[str, ...], out: Path) -> None:
    """Write the pictures of NAMES (default: all) and print their numbers."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names or FIGURES:
        FIGURES[name](out)


if __name__ == "__main__":
    figures()
