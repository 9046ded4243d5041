"""The figure of docs/report.md: the page of the sample clip in a browser, at the moment of its strongest evidence."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

import vidcam
from scripts.bench.pages import opened
from vidcam.models.sample import sample_clip

WIDTH, QUALITY = 960, 82


def draw_page(out: Path) -> None:
    """Write report.jpg."""
    with tempfile.TemporaryDirectory() as folder:
        result = vidcam.explain_video(sample_clip(), folder, outputs="report")
        (page,) = [path for path in result.paths if path.suffix == ".html"]
        with opened(page) as state:
            state.page.evaluate("location.hash = '#t=2.900'")
            state.page.wait_for_timeout(2000)
            picture = state.page.screenshot(full_page=True)
    with Image.open(io.BytesIO(picture)) as shown:
        top = shown.convert("RGB").crop((0, 0, shown.width, min(shown.height, 1060)))
        size = (WIDTH, round(top.height * WIDTH / top.width))
        top.resize(size, Image.Resampling.LANCZOS).save(out / "report.jpg", quality=QUALITY)
