"""Load a weights file into a network. Names and shapes must match exactly, otherwise nothing is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from vidcam.errors import WeightsError
from vidcam.models.weights.checkpoint import State, load_state_dict
from vidcam.models.weights.files import read_weights
from vidcam.system.fingerprint import sha256

Rename = Callable[[State], State]


def load_weights_file(module: nn.Module, path: Path, *, name: str, rename: Rename | None = None) -> str:
    """Load a weights file into a network.

    Args:
        module: the network. It is unchanged if an error is raised.
        path: a PyTorch (.pt, .pth) or safetensors file; see `files`.
        name: name of the model, for the error message.
        rename: function from the file's state dict to the network's names.

    Returns:
        Provenance of the weights, 'r3d_18-b3b3357e.pth, sha256 …'.

    Raises:
        WeightsError: the file cannot be read, or does not fit the network.
    """
    file = read_weights(path, max_numbers=max_numbers(module))
    if file.is_keras:
        raise WeightsError(
            f"weights {path.name} are Keras HDF5, which only C3D accepts; for {name!r} pass PyTorch or safetensors"
        )
    state = dict(file.tensors) if rename is None else rename(dict(file.tensors))
    own = module.state_dict()  # older files lack the batch counters, which evaluation does not use
    counters = {key: own[key] for key in own if key.endswith("num_batches_tracked") and key not in state}
    load_state_dict(module, {**state, **counters}, name=name, source=f"the weights in {path.name}")
    return f"{path.name}, sha256 {sha256(path)}"


def max_numbers(module: nn.Module) -> int:
    """Return how many values a weights file for this network may declare: 4 times the network's own."""
    own: int = sum(tensor.numel() for tensor in module.state_dict().values())
    return 4 * own
