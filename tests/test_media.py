from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.media import VideoInfo


def info(pts: Any, duration: float = 10.0) -> VideoInfo:
    return VideoInfo(
        path="a.mp4",
        size=(90, 160),
        rotation_degrees=0,
        fps=Fraction(25),
        pts_seconds=np.asarray(pts, dtype=np.float64),
        duration_seconds=duration,
        time_base=Fraction(1, 12800),
        codec="h264",
        pixel_format="yuv420p",
        has_audio=False,
    )


def test_frame_count() -> None:
    assert info([0.0, 0.04, 0.08]).frame_count == 3
    assert info([0.0]).frame_count == 1


@pytest.mark.parametrize("pts", [[], [[0.0, 1.0]]])
def test_pts_must_have_one_axis(pts: list[Any]) -> None:
    with pytest.raises(ShapeError, match=r"pts_seconds must be \(F,\) with F >= 1, got pts_seconds.shape = "):
        info(pts)


@pytest.mark.parametrize("pts", [[0.04, 0.08], [0.0, 1.0, 1.0], [0.0, 2.0, 1.0], [float("nan")]])
def test_pts_must_start_at_zero_and_increase(pts: list[float]) -> None:
    with pytest.raises(ShapeError, match=r"pts_seconds must start at 0 and increase, got .* a smallest step of "):
        info(pts)


@pytest.mark.parametrize("duration", [0.08, 0.05, float("nan")])
def test_video_must_end_after_its_last_frame(duration: float) -> None:
    with pytest.raises(ShapeError, match=r"duration_seconds is .*, but the last frame is at 0\.08"):
        info([0.0, 0.08], duration)


def test_info_prints_short_without_its_time_stamps() -> None:
    text = repr(info(np.arange(100_000) / 25, 4000.0))
    assert "size=(90, 160)" in text
    assert "pts_seconds" not in text
    assert len(text) < 300
