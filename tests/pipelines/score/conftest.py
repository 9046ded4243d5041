"""Fixtures of the tests that score a set of clips."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clipsets import write_set


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"), 9, broken={2, 5})
