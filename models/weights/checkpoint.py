"""Weights in the user's cache: fetched once, converted once, checked whenever they are read.

A cached file is safetensors, which holds numbers only. The SHA-256 over its tensors is pinned here beside the hash of
the download, so that a damaged, outdated or exchanged file is noticed; it is then removed and fetched again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from vidcam.errors import WeightsError
from vidcam.models.weights.cache import cache_folder, cache_write
from vidcam.models.weights.fetch import PackageFile, fetch_member
from vidcam.models.weights.untrusted import Array, load_arrays
from vidcam.system.fingerprint import digest_of
from vidcam.system.progress import Progress

State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights that are fetched as a pickle of arrays and kept as safetensors.

    Attributes:
        file_name: of the safetensors file in the cache folder.
        source: where the pickle comes from.
        convert: the pickle's arrays, by name, to the network's state dict.
        tensors_sha256: of the converted tensors, see `tensors_digest`.
    """

    file_name: str
    source: PackageFile
    convert: Callable[[Mapping[str, Array]], dict[str, Tensor]]
    tensors_sha256: str

    @property
    def path(self) -> Path:
        """The file in the cache folder, whether it is there or not."""
        return cache_folder() / self.file_name


def load_state(checkpoint: Checkpoint, *, progress: Progress | None = None) -> State:
    """The state dict, from the cache or else from the package index.

    Raises:
        WeightsError: the weights are not in the cache and cannot be fetched, or they are not those that are pinned.
        OutputError: the cache folder cannot be written to.
    """
    path = checkpoint.path
    if path.is_file():
        state = _read(checkpoint)
        return state if state is not None else _fetch_again(checkpoint, progress)
    return _fetch(checkpoint, progress)


def tensors_digest(state: State) -> str:
    """SHA-256 over name, kind, shape and bytes of every tensor, in the order of the names."""
    tensors = ((name, state[name].detach().cpu().contiguous()) for name in sorted(state))
    return digest_of(
        part
        for name, tensor in tensors
        for part in (f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode(), tensor.numpy().tobytes())
    )


def fill(module: nn.Module, state: State, *, name: str, what: str = "the weights") -> None:
    """Load a state dict into a network, which must have exactly these tensors.

    Args:
        module: filled whole or left as it was.
        state: name → tensor.
        name: of the model, for the error's sentence.
        what: what the tensors are, likewise.

    Raises:
        WeightsError: names or shapes differ; the sentence has the first few.
    """
    own = module.state_dict()
    problems = {
        "missing": [key for key in own if key not in state],
        "unexpected": [key for key in state if key not in own],
        "of another shape": [
            f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
            for key in own
            if key in state and own[key].shape != state[key].shape
        ],
        "of another kind": [
            f"{key} {state[key].dtype} for {own[key].dtype}"
            for key in own
            if key in state and state[key].is_floating_point() != own[key].is_floating_point()
        ],
    }
    found = [f"{len(keys)} {kind} ({', '.join(keys[:3])})" for kind, keys in problems.items() if keys]
    if found:
        raise WeightsError(
            f"{what} do not fit {name!r}: of its {len(own)} tensors {' and '.join(found)}; "
            "expected weights of this very network; check which file they were read from"
        )
    module.load_state_dict(state)


def _read(checkpoint: Checkpoint) -> State | None:
    """The cached tensors, or None if the file is damaged or not the one that is pinned."""
    try:
        state = load_file(checkpoint.path)
    except (SafetensorError, FileNotFoundError):  # not there: another process has just removed it
        return None
    except OSError as exc:
        raise WeightsError(
            f"{checkpoint.path} cannot be read ({exc}), expected {checkpoint.source}; make it readable, or remove it"
        ) from exc
    return state if tensors_digest(state) == checkpoint.tensors_sha256 else None


def _fetch_again(checkpoint: Checkpoint, progress: Progress | None) -> State:
    checkpoint.path.unlink(missing_ok=True)
    try:
        return _fetch(checkpoint, progress)
    except WeightsError as exc:
        raise WeightsError(f"{checkpoint.path} was damaged and has been removed; {exc}") from exc


def _fetch(checkpoint: Checkpoint, progress: Progress | None) -> State:
    with cache_write(checkpoint.path) as part:  # before the download: a closed cache is noticed first
        state = _download(checkpoint, progress)
        digests = {"source_sha256": checkpoint.source.member_sha256, "tensors_sha256": checkpoint.tensors_sha256}
        part.write_bytes(save(state, digests))
    return state


def _download(checkpoint: Checkpoint, progress: Progress | None) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory(prefix="vidcam-") as folder:
        pickled = Path(folder) / "checkpoint"
        fetch_member(checkpoint.source, pickled, wanted=checkpoint.path, progress=progress)
        state = checkpoint.convert(load_arrays(pickled))
    digest = tensors_digest(state)
    if digest != checkpoint.tensors_sha256:
        raise WeightsError(
            f"{checkpoint.source} was converted to tensors with the SHA-256 {digest}, expected "
            f"{checkpoint.tensors_sha256}; report this as a bug"
        )
    return state
