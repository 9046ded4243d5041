"""The tests of what is drawn."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def pictures_as_text() -> None:
    """Draw everything."""
