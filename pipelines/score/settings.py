"""The settings that stand beside the parts of a run, and what made the parts: versions and device.

Other settings are refused: rows that were made differently do not belong in one table. Other versions or another device
may change last digits alone, and an upgrade should not cost a night's work: they are noted, and the report says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vidcam import __version__
from vidcam.errors import OutputError
from vidcam.models.model import Model
from vidcam.system.atomic import atomic_write

MAKERS = "made_with"

Maker = Mapping[str, Any]
"""Versions by name, `device`, and `from_clip`: the first clip that it scored."""


def maker_of(model: Model) -> Maker:
    """What would score clips now; PyAV decodes."""
    name = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else model.device.type
    packages = {package: version(package) for package in ("numpy", "av")}
    return {"vidcam": __version__, "torch": str(torch.__version__), **packages, "device": name}


def read_settings(path: Path) -> Mapping[str, Any] | None:
    """What is stated; None where nothing is.

    Raises:
        OutputError: it is no JSON object.
    """
    try:
        found: Mapping[str, Any] = dict(json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as exc:
        raise OutputError(
            f"{path} is damaged ({exc}), expected the settings of the scores beside it; pass --overwrite to begin anew"
        ) from exc
    return found


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """State them, whole."""
    with atomic_write(path, sync=True) as unfinished:
        unfinished.write_text(json.dumps(settings, indent=1, ensure_ascii=False) + "\n", "utf-8")


def require_same(out: Path, former: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings; what made them may differ.

    Raises:
        OutputError: the difference.
    """
    plain = json.loads(json.dumps(settings))
    names = [name for name in {**former, **plain} if name != MAKERS and former.get(name) != plain.get(name)]
    if names:
        different = "; ".join(f"{name} was {_said(former.get(name))}, is {_said(plain.get(name))}" for name in names)
        raise OutputError(
            f"{out} holds scores of other settings ({different}), expected the same to go on; choose another folder "
            f"with -o, or pass --overwrite to begin anew"
        )


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def stated_batch_size(out: Path) -> int | None:
    """The batch size that a folder's scores were begun with; None where there are none, or nothing that can be read."""
    try:
        found = json.loads((out / "scores" / "settings.json").read_text("utf-8"))["batch_size"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) and found > 0 else None
