"""Small random checkpoints of Hugging Face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gallery.checkpoints import save_checkpoint


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Saves each kind once; returns its folder and its network."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'vidcam[hf]'")
    made: dict[str, tuple[Path, Any]] = {}

    def checkpoint(kind: str) -> tuple[Path, Any]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind] = folder, save_checkpoint(kind, folder)
        return made[kind]

    return checkpoint
