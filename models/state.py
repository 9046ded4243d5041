"""Weights from a file of the user's: .pth, .pt or .safetensors, read without running anything in it.

A torch file is a pickle, that is, a program; it is read with `weights_only=True`, which admits tensors and plain
containers. A checkpoint of a training may hold the weights under `state_dict` or `model`, and every name may begin
with 'module.', as `DataParallel` leaves it. Names and shapes must be exactly the network's, or nothing is loaded.
"""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidcam.errors import WeightsError
from vidcam.models.fetch import file_sha256
from vidcam.models.weights import State, fill

SUFFIXES = (".pth", ".pt", ".safetensors")

_NESTED_UNDER = ("state_dict", "model_state_dict", "model")
_COUNTER = "num_batches_tracked"

Rename = Callable[[State], State]


def fill_from_file(module: nn.Module, path: Path, *, name: str, rename: Rename | None = None) -> str:
    """Load the weights in a file into a network; returns their provenance, 'r3d_18-b3b3357e.pth, sha256 …'.

    Args:
        module: filled whole or left as it was.
        path: see `read_state`.
        name: of the model, for the error's sentence.
        rename: from the file's names to the network's.

    Raises:
        WeightsError: the file cannot be read or is of another network.
    """
    state = read_state(path)
    renamed = state if rename is None else rename(state)
    fill(module, _with_counters(renamed, module), name=name, what=f"the weights in {path.name}")
    return f"{path.name}, sha256 {file_sha256(path)}"


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors in a file by name, on the CPU.

    Args:
        path: what `torch.save` wrote (.pth, .pt) or safetensors; what it is is seen from its first bytes.

    Raises:
        WeightsError: there is no such file, it is damaged, it holds code or something else than tensors.
    """
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as exc:
        raise WeightsError(
            f"{path} cannot be opened ({exc.strerror}); expected a file of weights ({', '.join(SUFFIXES)}); check the "
            f"path"
        ) from exc
    content = _read_safetensors(path) if head[8:9] == b"{" else _read_torch(path)
    return _without_wrapper(_state_in(content, path))


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as exc:
        raise _damaged(path, exc) from exc


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what is then refused
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        found = re.search(r"GLOBAL ([\w.]+)", str(exc))
        if found is None:
            raise _damaged(path, exc) from exc
        raise WeightsError(
            f"{path} names {found[1]}, expected tensors and nothing that runs; it was not loaded: save the network's "
            f"state_dict alone, as safetensors if you can"
        ) from exc
    except Exception as exc:  # a damaged pickle or archive can raise almost anything
        raise _damaged(path, exc) from exc


def _damaged(path: Path, error: Exception) -> WeightsError:
    reason = (str(error).strip() or "it ends too early").splitlines()[0][:160].rstrip(". ")
    return WeightsError(
        f"{path} cannot be read as weights ({type(error).__name__}: {reason}); expected what torch.save wrote from a "
        f"state_dict, or safetensors; fetch or save it again"
    )


def _state_in(content: Any, path: Path) -> dict[str, Tensor]:
    for key in _NESTED_UNDER:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        held = "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise WeightsError(
            f"{path} holds {held}, expected a state_dict of named tensors; save the network's state_dict"
        )
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise WeightsError(
                f"{path} holds a {type(value).__name__} under {str(key)[:80]!r}, expected a state_dict of named "
                f"tensors; save the network's state_dict alone"
            )
    return dict(content)


def _without_wrapper(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the 'module.' that `DataParallel` puts before every name."""
    if all(key.startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _with_counters(state: State, module: nn.Module) -> State:
    """With the batch counters that older files lack; they play no part once training is over."""
    own = module.state_dict()
    counters = {key: own[key] for key in own if key.endswith(_COUNTER) and key not in state}
    return {**state, **counters}
