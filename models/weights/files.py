"""Read a user's weights file: safetensors, PyTorch or Keras HDF5. The first bytes of the file decide the format.

The file is not trusted. A PyTorch file is a pickle, which can run code, so it is read with `weights_only=True`: only
tensors and plain containers are loaded. A training checkpoint may hold the weights under `state_dict`,
`model_state_dict` or `model`. The prefix 'module.', which `DataParallel` puts before every name, is removed.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import torch
from torch import Tensor

from vidcam.errors import VidcamError, WeightsError

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_FORMATS = "safetensors, PyTorch (.pt, .pth) or Keras HDF5 (.h5)"
_STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model_state", "model")


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """The content of a weights file.

    Attributes:
        tensors: tensors by their name in the file, without the prefix 'module.' of `DataParallel`. In an HDF5 file the
            name is the path of the dataset, 'conv1/conv1_W:0'.
        metadata: metadata of a safetensors file; `backend` and `data_format` of a Keras file.
        is_keras: whether the file is HDF5.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_keras: bool = False


def read_weights(path: Path, *, max_numbers: int) -> WeightsFile:
    """Read all tensors of a file to the CPU. Tensors of a PyTorch file may be memory-mapped.

    Args:
        path: path of the file. Its suffix is ignored.
        max_numbers: largest number of values that an HDF5 file may declare. A larger file is not read into memory.

    Raises:
        WeightsError: the file cannot be read, is truncated, or contains code or anything but tensors.
    """
    head = read_head(path)
    try:
        return _read(path, head, max_numbers)
    except VidcamError:
        raise
    except Exception as exc:  # a damaged file can raise almost anything
        reason = (str(exc).strip() or f"{type(exc).__name__}: it ends too early").splitlines()[0][:200].rstrip(". ")
        raise WeightsError(
            f"weights {path.name} cannot be read ({reason}); the file is damaged or incomplete: download it again"
        ) from exc


def read_head(path: Path, *, name: str = "weights") -> bytes:
    """Read the first 16 bytes of a file.

    Args:
        path: path of the file.
        name: what the file is, for the error message: 'weights', 'mean cube'.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(16)
    except OSError as exc:
        raise WeightsError(f"{name} {str(path)!r} cannot be read ({exc.strerror or exc})") from exc


def _read(path: Path, head: bytes, max_numbers: int) -> WeightsFile:
    if head.startswith(_HDF5):
        from vidcam.models.weights.keras_files import read_keras

        return WeightsFile(*read_keras(path, max_numbers), is_keras=True)
    if head[8:9] == b"{":  # test this before pickle: a safetensors header of 640, 896, … bytes starts like a pickle
        return _read_safetensors(path)
    if head.startswith((_ZIP, *_PICKLES)):
        content = _read_torch(path, is_zip=head.startswith(_ZIP))
        return WeightsFile(_strip_module_prefix(_find_state_dict(content, path)))
    raise WeightsError(f"weights {path.name} have an unknown format (first bytes {head[:8]!r}); pass {_FORMATS}")


def _read_safetensors(path: Path) -> WeightsFile:
    from safetensors import safe_open

    with safe_open(path, "pt") as stored:
        metadata = {str(key): str(value) for key, value in (stored.metadata() or {}).items()}
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 – no dict
    return WeightsFile(_strip_module_prefix(_find_state_dict(tensors, path)), metadata)


def _read_torch(path: Path, *, is_zip: bool) -> Any:
    if is_zip:
        _require_no_bomb(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about files that are refused below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip or None)
    except pickle.UnpicklingError as exc:
        code = re.search(r"GLOBAL ([\w.]+)", str(exc))
        if code:
            problem = f"contain Python objects ({code[1]}), not only tensors"
        else:
            problem = f"cannot be read without running code ({_torch_reason(exc)})"
        raise WeightsError(f"weights {path.name} {problem}; nothing was run: save only the state_dict()") from exc


def _require_no_bomb(path: Path) -> None:
    """Require that no member is compressed: torch never does, and a small one could inflate without an end."""
    with ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type != ZIP_STORED for member in members):
        raise WeightsError(f"weights {path.name} are compressed, which torch.save never does; do not use this file")


def _torch_reason(exc: Exception) -> str:
    """Return torch's reason without its advice, which is to run the pickle."""
    text = str(exc).partition("WeightsUnpickler error:")[2] if "weights_only" in str(exc) else str(exc)
    lines = text.partition("Check the documentation")[0].strip().splitlines()
    return lines[0][:200].rstrip(". ") if lines else "it is damaged"


def _find_state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the state dict: the file's content itself, or an entry such as 'state_dict' in it."""
    state = content
    if isinstance(content, Mapping):
        state = next((content[key] for key in _STATE_DICT_KEYS if isinstance(content.get(key), Mapping)), content)
    if not isinstance(state, Mapping) or not state or _non_tensors(state):
        raise WeightsError(
            f"weights {path.name} contain {_describe(state)}, expected a state_dict(): tensors under their names"
        )
    tensors = {name: tensor.detach() for name, tensor in state.items()}
    for name, tensor in tensors.items():
        if not _is_plain(tensor):
            raise WeightsError(f"{name!r:.80} in weights {path.name} is not a plain tensor; save dense, real values")
    return tensors


def _is_plain(tensor: Tensor) -> bool:
    """Check that a tensor is dense and real, and that each value lies in the file."""
    is_dense = type(tensor) is Tensor and tensor.layout == torch.strided and not tensor.is_nested
    if not is_dense or tensor.device.type != "cpu" or tensor.is_complex() or tensor.is_quantized:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _non_tensors(content: Mapping[Any, Any]) -> list[str]:
    """Describe the entries that are not a tensor under a string key."""
    return [
        f"{key!r:.80}: {type(value).__name__}"
        for key, value in content.items()
        if not isinstance(key, str) or not isinstance(value, Tensor)
    ]


def _describe(content: object) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return f"{{{', '.join(_non_tensors(content)[:3])}}}" if content else "nothing"


def _strip_module_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefix 'module.', which `DataParallel` puts before every name."""
    if all(name.startswith("module.") for name in tensors):
        return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors
