"""Commands that are to fail in the middle, and what they leave."""

from __future__ import annotations

from pathlib import Path

BRIGHT = "tests.helpers.nets:brightness_model"
EVERYTHING = "overlay,map,sheet,data"


def explain(video: Path, out: Path, *more: str, outputs: str = EVERYTHING) -> list[str]:
    return ["explain", str(video), "-o", str(out), "--model", BRIGHT, "--outputs", outputs, "--overwrite", *more]


def content(folder: Path) -> dict[str, bytes]:
    """All that lies below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
