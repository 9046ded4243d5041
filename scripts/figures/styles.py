"""Figures of docs/render.md: every style at the moment of the strongest evidence of the sample clip."""

from __future__ import annotations

import tempfile
from pathlib import Path

import vidcam
from vidcam.models.sample import sample_clip
from vidcam.pipelines.render.options import STYLES

HEIGHT, BESIDE, TARGET = 300, 216, "parkour"
"""Rows of a picture, of one of several, and the target."""


def draw_styles(out: Path) -> None:
    """Write render-<style>.jpg."""
    with tempfile.TemporaryDirectory() as folder:
        options = vidcam.ExplainOptions(targets=(TARGET,), outputs=("data",))
        saved, *_ = vidcam.explain_video(sample_clip(), folder, options=options).paths
        for style in STYLES:
            height = BESIDE if style == "side-by-side" else HEIGHT
            has_strip = style in {"overlay", "side-by-side"}
            look = vidcam.RenderOptions(style=style, height=height, has_strip=has_strip, overwrite=True)
            vidcam.render_film(saved, out / f"render-{style}.jpg", options=look)
