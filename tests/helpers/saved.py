"""A saved explanation made by hand: one hot cell of the grid, over a video with uneven time stamps; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.videos import TIME_BASE, Samples, write_video
from vidcam.geometry import Geometry
from vidcam.render.sheet import Sheet, SheetFormat
from vidcam.render.sheet_drawing import draw_sheet
from vidcam.results.explanation import Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.video import Origin, VideoExplanation
from vidcam.system.fingerprint import sampled_sha256

SIZE = (128, 160)
GEOMETRY = Geometry(SIZE, (64, 80), (56, 56), 4, 12)
"""The model saw rows 8 to 120 and columns 24 to 136 of the source."""

BOX = (36, 64, 80, 108)
"""(top, bottom, left, right) of the hot cell on the source: row 1 and column 2 of a grid of 4 × 4."""

SCALE = {"gradcam": 0.02, "gradcam++": 250.0}
COUNT = 24


def uneven_ticks(count: int) -> list[int]:
    """A twenty-fifth of a second, every fifth frame twice as long."""
    steps = [512 * (2 if index % 5 == 4 else 1) for index in range(count)]
    return [sum(steps[:index]) for index in range(count)]


def grey_video(path: Path, *, count: int = COUNT, size: tuple[int, int] = SIZE, sound: Samples | None = None) -> Path:
    """Grey frames, each of another brightness, on the uneven ticks."""
    values = (70 + 3 * np.arange(count)).astype(np.uint8)
    frames = np.broadcast_to(values[:, None, None, None], (count, *size, 3)).copy()
    pixels = ("libx264rgb", "rgb24") if sound is None else ("libx264", "yuv420p")
    return write_video(path, frames, ticks=uneven_ticks(count), sound=sound, codec=pixels[0], pixel_format=pixels[1])


def hot_video(source: str, moments: NDArray[np.float64], end: float, *, windows: int = 3) -> VideoExplanation:
    """Windows of the same length one after the other; in each the same cell is hot, in the middle one the most."""
    edges = np.linspace(0.0, end, windows + 1)
    seconds = np.stack([np.linspace(start, stop, 4) for start, stop in pairwise(edges)])
    line = Timeline(edges[:-1], edges[1:], seconds)
    cell = np.zeros((windows, 2, 4, 4), np.float32)
    cell[:, :, 1, 2] = np.where(np.arange(windows) == windows // 2, 1.0, 0.6)[:, None]
    logits = np.zeros((windows, 3), np.float32)
    logits[np.arange(windows), np.arange(windows) % 3] = 2.0
    return VideoExplanation(
        source=source,
        model="by hand",
        geometry=GEOMETRY,
        timeline=line,
        labels=("running", "per-window"),
        explanations=tuple(
            Explanation(
                volumes={name: (cell * scale).astype(np.float32) for name, scale in SCALE.items()},
                logits=logits,
                target=target,
                contrast=None,
                layer="relu",
                input_size=(4, 56, 56),
            )
            for target in (np.zeros(windows, np.int64), logits.argmax(axis=1))
        ),
        bounds={name: (0.0, scale) for name, scale in SCALE.items()},
        class_labels={0: "running", 1: "jumping", 2: "sitting 座る"},
    )


def save_hot(
    folder: Path,
    *,
    count: int = COUNT,
    sound: Samples | None = None,
    mean_rgb: Sequence[float] = (40.0, 80.0, 160.0),
) -> Path:
    """`video.mp4` and `video.npz` in a folder; the path of the latter."""
    video = grey_video(folder / "video.mp4", count=count, sound=sound)
    ticks = uneven_ticks(count + 1)
    moments, end = np.array(ticks[:-1]) * float(TIME_BASE), float(ticks[-1] * Fraction(TIME_BASE))
    red, green, blue = mean_rgb
    origin = Origin("video.mp4", sampled_sha256([video]), (0.0, end), mean_rgb=(red, green, blue))
    replace(hot_video("video.mp4", moments, end), origin=origin).save(folder / "video.npz")
    return folder / "video.npz"


def found_box(picture: NDArray[np.uint8], table: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Where a picture in style heat has the colour of evidence above one half: (top, bottom, left, right)."""
    steps = np.arange(256)
    distance = ((picture[:, :, None, :].astype(int) - table[None, None, ::8].astype(int)) ** 2).sum(axis=-1)
    hot = steps[::8][distance.argmin(axis=-1)] >= 128
    rows, columns = np.flatnonzero(hot.any(axis=1)), np.flatnonzero(hot.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def sheets_drawn(monkeypatch: pytest.MonkeyPatch) -> list[Sheet]:
    """The sheets that are drawn from now on, as they are drawn."""
    sheets: list[Sheet] = []

    def draw(sheet: Sheet, form: SheetFormat) -> bytes:
        sheets.append(sheet)
        return draw_sheet(sheet, form)

    monkeypatch.setattr("vidcam.pipelines.render.sheet.draw_sheet", draw)
    return sheets
