"""One small study for all tests; none of them changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.studies import make_study, save_clips
from vidcam.pipelines.trust.content import StudyKey, read_key
from vidcam.pipelines.trust.make import WrittenStudy


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three explained clips; the model is wrong in the second."""
    return save_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def written(clips: Path) -> WrittenStudy:
    """The page of a study over the clips, and its key."""
    return make_study(clips)


@pytest.fixture
def key(written: WrittenStudy) -> StudyKey:
    """The key of the study."""
    return read_key(written.key)
