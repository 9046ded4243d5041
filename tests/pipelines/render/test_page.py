"""A video explanation in a notebook."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import vidcam
from tests.helpers.saved import save_hot
from vidcam.results.video import VideoExplanation
from vidcam.video.reader import open_video


def test_a_notebook_shows_the_clip_with_its_heat(tmp_path: Path) -> None:
    explanation = vidcam.load(save_hot(tmp_path))
    assert isinstance(explanation, VideoExplanation)
    html = explanation._repr_html_() or ""
    assert html.count("not checked") == 4  # two methods of two targets, in a file without verdicts
    data = re.search(r'</div><video controls loop muted src="data:video/mp4;base64,([^"]+)" .*></video>$', html)
    assert data is not None
    shown = tmp_path / "shown.mp4"
    shown.write_bytes(base64.b64decode(data[1]))
    with open_video(shown) as reader:
        assert reader.info.size == explanation.geometry.source_size
        assert reader.info.frame_count == 24


def test_without_the_video_nothing_is_shown(tmp_path: Path) -> None:
    explanation = vidcam.load(save_hot(tmp_path))
    (tmp_path / "video.mp4").unlink()
    assert isinstance(explanation, VideoExplanation)
    assert explanation._repr_html_() is None
