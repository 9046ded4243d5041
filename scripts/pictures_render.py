"""Draw the pictures of docs/render.md: every style at the moment of the strongest evidence of the sample clip."""

from __future__ import annotations

import tempfile
from pathlib import Path

from vidcam.models.sample import sample_clip
from vidcam.pipelines.explain.explainer import explain_video
from vidcam.pipelines.explain.options import ExplainOptions
from vidcam.pipelines.render.options import STYLES, RenderOptions
from vidcam.pipelines.render.renderer import render_film

HEIGHT, BESIDE, TARGET = 300, 216, "parkour"
"""Rows of a picture, of one of several, and what is explained."""


def draw_styles(out: Path) -> None:
    """Write render-<style>.jpg into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        options = ExplainOptions(targets=(TARGET,), outputs=("data",))
        (saved, _) = explain_video(sample_clip(), folder, options=options).paths
        for style in STYLES:
            height = BESIDE if style == "side-by-side" else HEIGHT
            has_strip = style in {"overlay", "side-by-side"}
            look = RenderOptions(style=style, height=height, has_strip=has_strip, overwrite=True)
            render_film(saved, out / f"render-{style}.jpg", options=look)


if __name__ == "__main__":
    draw_styles(Path("docs"))
