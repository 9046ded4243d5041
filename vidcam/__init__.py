"""vidcam: where and when a video model looked, and whether the answer can be trusted."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"

_HERE = Path(__file__).parent

if not (_HERE / "models").is_dir():  # a checkout, where models/ and pipelines/ lie beside vidcam/ (see pyproject.toml)
    __path__.append(str(_HERE.parent))
