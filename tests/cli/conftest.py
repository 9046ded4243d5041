"""A small video for the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.videos import write_video
from tests.pipelines.conftest import pictures_as_text  # noqa: F401 – a fixture


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """50 frames with a bright square, an MP4 file."""
    frames = np.zeros((50, 64, 80, 3), dtype=np.uint8)
    frames[:, 20:40, 30:50] = 220
    return write_video(tmp_path_factory.mktemp("encoded") / "video.mp4", frames).read_bytes()


@pytest.fixture
def video(encoded: bytes, tmp_path: Path) -> Path:
    """A file of its own for each test."""
    (tmp_path / "video.mp4").write_bytes(encoded)
    return tmp_path / "video.mp4"
