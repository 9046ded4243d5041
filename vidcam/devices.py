"""Devices: their names, memory and random state, and copies to them. Only this file knows CUDA from MPS and XPU.

Torch is imported inside the functions, so that the command line can name devices without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from vidcam.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DEVICE_FORM = "auto|cpu|cuda:N|mps|xpu:N"
"""How a device is named on the command line."""

DEVICE_EXAMPLES = ("auto", "cpu", "cuda:0", "mps", "xpu:0")

CPU_BATCH = 4
"""Clips per forward pass on a CPU. More are not faster."""

ACCELERATOR_BATCH, MOST_BATCH = 16, 32
"""Clips per forward pass on another device: where its memory is not known, and at most."""

_MEMORY_SHARE = 0.5  # of the free memory; the rest is for frames, masked clips and the allocator
_AUTO = "cuda"  # MPS and XPU are taken if they are named: vidcam was not tried on them


def resolve_device(name: str) -> torch.device:
    """Return the device with this name and check that it is available.

    Args:
        name: 'auto' (the first CUDA device if there is one, else the CPU), 'cpu', 'cuda', 'cuda:N', 'mps', 'mps:0',
            'xpu' or 'xpu:N'.

    Raises:
        InputError: the name is unknown, or the device is not available.
    """
    import torch

    if not re.fullmatch(r"auto|cpu|(cuda|mps|xpu)(:\d+)?", name):
        raise InputError(f"device {name!r} is unknown; pass 'auto', 'cpu', 'cuda:N', 'mps' or 'xpu:N'")
    kind, _, number = (_AUTO if name == "auto" else name).partition(":")
    if kind == "cpu" or (name == "auto" and not _count(kind)):
        return torch.device("cpu")
    index, present = int(number or 0), _count(kind)
    if index >= present:
        hint = f"a number below {present}" if present else f"install a torch with {kind.upper()}"
        raise InputError(
            f"device {name!r} is not available: torch sees {present} {kind.upper()} devices; pass 'cpu' or {hint}"
        )
    return torch.device(kind, index)


def _count(kind: str) -> int:
    """Return the number of devices of a kind that torch can use."""
    import torch

    module = torch.get_device_module(kind)
    return int(module.device_count()) if module.is_available() else 0


def device_lines() -> tuple[str, ...]:
    """Describe all devices, the CPU first: 'cpu (2 threads)', 'cuda:0 (NVIDIA H100, 80 GiB)'."""
    import torch

    lines = [f"cpu ({torch.get_num_threads()} threads)"]
    for kind in ("cuda", "mps", "xpu"):
        for index in range(_count(kind)):
            device = torch.device(kind, index)
            memory = _memory(device)
            size = "" if memory is None else f", {memory[1] / 2**30:.0f} GiB"
            lines.append(f"{device} ({device_name(device)}{size})")
    return tuple(lines)


def device_name(device: torch.device) -> str:
    """Return the name of the card, or the kind of the device where torch knows no more: 'cpu', 'mps'."""
    import torch

    name = getattr(torch.get_device_module(device), "get_device_name", None)
    return device.type if device.type == "cpu" or name is None else str(name(device))


def device_of(module: torch.nn.Module) -> torch.device:
    """Return the device of the first parameter or buffer. The CPU if there is none."""
    import torch

    for tensors in (module.parameters(), module.buffers()):
        for tensor in tensors:
            return tensor.device
    return torch.device("cpu")


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host to a device; from pinned memory on CUDA, so that the host does not wait."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # torch keeps it until the copy is done
    return tensor.to(device, non_blocking=device.type != "cpu")


def double(tensor: Tensor) -> Tensor:
    """Return the tensor in float64, on the CPU if its device has no float64."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def is_on_cudnn(module: torch.nn.Module) -> bool:
    """Whether cuDNN runs a module's layers."""
    return any(parameter.is_cuda for parameter in module.parameters())


def rounds_to_tf32(device: torch.device) -> bool:
    """Whether the device rounds the inputs of float32 convolutions to TF32: torch's default on GPUs since Ampere."""
    import torch

    if device.type != "cuda" or not torch.backends.cudnn.allow_tf32:
        return False
    return torch.cuda.get_device_capability(device) >= (8, 0)


def restore_random_state(device: torch.device) -> Callable[[], object]:
    """Return a function that puts the random state of a device back as it is now."""
    import torch

    if device.type == "cpu":
        return partial(torch.set_rng_state, torch.get_rng_state())
    module: Any = torch.get_device_module(device)
    place = () if device.type == "mps" else (device,)
    return partial(module.set_rng_state, module.get_rng_state(*place), *place)


@contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """Put the random state of the CPU and of a device back after the block."""
    import torch

    steps = [restore_random_state(each) for each in {torch.device("cpu"), device}]
    try:
        yield
    finally:
        for step in steps:
            step()


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let PyTorch use this number of threads on the CPU in the block; 0 leaves it as it is."""
    import torch

    former = torch.get_num_threads()
    torch.set_num_threads(count or former)
    try:
        yield
    finally:
        torch.set_num_threads(former)


def clip_bytes(device: torch.device, run: Callable[[], object]) -> int | None:
    """Run a function on one clip, and return how much memory it needs on the device. None if that is not known."""
    import torch

    module: Any = torch.get_device_module(device)
    if not hasattr(module, "reset_peak_memory_stats"):
        run()
        return None
    before = module.memory_allocated(device)
    module.reset_peak_memory_stats(device)
    run()
    return int(module.max_memory_allocated(device) - before)


def batch_for(device: torch.device, bytes_per_clip: int | None) -> int:
    """Choose the clips per forward pass: the largest power of 2 up to 32 that fits half of the free memory.

    Args:
        device: where the model is.
        bytes_per_clip: from `clip_bytes`.
    """
    if device.type == "cpu":
        return CPU_BATCH
    memory = _memory(device)
    if memory is None or not bytes_per_clip:
        return ACCELERATOR_BATCH
    fitting = int(memory[0] * _MEMORY_SHARE) // bytes_per_clip
    return max(1, min(MOST_BATCH, 1 << max(0, fitting.bit_length() - 1)))


def _memory(device: torch.device) -> tuple[int, int] | None:
    """Return (free, total) bytes; memory that torch keeps for later counts as free. None if that is not known."""
    import torch

    module: Any = torch.get_device_module(device)
    if not hasattr(module, "mem_get_info"):
        return None
    free, total = module.mem_get_info(device)
    return free + module.memory_reserved(device) - module.memory_allocated(device), total
