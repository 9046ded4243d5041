"""Read the tensors of a Keras HDF5 file. Links to other files are refused."""

from __future__ import annotations

import math
import re
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidcam.errors import WeightsError

_MOST_DATASETS = 10_000
_MOST_LEVELS = 32


def read_keras(path: Path, max_numbers: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a Keras file.

    Args:
        path: path of the file.
        max_numbers: largest number of values that the file may declare. A larger file is not read into memory.

    Returns:
        The arrays as float32 by their path in the file, 'conv1/conv1_W:0', and the file's `backend` and `data_format`
        where it states them.

    Raises:
        WeightsError: h5py is not installed, the file is too large, or it contains anything but arrays of floats.
    """
    try:
        import h5py
    except ImportError as exc:
        raise WeightsError(f"weights {path.name} are HDF5, which needs h5py; pip install 'vidcam[keras]'") from exc
    with h5py.File(path, "r") as stored:
        root = stored.get("model_weights", stored)
        datasets = dict(islice(_datasets(root, ""), _MOST_DATASETS + 1))
        if len(datasets) > _MOST_DATASETS:  # links to links can be endless
            raise WeightsError(f"weights {path.name} have more than {_MOST_DATASETS} arrays; do not use this file")
        count = sum(math.prod(dataset.shape) for dataset in datasets.values())
        if count > max_numbers:
            raise WeightsError(
                f"weights {path.name} have {count:,} values, expected at most {max_numbers:,}; pass weights of C3D"
            )
        tensors = {
            name: torch.from_numpy(np.array(dataset[()], dtype=np.float32)) for name, dataset in datasets.items()
        }
        return tensors, _metadata(stored, root)


def _datasets(group: Any, parent: str, level: int = 0) -> Any:
    """Yield (path, dataset) for every array of floats below a group. Refuse links to other files."""
    import h5py

    if level > _MOST_LEVELS:
        raise WeightsError(f"{parent[:80]!r} is nested more than {_MOST_LEVELS} deep; do not use this file")
    for name in group:
        path = f"{parent}{name}"
        link = group.get(name, getlink=True)
        item = group[name] if isinstance(link, h5py.HardLink) else None
        if isinstance(item, h5py.Group):
            yield from _datasets(item, f"{path}/", level + 1)
        elif not isinstance(item, h5py.Dataset) or item.dtype.kind != "f" or item.external or item.is_virtual:
            raise WeightsError(f"{path!r} must be an array of floats inside this HDF5 file; do not use this file")
        else:
            yield path, item


def _metadata(stored: Any, root: Any) -> dict[str, str]:
    metadata = {}
    for group in (stored, root):
        if "backend" in group.attrs:
            metadata["backend"] = _text(group.attrs["backend"])
        if "model_config" in group.attrs:
            match = re.search(r'"(?:data_format|dim_ordering)": "(\w+)"', _text(group.attrs["model_config"]))
            metadata |= {"data_format": match[1]} if match else {}
    return metadata


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
