"""Tensors by name out of a weights file of the user's: safetensors, PyTorch or Keras' HDF5, told apart by its content.

Nothing in such a file is trusted. PyTorch's pickles are read with `weights_only=True`; of an HDF5 file only numbers
that lie in the file itself are read, no links to other files. What cannot be read is refused by one sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidcam.errors import VidcamError, WeightsError

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_LAYOUTS = "safetensors, PyTorch (.pt, .pth) or Keras' HDF5 (.h5)"


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """What a weights file holds.

    Attributes:
        tensors: by name as it stands in the file; the path of an HDF5 dataset, 'conv1/conv1_W:0'.
        notes: what else the file says of itself: metadata of safetensors; `backend` and `data_format` of Keras.
        is_keras: whether it is an HDF5 file.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    notes: Mapping[str, str] = field(default_factory=dict)
    is_keras: bool = False


def read_weights(path: Path, *, most_numbers: int) -> WeightsFile:
    """All tensors of a file; those of PyTorch and safetensors may still lie in it and are read when used.

    Args:
        path: of the file.
        most_numbers: an HDF5 file that claims more is refused before memory is taken for it.

    Raises:
        WeightsError: the file cannot be read, holds code or anything but tensors of numbers, or is cut short.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as exc:
        raise WeightsError(
            f"weights {str(path)!r} cannot be read ({exc.strerror or exc}), expected a file; pass one that is there"
        ) from exc
    try:
        if head.startswith(_HDF5):
            return _read_keras(path, most_numbers)
        if head.startswith((_ZIP, *_PICKLES)):
            return WeightsFile(_read_torch(path, is_zip=head.startswith(_ZIP)))
        if head[8:9] == b"{":
            return _read_safetensors(path)
    except VidcamError:
        raise
    except Exception as exc:  # a damaged file can raise almost anything
        said = (str(exc).strip() or type(exc).__name__).splitlines()[0][:200]
        raise WeightsError(
            f"weights {path.name} cannot be read ({said}), expected {_LAYOUTS}; the file is damaged or cut short: "
            "fetch it again"
        ) from exc
    raise WeightsError(f"weights {path.name} begin with {head[:8]!r}, expected {_LAYOUTS}; pass such a file")


def _read_safetensors(path: Path) -> WeightsFile:
    from safetensors import safe_open

    with safe_open(path, "pt") as stored:
        notes = {str(key): str(value) for key, value in (stored.metadata() or {}).items()}
        return WeightsFile({name: stored.get_tensor(name) for name in stored.keys()}, notes)  # noqa: SIM118 – no dict


def _read_torch(path: Path, *, is_zip: bool) -> dict[str, Tensor]:
    import pickle

    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip or None)
    except pickle.UnpicklingError as exc:
        named = re.search(r"GLOBAL ([\w.]+)", str(exc))
        if named is None:
            raise
        raise WeightsError(
            f"weights {path.name} name {named[1]}, expected tensors alone; nothing of the file was run: save the "
            "network's state_dict() by itself, as safetensors"
        ) from exc
    inner = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(inner, Mapping) or not all(isinstance(value, Tensor) for value in inner.values()):
        raise WeightsError(
            f"weights {path.name} hold {_kinds(inner)}, expected tensors by name, also under 'state_dict'; "
            "save the network's state_dict()"
        )
    return {str(name): tensor.detach() for name, tensor in inner.items()}


def _kinds(content: object) -> str:
    if not isinstance(content, Mapping):
        return type(content).__name__
    others = [f"{key!r}: {type(value).__name__}" for key, value in content.items() if not isinstance(value, Tensor)]
    return f"{{{', '.join(others[:3])}}}"


def _read_keras(path: Path, most_numbers: int) -> WeightsFile:
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
        return WeightsFile(tensors, _keras_notes(stored, root), is_keras=True)


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


def _keras_notes(stored: Any, root: Any) -> dict[str, str]:
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
