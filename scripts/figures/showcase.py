"""The moving picture of the README: made clips with their truth, beside a real clip whose map is not to be trusted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation

import vidcam
from vidcam.media import Frames
from vidcam.models.sample import sample_clip
from vidcam.motion.box_tracks import filled_boxes
from vidcam.motion.clip import make_clip
from vidcam.motion.paths import LABELS
from vidcam.pipelines.study.motion_set import FPS, write_video
from vidcam.render.canvas import Canvas, TextStyle
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import Overlay
from vidcam.results.video import VideoExplanation
from vidcam.video.animation import AnimationWriter
from vidcam.video.reader import open_video

MADE = ((47, "spin clockwise"), (25, "circle counter-clockwise"), (30, "spin clockwise"))
"""Seeds and classes, chosen among 376 clips: on them the peak of the map lies in the truth."""

HEIGHT, SCALE, GAP, LINE = 288, 4, 12, 30
BOLD, PLAIN, ALARM = TextStyle(17, bold=True), TextStyle(16, "#33363b"), TextStyle(16, "#b3400e", bold=True)


def draw_showcase(out: Path) -> None:
    """Write showcase.webp."""
    with tempfile.TemporaryDirectory() as folder:
        made, labels = _made(Path(folder))
        real, alarm = _real(Path(folder), len(made))
    right = HEIGHT + GAP
    pages = []
    for left_frame, label, right_frame in zip(made, labels, real, strict=True):
        page = Canvas(right + right_frame.shape[1])
        page.text(0, 2, "Made clip. Box: the truth", BOLD)
        page.text(0, LINE, label, PLAIN)
        page.text(right, 2, "Real clip. Can this map be trusted?", BOLD)
        page.text(right, LINE, f"vidcam: gradcam++ is {alarm} here.", ALARM)
        page.picture(0, 2 * LINE, left_frame)
        page.picture(right, 2 * LINE, right_frame)
        pages.append(page.to_pixels(2 * LINE + HEIGHT))
    path, seconds = out / "showcase.webp", len(pages) / float(FPS)
    size = (pages[0].shape[0], pages[0].shape[1])
    with AnimationWriter(path, size=size, count=len(pages), duration_seconds=seconds, quality=70) as writer:
        for number, page_pixels in enumerate(pages):
            writer.write(page_pixels, number / float(FPS))


def _made(folder: Path) -> tuple[list[Frames], list[str]]:
    """Frames with heat and truth, and the label of each."""
    frames: list[Frames] = []
    labels: list[str] = []
    for seed, label in MADE:
        clip = make_clip(seed, LABELS.index(label))
        video = write_video(folder / f"{seed}.mp4", [clip.frames], scale=SCALE)
        result = vidcam.explain_video(
            video, folder / "made", model="tiny_r3d", targets=label, methods="neutral-gradcam", outputs="data"
        )
        region = filled_boxes(clip).any(axis=0).repeat(SCALE, axis=1).repeat(SCALE, axis=2)
        edge = binary_dilation(region, np.ones((1, 5, 5))) & ~region
        for frame, line in zip(
            _drawn(video, result.explanation, "neutral-gradcam", len(clip.frames)), edge, strict=True
        ):
            frame[line] = 255
            frames.append(_resized(frame))
            labels.append(label)
    return frames, labels


def _real(folder: Path, count: int) -> tuple[list[Frames], str]:
    """Frames with the heat of gradcam++, and the verdict on it."""
    video = sample_clip()
    result = vidcam.explain_video(video, folder / "real", targets="parkour", methods="gradcam++", outputs="data")
    verdict = result.explanation.verdict("gradcam++")
    return [_resized(frame) for frame in _drawn(video, result.explanation, "gradcam++", count)], verdict.word


def _drawn(video: Path, explanation: VideoExplanation, method: str, count: int) -> list[Frames]:
    """Overlays of frames at the rate of the made clips, from the start of the video."""
    overlay, view = Overlay(colour_table()), explanation.geometry.view_slices()
    with open_video(video) as reader:
        moments = np.arange(count) / float(FPS)
        return [
            overlay.blend(frame, explanation.source_heat(method, float(moment)).astype(np.float32), view)
            for moment, (_, frame) in zip(moments, reader.frames_at(moments), strict=True)
        ]


def _resized(frame: Frames) -> Frames:
    width = round(frame.shape[1] * HEIGHT / frame.shape[0])
    return np.asarray(Image.fromarray(frame).resize((width, HEIGHT), Image.Resampling.LANCZOS))
