"""Figures of docs/render.md: every style, at the strongest evidence of the sample clip."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

import vidcam
from vidcam.models.sample import sample_clip
from vidcam.pipelines.render.options import STYLES

HEIGHT, BESIDE, TARGET = 300, 216, "parkour"
"""Height of a picture, height of one side by side, and the target."""

SHEET_WIDTH = 1100


def draw_styles(out: Path) -> None:
    """Write render-<style>.jpg and sheet.jpg."""
    with tempfile.TemporaryDirectory() as folder:
        saved, *_ = vidcam.explain_video(sample_clip(), folder, targets=TARGET, outputs="data").paths
        for style in STYLES:
            height = BESIDE if style == "side-by-side" else HEIGHT
            strip = style in {"overlay", "side-by-side"}
            vidcam.render_video(
                saved, out / f"render-{style}.jpg", style=style, height=height, strip=strip, overwrite=True
            )
        page = Path(folder) / "sheet.png"
        vidcam.render_video(saved, page, form="sheet")
        with Image.open(page) as sheet:
            size = (SHEET_WIDTH, round(sheet.height * SHEET_WIDTH / sheet.width))
            sheet.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(out / "sheet.jpg", quality=85)
