"""Saved explanations of videos, typed as such."""

from __future__ import annotations

from pathlib import Path

from vidcam.results.io import load
from vidcam.results.video import VideoExplanation


def load_video(path: Path) -> VideoExplanation:
    """What `Video.save` wrote."""
    video = load(path)
    assert isinstance(video, VideoExplanation)
    return video
