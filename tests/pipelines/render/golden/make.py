"""Make the golden frames of test_renderer.py: `python -m tests.pipelines.render.golden.make`; look at them before."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from tests.helpers.saved import save_hot
from vidcam.pipelines.render.options import STYLES, RenderOptions
from vidcam.pipelines.render.renderer import render_saved


def main() -> None:
    """Write one small PNG for each style beside this file."""
    with tempfile.TemporaryDirectory() as folder:
        saved = save_hot(Path(folder))
        for style in STYLES:
            strip = style in {"overlay", "side-by-side"}
            options = RenderOptions(style=style, strip=strip, height=256, overwrite=True)
            render_saved(saved, Path(folder) / "poster.png", options)
            Image.open(Path(folder) / "poster.png").save(Path(__file__).with_name(f"{style}.png"), optimize=True)


if __name__ == "__main__":
    main()
