"""Tensors by name out of Keras' HDF5 files: only numbers that lie in the file itself, through no links to others."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidcam.errors import WeightsError


def read_keras(path: Path, most_numbers: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Arrays by their path in the file, 'conv1/conv1_W:0', as float32; its `backend` and `data_format` if it says them.

    Args:
        path: of the file.
        most_numbers: a file that claims more is refused before memory is taken for it.

    Raises:
        WeightsError: h5py is missing, or the file holds anything but numbers of its own, or too many.
    """
    try:
        import h5py
    except ImportError as exc:
        raise WeightsError(
            f"weights {path.name} are HDF5, which needs the package h5py, expected it beside vidcam; "
            "pip install 'vidcam[keras]'"
        ) from exc
    with h5py.File(path, "r") as stored:
        root = stored.get("model_weights", stored)
        datasets = dict(_datasets(root, ""))
        claimed = sum(math.prod(dataset.shape) for dataset in datasets.values())
        if claimed > most_numbers:
            raise WeightsError(
                f"weights {path.name} hold {claimed:,} numbers, expected at most {most_numbers:,}; this is another "
                "network"
            )
        tensors = {
            name: torch.from_numpy(np.array(dataset[()], dtype=np.float32)) for name, dataset in datasets.items()
        }
        return tensors, _notes(stored, root)


def _datasets(group: Any, where: str) -> Any:
    """(path, dataset) of all arrays of numbers below a group, without following links out of the file."""
    import h5py

    for name in group:
        path = f"{where}{name}"
        link = group.get(name, getlink=True)
        item = group[name] if isinstance(link, h5py.HardLink) else None
        if isinstance(item, h5py.Group):
            yield from _datasets(item, f"{path}/")
        elif not isinstance(item, h5py.Dataset) or item.dtype.kind != "f" or item.external or item.is_virtual:
            raise WeightsError(f"the HDF5 file holds {path!r}, which is no array of numbers in the file; do not use it")
        else:
            yield path, item


def _notes(stored: Any, root: Any) -> dict[str, str]:
    notes = {}
    for holder in (stored, root):
        if "backend" in holder.attrs:
            notes["backend"] = _text(holder.attrs["backend"])
        if "model_config" in holder.attrs:
            found = re.search(r'"(?:data_format|dim_ordering)": "(\w+)"', _text(holder.attrs["model_config"]))
            notes |= {"data_format": found[1]} if found else {}
    return notes


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
