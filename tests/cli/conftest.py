"""A small video for the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.videos import write_video
from tests.pipelines.conftest import pictures_as_text  # noqa: F401 – a fixture


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """50 frames with a bright square."""
    frames = np.zeros((50, 64, 80, 3), dtype=np.uint8)
    frames[:, 20:40, 30:50] = 220
    return write_video(tmp_path / "video.mp4", frames)
