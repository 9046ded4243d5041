"""A video with its heat in a notebook: a few seconds around the moment with the most evidence."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from vidcam.errors import VidcamError
from vidcam.pipelines.audit import map_verdicts, video_remarks
from vidcam.pipelines.render.renderer import render_video
from vidcam.render.notebook import html_of, html_of_verdicts
from vidcam.results.video import VideoExplanation
from vidcam.system.progress import silent

SHOWN_SECONDS, SHOWN_ROWS = 8.0, 240
"""Length and height of the shown part."""


def html_of_explanation(explanation: VideoExplanation) -> str | None:
    """Render a part of the video with the first target's first method, and embed it in HTML below the verdicts.

    Returns:
        None if the video is not at hand, or cannot be drawn.
    """
    first, last = float(explanation.timeline.starts[0]), float(explanation.timeline.ends.max())
    moments = np.linspace(first, last, 64, endpoint=False)
    best = float(moments[explanation.evidence(explanation.explanations[0].methods[0], moments).argmax()])
    start = max(first, min(best - SHOWN_SECONDS / 2, last - SHOWN_SECONDS))
    rows = min(SHOWN_ROWS, explanation.geometry.source_size[0])
    with tempfile.TemporaryDirectory(prefix="vidcam-") as folder:
        path = Path(folder) / "shown.mp4"
        try:
            render_video(
                explanation, path, start=start, end=start + SHOWN_SECONDS, height=rows, sound=False, progress=silent
            )
        except VidcamError:
            return None
        return with_verdicts(explanation, html_of(path))


def with_verdicts(explanation: VideoExplanation, html: str | None) -> str | None:
    """Put the verdicts of a video above a part of a page; None stays None."""
    if html is None:
        return None
    return html_of_verdicts(map_verdicts(explanation), video_remarks(explanation)) + html
