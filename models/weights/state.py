"""Fill a network from a file of weights: names and shapes must be exactly the network's, or nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from vidcam.errors import WeightsError
from vidcam.models.weights.checkpoint import State, fill
from vidcam.models.weights.files import read_weights
from vidcam.system.fingerprint import sha256

Rename = Callable[[State], State]


def fill_from_file(module: nn.Module, path: Path, *, name: str, rename: Rename | None = None) -> str:
    """Load the weights in a file into a network; returns their provenance, 'r3d_18-b3b3357e.pth, sha256 …'.

    Args:
        module: filled whole or left as it was.
        path: PyTorch (.pt, .pth) or safetensors; see `files`.
        name: of the model, for the error's sentence.
        rename: from the file's names to the network's.

    Raises:
        WeightsError: the file cannot be read or is of another network.
    """
    file = read_weights(path, most_numbers=most_numbers(module))
    if file.is_keras:
        raise WeightsError(
            f"weights {path.name} are Keras' HDF5, which is read for C3D alone, expected PyTorch or safetensors for "
            f"{name!r}; save the network's state_dict()"
        )
    state = dict(file.tensors) if rename is None else rename(dict(file.tensors))
    own = module.state_dict()  # older files lack the batch counters, which play no part once training is over
    counters = {key: own[key] for key in own if key.endswith("num_batches_tracked") and key not in state}
    fill(module, {**state, **counters}, name=name, what=f"the weights in {path.name}")
    return f"{path.name}, sha256 {sha256(path)}"


def most_numbers(module: nn.Module) -> int:
    """How many numbers a file of a network's weights may claim to hold."""
    held: int = sum(tensor.numel() for tensor in module.state_dict().values())
    return 4 * held
