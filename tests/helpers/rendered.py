"""What is rendered in every form, and read back."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from tests.helpers.saved import COUNT, uneven_ticks
from tests.helpers.videos import TIME_BASE
from vidcam.pipelines.render.renderer import Rendered, render_video
from vidcam.render.box import Box
from vidcam.render.caption_plan import CaptionPlan
from vidcam.render.caption_text import Caption
from vidcam.render.captions import ColourBar, draw_caption
from vidcam.render.overlay import View, draw_outline
from vidcam.video.reader import open_video

PTS = np.array(uneven_ticks(COUNT)) * float(TIME_BASE)
END = uneven_ticks(COUNT + 1)[-1] * float(TIME_BASE)
BARE: dict[str, Any] = {"style": "heat", "captions": "none", "outline": False}


def render(saved: Path, out: Path, **options: Any) -> Rendered:
    return render_video(saved, out, **options)


def opened(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def read(path: Path) -> tuple[list[NDArray[np.uint8]], NDArray[np.float64], float]:
    """Frames, time stamps and end of any form that moves."""
    if path.is_dir():
        rows = list(csv.DictReader((path / "times.csv").read_text().splitlines()))
        frames = [opened(path / row["file"]) for row in rows[:-1]]
        return frames, np.array([float(row["seconds"]) for row in rows[:-1]]), float(rows[-1]["seconds"])
    if path.suffix in {".gif", ".webp"}:
        with Image.open(path) as animation:
            pages = [
                (np.asarray(page.convert("RGB")), page.info["duration"]) for page in ImageSequence.Iterator(animation)
            ]
        ends = np.cumsum([0.0, *(duration / 1000 for _, duration in pages)])
        return [frame for frame, _ in pages], ends[:-1], float(ends[-1])
    with open_video(path) as reader:
        return [frame for _, frame in reader.frames()], reader.info.pts_seconds, reader.info.duration_seconds


FORMS = [
    ("video.mp4", {}, 1e-9),
    ("video.mp4", {"codec": "hevc"}, 1e-9),
    ("video.mp4", {"codec": "av1"}, 1e-9),
    ("video.mp4", {"codec": "vp9"}, 1e-9),
    ("video.webm", {}, 6e-4),
    ("video.webm", {"codec": "av1"}, 6e-4),
    ("video.gif", {}, 6e-3),
    ("video.webp", {}, 6e-4),
    ("folder", {}, 1e-8),
]


def copied(saved: Path, folder: Path) -> Path:
    for name in ("video.npz", "video.mp4"):
        shutil.copy(saved.with_name(name), folder / name)
    return folder / "video.npz"


def outlined(frame: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """A copy of a frame with the outline of a view."""
    picture = frame.copy()
    draw_outline(picture, view)
    return picture


def captions_drawn(monkeypatch: pytest.MonkeyPatch) -> list[Caption]:
    """The captions that are drawn from now on, as they are drawn."""
    drawn: list[Caption] = []

    def draw(plan: CaptionPlan, caption: Caption, bar: ColourBar | None) -> Box:
        drawn.append(
            Caption(caption.rows[: len(plan.text_cells)], caption.method if plan.method_cell else "", caption.word)
        )
        return draw_caption(plan, caption, bar)

    monkeypatch.setattr("vidcam.pipelines.render.captions.draw_caption", draw)
    return drawn
