"""Videos for the tests of failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.odd import greys, h264, noisy
from tests.helpers.videos import click
from tests.pipelines.conftest import pictures_as_text  # noqa: F401 – a fixture


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h264(tmp_path_factory.mktemp("video") / "video.mp4", noisy(12, 48, 64), sound=click(0.2, 0.4))


@pytest.fixture(scope="module")
def speck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of one small frame; its overlay is smaller than its JSON."""
    return h264(tmp_path_factory.mktemp("speck") / "video.mp4", greys(1, 8, 8))
