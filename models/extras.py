"""Packages that only some models need, installed by an extra: `pip install 'vidcam[hf]'`."""

from __future__ import annotations

import importlib
from typing import Any

from vidcam.errors import InputError


def import_extra(package: str, *, extra: str, model: str) -> Any:
    """Import a package that is not among vidcam's dependencies.

    Args:
        package: the package or one of its modules, 'transformers'.
        extra: the extra of vidcam that installs it, 'hf'.
        model: name of the model that needs it, for the error message.

    Raises:
        InputError: the package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as exc:
        name = package.partition(".")[0]
        raise InputError(f"model {model!r} needs {name}, which is missing: pip install 'vidcam[{extra}]'") from exc
