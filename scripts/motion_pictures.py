"""Draws the pictures of docs/motion.md: one clip of each motion, and what the methods show of three actors."""

from __future__ import annotations

import io
from pathlib import Path

import click
import numpy as np
from groundtruth_maps import Shown, shown
from numpy.typing import NDArray
from PIL import Image

from vidcam.maps import Floats
from vidcam.media import Frames
from vidcam.models.families.tiny import TINY_SPECS
from vidcam.models.registry import load_model
from vidcam.motion import LABELS, MotionClip, make_clip
from vidcam.motion.tubes import boxes_filled
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import Overlay
from vidcam.render.page import Page, TextStyle

SEED = 3
"""Of the clips of the first picture."""

SEVERAL = (500_026, 2)
"""Seed and class of the clip of the second: three actors."""

MAPS = ("gradcam", "gradcam+", "gradcam++", "hirescam", "answer")

_GAP, _GUTTER = 3, 170
_NAME, _FRAME = TextStyle(15, bold=True), TextStyle(13, "#5c6068")
_EDGE = (255, 255, 255)


@click.command()
@click.option("--out", default="docs", show_default=True, type=click.Path(path_type=Path), help="Folder to write to.")
def pictures(out: Path) -> None:
    """Write motion.jpg and motion-maps.jpg."""
    save(strips({name: make_clip(SEED, index) for index, name in enumerate(LABELS)}), out / "motion.jpg")
    seed, label = SEVERAL
    clip = make_clip(seed, label, actors=3)
    rows = {"source": framed(clip)}
    for spec in TINY_SPECS:
        (entry,) = shown(load_model(spec.name, device="cpu"), [clip])
        rows |= {f"{spec.name} {name}" if name != "answer" else name: overlaid(entry, name) for name in MAPS}
    rows["answer"] = rows.pop("answer")
    save(rows_of(rows, range(0, 16, 2), side_px=96), out / "motion-maps.jpg")


def strips(clips: dict[str, MotionClip]) -> tuple[Page, int]:
    """A row for each clip, every second frame; the actor's box while it acts."""
    return rows_of({name: framed(clip) for name, clip in clips.items()}, range(0, 16, 2), side_px=96)


def rows_of(rows: dict[str, Frames], slots: range, *, side_px: int) -> tuple[Page, int]:
    """Named rows of frames."""
    page = Page(_GUTTER + len(slots) * (side_px + _GAP) - _GAP)
    for column, slot in enumerate(slots):
        page.text(_GUTTER + column * (side_px + _GAP) + side_px / 2, 2, f"frame {slot}", _FRAME, align="center")
    for number, (name, frames) in enumerate(rows.items()):
        top = 24 + number * (side_px + _GAP)
        for line, word in enumerate(name.split(" ", 1)):
            page.text(_GUTTER - 10, top + side_px / 2 - 20 + 20 * line, word, _NAME, align="right")
        for column, slot in enumerate(slots):
            page.picture(_GUTTER + column * (side_px + _GAP), top, enlarged(frames[slot], side_px))
    return page, 24 + len(rows) * (side_px + _GAP) - _GAP


def framed(clip: MotionClip) -> Frames:
    """The frames with a line around each actor that acts."""
    frames = clip.frames.copy()
    for region in boxes_filled(clip):
        frames[edge(region)] = _EDGE
    return frames


def edge(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels around boxes (T, H, W)."""
    frames, height, width = region.shape
    padded = np.zeros((frames, height + 2, width + 2), np.bool_)
    for down in range(3):
        for right in range(3):
            padded[:, down : down + height, right : right + width] |= region
    return padded[:, 1:-1, 1:-1] & ~region


def overlaid(entry: Shown, name: str) -> Frames:
    """The map over each frame, with the actors' boxes."""
    table, height, width = colour_table(), *entry.clip.frames.shape[1:3]
    view = slice(0, height), slice(0, width)
    heat: Floats = entry.heats[name].astype(np.float32)
    frames = np.stack([Overlay(table).blend(f, h, view) for f, h in zip(entry.clip.frames, heat, strict=True)])
    for region in entry.instances:
        frames[edge(region)] = _EDGE
    return frames


def enlarged(frame: Frames, side_px: int) -> Frames:
    """A square frame at another size."""
    return np.asarray(Image.fromarray(frame).resize((side_px, side_px), Image.Resampling.BICUBIC))


def save(drawn: tuple[Page, int], path: Path) -> None:
    """A page of a height as a JPEG."""
    page, height_px = drawn
    Image.open(io.BytesIO(page.to_png(height_px))).convert("RGB").save(path, quality=70, optimize=True)


if __name__ == "__main__":
    pictures()
