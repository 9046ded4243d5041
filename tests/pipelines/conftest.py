"""Videos and explainers for the pipelines' tests: small, synthetic, quick."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.videos import click, write_video
from vidcam.render.sheet import Sheet, SheetFormat
from vidcam.render.sheet_drawing import draw_sheet

VideoMaker = Callable[..., Path]


def moving_square(
    count: int, height: int, width: int, *, side: int = 24
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A white square that circles slowly on black: frames, and the square's middle (y, x) in each."""
    angles = np.linspace(0.0, 1.5 * np.pi, count)
    reach = min(height, width) / 2 - side
    centres = np.stack([height / 2 + reach * np.sin(angles), width / 2 + reach * np.cos(angles)], axis=1)
    corners = np.round(centres - side / 2).astype(int)
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    for frame, (top, left) in zip(frames, corners, strict=True):
        frame[top : top + side, left : left + side] = 255
    return frames, corners + side / 2


@pytest.fixture(scope="module", autouse=True)
def pictures_as_text() -> Iterator[None]:
    """Write what a sheet or a plot of scores shows instead of drawing it, which takes longer than the run.

    Equal files still mean equal pictures. The tests of `render` and of `score/test_plots.py` draw all pictures, and
    those with the fixture `drawn_sheets` the sheets.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vidcam.pipelines.render.sheet.draw_sheet", sheet_as_text)
        for name in ("alpha", "classes", "evidence", "relative", "retention", "sanity"):
            patch.setattr(f"vidcam.pipelines.score.plots.plot_{name}", partial(_write_numbers, name))
        yield


def sheet_as_text(sheet: Sheet, form: SheetFormat) -> bytes:
    """All that a sheet shows, its pictures as a hash."""
    rows = (sheet.source_frames, *(row.frames for block in sheet.blocks for row in block.rows))
    pictures = [frame.tobytes() for row in rows for frame in row]
    drawn = hashlib.sha256(b"".join([*pictures, sheet.table.tobytes()])).hexdigest()
    strips = [(strip.evidence, strip.windows, strip.top_labels) for strip in (block.strip for block in sheet.blocks)]
    with np.printoptions(precision=17, threshold=10**9):
        return f"{form} {sheet} {strips} {drawn}".encode()


def _write_numbers(name: str, path: Path, **numbers: Any) -> None:
    with np.printoptions(precision=17, threshold=10**9):
        path.write_text(f"{name} {numbers}", "utf-8")


@pytest.fixture
def drawn_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw sheets."""
    monkeypatch.setattr("vidcam.pipelines.render.sheet.draw_sheet", draw_sheet)


@pytest.fixture
def make_video(tmp_path: Path) -> VideoMaker:
    """Makes `<name>.mp4`: the moving square at 25 frames a second, with sound if wanted."""

    def make(name: str = "video", *, count: int = 75, height: int = 96, width: int = 128, sound: bool = False) -> Path:
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(_encoded(count, height, width, sound))
        return path

    return make


@cache
def _encoded(count: int, height: int, width: int, sound: bool) -> bytes:
    """An MP4 file, encoded once."""
    frames, _ = moving_square(count, height, width)
    samples = click(1.0, count / 25) if sound else None
    codec, pixels = ("libx264", "yuv420p") if sound else ("libx264rgb", "rgb24")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, frames, fps=Fraction(25), sound=samples, codec=codec, pixel_format=pixels)
        return path.read_bytes()
