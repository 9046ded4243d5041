"""What a start computes, kept in the cache folder: layers, baseline, artifact, kind of head.

It depends only on the network, its weights, the size of the clips, the layers, the versions and the machine. Their
digest names the file, so a change of any of them computes it again. Only networks whose modules all come from torch.nn,
torchvision or vidcam are remembered: a user's code, traced or not, may change while its weights stay.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from vidcam.devices import device_name
from vidcam.errors import OutputError
from vidcam.models.model import Model, Precision
from vidcam.models.weights.cache import cache_folder, cache_write
from vidcam.models.weights.checkpoint import tensors_digest
from vidcam.preprocess import grey_input
from vidcam.system.fingerprint import digest_of

MOST_FILES, MOST_BYTES = 64, 16 << 20
"""The oldest files are deleted beyond this number. What is larger is not kept."""

_TRUSTED = re.compile(r"(torch\.nn|torch\._C|torchvision|vidcam)\.|torch$")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The answer to one question about a network.

    Attributes:
        document: what goes into JSON.
        tensors: tensors by name, on the CPU.
    """

    document: Mapping[str, Any]
    tensors: Mapping[str, Tensor] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class StartMemory:
    """The answers about one network.

    Attributes:
        key: digest of the network; None: nothing is remembered.
    """

    key: str | None = None

    @classmethod
    def of(cls, model: Model, precision: Precision) -> StartMemory:
        """Open the memory of a model that runs in a precision; an empty one if its code is not vidcam's or torch's."""
        return cls(_network_digest(model, precision) if _is_trusted(model.module) else None)

    def recall(self, question: Sequence[str], compute: Callable[[], Remembered]) -> Remembered:
        """Return the kept answer, or compute and keep it. A cache folder that cannot be written keeps nothing."""
        if self.key is None:
            return compute()
        name = digest_of([self.key.encode(), json.dumps([*question]).encode()])
        path = cache_folder() / "start" / f"{name[:40]}.safetensors"
        answer = _read(path)
        if answer is None:
            answer = compute()
            with suppress(OutputError, OSError):
                _write(path, answer)
        return answer


def _is_trusted(network: nn.Module) -> bool:
    """Whether versions name all code that runs: no foreign classes or functions, no hooks, no replaced `forward`."""
    return all(
        _TRUSTED.match(type(module).__module__)
        and "forward" not in vars(module)
        and not any(getattr(module, hooks) for hooks in _HOOKS)
        and all(_TRUSTED.match(_origin(value)) for value in _settings(module).values() if callable(value))
        for module in network.modules()
    )


def _settings(module: nn.Module) -> dict[str, object]:
    """Return the attributes that a user of the module sees, such as `activation`, which its text may not show."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_") and name != "training"}


def _origin(function: Any) -> str:
    """Return the package of a function or class, or of what a `partial` calls."""
    return str(getattr(getattr(function, "func", function), "__module__", ""))


def _network_digest(model: Model, precision: Precision) -> str:
    state: dict[str, Tensor] = {f"buffer {name}": tensor for name, tensor in model.module.named_buffers()}
    state |= {f"parameter {name}": tensor for name, tensor in model.module.named_parameters()}
    parts = (
        _code_digest(),
        repr(model.module),
        re.sub(r" at 0x[0-9a-f]+", "", repr([_settings(module) for module in model.module.modules()])),
        repr(model.spec),
        tensors_digest({**state, "grey": grey_input(model.spec)}),
        precision,
        str(model.device),
        device_name(model.device),
        repr((platform.machine(), torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())),
        repr((torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled, torch.get_default_dtype())),
        repr((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32)),
    )
    return digest_of(part.encode() for part in parts)


def _code_digest() -> str:
    """Versions of the packages, and vidcam's own code behind an answer, which changes between releases."""
    root = Path(__file__).parents[1]
    files = [root / "pipelines" / "forward.py", Path(__file__), *(root / "models").rglob("*.py")]
    files += [file for folder in (root, root / "cam", root / "results") for file in folder.glob("*.py")]
    versions = [f"{package} {version(package)}".encode() for package in ("torch", "torchvision")]
    return digest_of([*versions, *(file.read_bytes() for file in sorted(files))])


def _read(path: Path) -> Remembered | None:
    """Return the answer in a file; None if there is none, or if it is damaged."""
    try:
        with safe_open(path, "pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 – no dict
    except (OSError, SafetensorError):
        return None
    document = metadata.get("document", "")
    if metadata.get("digest") != _digest(document, tensors):
        return None
    return Remembered(json.loads(document), tensors)


def _write(path: Path, answer: Remembered) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in answer.tensors.items()}
    if sum(tensor.nbytes for tensor in tensors.values()) > MOST_BYTES:
        return
    document = json.dumps(answer.document)
    content = save(tensors, {"document": document, "digest": _digest(document, tensors)})
    with cache_write(path) as temporary_path:
        temporary_path.write_bytes(content)
    files = sorted(path.parent.glob("*.safetensors"), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST_FILES]:
        file.unlink(missing_ok=True)


def _digest(document: str, tensors: Mapping[str, Tensor]) -> str:
    return digest_of([document.encode(), tensors_digest(tensors).encode()])
