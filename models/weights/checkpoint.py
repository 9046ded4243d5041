"""Cached weights: download once, convert once, check on every read.

A cached file is in the safetensors format, which holds no code. Two hashes are pinned: the SHA-256 of the download and
the SHA-256 of the converted tensors. A damaged, outdated or replaced file fails the check. It is then deleted and
downloaded again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vidcam.errors import WeightsError
from vidcam.models.weights.cache import cache_folder, cache_write
from vidcam.models.weights.fetch import PackageFile, fetch_member
from vidcam.models.weights.untrusted import load_arrays
from vidcam.system.fingerprint import digest_of
from vidcam.system.progress import Progress

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights that are published in a package and cached as safetensors.

    Attributes:
        file_name: name of the safetensors file in the cache folder.
        source: the package that contains the published file.
        convert: function from the published arrays or tensors (by name) to the network's state dict.
        tensors_sha256: SHA-256 of the converted tensors, see `tensors_digest`.
        read: reads the published file without running code; by default a pickle of NumPy arrays.
    """

    file_name: str
    source: PackageFile
    convert: Callable[[Mapping[str, Any]], dict[str, Tensor]]
    tensors_sha256: str
    read: Callable[[Path], Mapping[str, Any]] = load_arrays

    @property
    def path(self) -> Path:
        """Path of the file in the cache folder. The file may not exist."""
        return cache_folder() / self.file_name


def load_state(checkpoint: Checkpoint, *, progress: Progress | None = None) -> State:
    """Load the state dict from the cache. If it is not cached, download it from the package index.

    Raises:
        WeightsError: the weights are not cached and cannot be downloaded, or their hash differs from the pinned one.
        OutputError: the cache folder is not writable.
    """
    path = checkpoint.path
    if path.is_file():
        state = _read(checkpoint)
        return state if state is not None else _refetch(checkpoint, progress)
    return _fetch(checkpoint, progress)


def tensors_digest(state: State) -> str:
    """Compute the SHA-256 over name, dtype, shape and bytes of every tensor, sorted by name."""
    tensors = ((name, state[name].detach().cpu().contiguous()) for name in sorted(state))
    return digest_of(
        part
        for name, tensor in tensors
        for part in (f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode(), _bytes_of(tensor))
    )


def _bytes_of(tensor: Tensor) -> memoryview:
    """Return the bytes of a contiguous tensor, without a copy; NumPy has no bfloat16."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def load_state_dict(module: nn.Module, state: State, *, name: str, source: str = "the weights") -> None:
    """Load a state dict into a network. Names, shapes and kinds of number must match exactly.

    Args:
        module: the network. It is unchanged if an error is raised.
        state: name → tensor.
        name: name of the model, for the error message.
        source: where the tensors come from, for the error message.

    Raises:
        WeightsError: names, shapes or kinds of number differ. The message lists the first three of each kind.
    """
    own = module.state_dict()
    problems = {
        "missing": [key for key in own if key not in state],
        "unexpected": [key for key in state if key not in own],
        "with a wrong shape": [
            f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
            for key in own
            if key in state and own[key].shape != state[key].shape
        ],
        "with a wrong dtype": [
            f"{key} {state[key].dtype} instead of {own[key].dtype}"
            for key in own
            if key in state and state[key].is_floating_point() != own[key].is_floating_point()
        ],
    }
    sentences = [f"{len(keys)} {problem} ({', '.join(keys[:3])})" for problem, keys in problems.items() if keys]
    if sentences:
        raise WeightsError(f"{source} do not fit model {name!r} ({len(own)} tensors): {', '.join(sentences)}")
    module.load_state_dict(state)


def _read(checkpoint: Checkpoint) -> State | None:
    """Read the cached tensors. Return None if the file is damaged or its hash differs from the pinned one."""
    try:
        state = load_file(checkpoint.path)
    except (SafetensorError, FileNotFoundError):  # not found: another process has just deleted it
        return None
    except OSError as exc:
        raise WeightsError(f"{checkpoint.path} cannot be read ({exc}); make it readable, or delete it") from exc
    return state if tensors_digest(state) == checkpoint.tensors_sha256 else None


def _refetch(checkpoint: Checkpoint, progress: Progress | None) -> State:
    checkpoint.path.unlink(missing_ok=True)
    try:
        return _fetch(checkpoint, progress)
    except WeightsError as exc:
        raise WeightsError(f"{checkpoint.path} was damaged and has been deleted; {exc}") from exc


def _fetch(checkpoint: Checkpoint, progress: Progress | None) -> State:
    with cache_write(checkpoint.path) as temporary_path:  # before the download: fails early on a read-only cache
        state = _download(checkpoint, progress)
        digests = {"source_sha256": checkpoint.source.member_sha256, "tensors_sha256": checkpoint.tensors_sha256}
        temporary_path.write_bytes(save(state, digests))
    return state


def _download(checkpoint: Checkpoint, progress: Progress | None) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory(prefix="vidcam-") as folder:
        published_path = Path(folder) / "checkpoint"
        fetch_member(checkpoint.source, published_path, cache_path=checkpoint.path, progress=progress)
        state = checkpoint.convert(checkpoint.read(published_path))
    digest = tensors_digest(state)
    if digest != checkpoint.tensors_sha256:
        raise WeightsError(
            f"tensors converted from {checkpoint.source} have SHA-256 {digest}, expected "
            f"{checkpoint.tensors_sha256}; please report this as a bug"
        )
    return state
