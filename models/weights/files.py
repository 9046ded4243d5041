"""Tensors by name out of a weights file of the user's: safetensors, PyTorch or Keras' HDF5, told apart by its content.

Nothing in such a file is trusted. A torch file is a pickle, that is, a program; it is read with `weights_only=True`,
which admits tensors and plain containers. A checkpoint of a training may hold the weights under `state_dict`,
`model_state_dict` or `model`, and every name may begin with 'module.', as `DataParallel` leaves it. What cannot be read
is refused by one sentence.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidcam.errors import VidcamError, WeightsError

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_FORMS = "safetensors, PyTorch (.pt, .pth) or Keras' HDF5 (.h5)"
_NESTED_UNDER = ("state_dict", "model_state_dict", "model")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """What a weights file holds.

    Attributes:
        tensors: by name as it stands in the file, without a 'module.' before every one; the path of an HDF5 dataset,
            'conv1/conv1_W:0'.
        notes: what else the file says of itself: metadata of safetensors; `backend` and `data_format` of Keras.
        is_keras: whether it is an HDF5 file.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    notes: Mapping[str, str] = field(default_factory=dict)
    is_keras: bool = False


def read_weights(path: Path, *, most_numbers: int) -> WeightsFile:
    """All tensors of a file, on the CPU; those of PyTorch may still lie in it and are read when used.

    Args:
        path: of the file; its suffix says nothing.
        most_numbers: an HDF5 file that claims more is refused before memory is taken for it.

    Raises:
        WeightsError: the file cannot be read, holds code or anything but tensors of numbers, or is cut short.
    """
    head = read_head(path)
    try:
        return _read(path, head, most_numbers)
    except VidcamError:
        raise
    except Exception as exc:  # a damaged file can raise almost anything
        said = (str(exc).strip() or f"{type(exc).__name__}: it ends too early").splitlines()[0][:200].rstrip(". ")
        raise WeightsError(
            f"weights {path.name} cannot be read ({said}), expected {_FORMS}; the file is damaged or cut short: "
            "fetch it again"
        ) from exc


def read_head(path: Path, *, what: str = "weights") -> bytes:
    """The first 16 bytes of a file.

    Args:
        path: of the file.
        what: it is, for the error's sentence.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(16)
    except OSError as exc:
        raise WeightsError(
            f"{what} {str(path)!r} cannot be read ({exc.strerror or exc}), expected a file; pass one that is there"
        ) from exc


def _read(path: Path, head: bytes, most_numbers: int) -> WeightsFile:
    if head.startswith(_HDF5):
        from vidcam.models.weights.keras_files import read_keras

        return WeightsFile(*read_keras(path, most_numbers), is_keras=True)
    if head[8:9] == b"{":  # before pickles, whose first bytes are also those of a header of 640 bytes, or 896, 1152, …
        return _read_safetensors(path)
    if head.startswith((_ZIP, *_PICKLES)):
        content = _read_torch(path, is_zip=head.startswith(_ZIP))
        return WeightsFile(_without_wrapper(_tensors_in(content, path)))
    raise WeightsError(f"weights {path.name} begin with {head[:8]!r}, expected {_FORMS}; pass such a file")


def _read_safetensors(path: Path) -> WeightsFile:
    from safetensors import safe_open

    with safe_open(path, "pt") as stored:
        notes = {str(key): str(value) for key, value in (stored.metadata() or {}).items()}
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 – no dict
    return WeightsFile(_without_wrapper(_tensors_in(tensors, path)), notes)


def _read_torch(path: Path, *, is_zip: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what is then refused
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip or None)
    except pickle.UnpicklingError as exc:
        named = re.search(r"GLOBAL ([\w.]+)", str(exc))
        what = f"name {named[1]}" if named else f"are a pickle that only running it would read ({_reason(exc)})"
        raise WeightsError(
            f"weights {path.name} {what}, expected tensors alone; nothing of the file was run: save the network's "
            "state_dict() by itself, as safetensors if you can"
        ) from exc


def _reason(exc: Exception) -> str:
    """Torch's own, without its advice around it, which is to run the pickle."""
    text = str(exc).partition("WeightsUnpickler error:")[2] if "weights_only" in str(exc) else str(exc)
    lines = text.partition("Check the documentation")[0].strip().splitlines()
    return lines[0][:200].rstrip(". ") if lines else "it is damaged"


def _tensors_in(content: Any, path: Path) -> dict[str, Tensor]:
    inner = content
    if isinstance(content, Mapping):
        inner = next((content[key] for key in _NESTED_UNDER if isinstance(content.get(key), Mapping)), content)
    if not isinstance(inner, Mapping) or not inner or _others(inner):
        raise WeightsError(
            f"weights {path.name} hold {_told(inner)}, expected tensors by name, also under 'state_dict' or 'model'; "
            "save the network's state_dict()"
        )
    return {name: tensor.detach() for name, tensor in inner.items()}


def _others(content: Mapping[Any, Any]) -> list[str]:
    return [
        f"{key!r:.80}: {type(value).__name__}"
        for key, value in content.items()
        if not isinstance(key, str) or not isinstance(value, Tensor)
    ]


def _told(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return f"{{{', '.join(_others(content)[:3])}}}" if content else "nothing"


def _without_wrapper(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the 'module.' that training on several devices puts before every name."""
    if all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors
