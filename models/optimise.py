"""A faster copy of a network: convolutions channels last and, on request, 16 bits.

The network is never modified and stays the one for everything that touches weights (drawing them anew, saving them).
The copy shares with it the weights that are the same; its modules have the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from vidcam.errors import InputError
from vidcam.models.model import Model

if TYPE_CHECKING:
    import torch
    from torch import nn

Tried = TypeVar("Tried")

Precision = Literal["float32", "bf16", "fp16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

MemoryFormat = Literal["contiguous", "channels_last", "channels_last_3d"]

_WRAPPERS = {"OptimizedModule", "DataParallel", "DistributedDataParallel"}


@dataclass(frozen=True, slots=True)
class Forward:
    """How a model's forward pass is run; stands in every result.

    Attributes:
        memory_format: of the convolutions' weights.
        precision: of the trunk; 'float32' leaves the network's own.
        reason: why the memory format is the network's own; None if it is channels last.
    """

    memory_format: MemoryFormat = "contiguous"
    precision: Precision = "float32"
    reason: str | None = None

    def entry(self) -> dict[str, Any]:
        """As it stands in a JSON."""
        return asdict(self)


def optimised(
    model: Model, attempt: Callable[[Model], Tried], *, precision: Precision = "float32"
) -> tuple[Model, Forward, Tried]:
    """The model with a faster copy of its network that has been tried out, or the model itself.

    Args:
        model: left as it was.
        attempt: runs the model that it is given on one clip. If the channels-last copy fails, it is called once more,
            with the model without that copy.
        precision: of the trunk.

    Returns:
        The model, how it runs, and what `attempt` returned for it.

    Raises:
        InputError: the precision is unknown, is not one for this device, or the network cannot be copied for it.
        Exception: whatever `attempt` raises for the model without the channels-last copy.
    """
    from vidcam.models.memory_format import as_in_any_batch, channels_last

    _require_precision(precision, model.device)
    reason = _why_no_copy(model.module)
    if precision != "float32":
        model = _in_16_bits(model, precision, reason)
    reason = reason or _why_no_gain(model.module, model.device, precision)
    if not reason:
        try:
            network, memory_format = channels_last(model.module)
            faster = replace(model, module=network)
            with as_in_any_batch(network):
                return faster, Forward(memory_format, precision), attempt(faster)
        except Exception as exc:  # any class may be in a network
            reason = f"the channels-last copy failed: {_first_line(exc)}"
    return model, Forward("contiguous", precision, reason), attempt(model)


def _require_precision(precision: str, device: torch.device) -> None:
    if precision not in PRECISIONS:
        raise InputError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}; choose one")
    if precision == "fp16" and device.type == "cpu":
        raise InputError(
            "precision fp16 was asked for on a CPU, expected bf16 or float32 there; pass bf16, or a CUDA device"
        )


def _why_no_copy(module: nn.Module) -> str:
    """Why a network is not copied at all; empty if nothing stands against it."""
    import torch
    from torch.nn.parameter import is_lazy

    inner = list(module.modules())
    if any(type(one).__name__ in _WRAPPERS or isinstance(one, torch.jit.ScriptModule) for one in inner):
        return "it is compiled, scripted or wrapped"
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        return "its weights have no shapes yet"
    return "it has hooks" if any(_is_watched(one, is_root=one is module) for one in inner) else ""


def _is_watched(module: nn.Module, *, is_root: bool) -> bool:
    """Whether a module has hooks; the network itself may have some that prepare its input."""
    watching = [module._forward_hooks, module._backward_hooks, module._backward_pre_hooks]  # noqa: SLF001
    return any(watching) or (bool(module._forward_pre_hooks) and not is_root)  # noqa: SLF001


def _why_no_gain(module: nn.Module, device: torch.device, precision: Precision) -> str:
    """Why channels last would gain nothing; empty if it gains."""
    from torch import nn

    if device.type != "cpu" and precision == "float32":  # cuDNN has its fast kernels in that format for 16 bits
        return f"channels last gains nothing in float32 on {device.type}"
    if not any(isinstance(one, nn.Conv2d | nn.Conv3d) and "weight" in one._parameters for one in module.modules()):  # noqa: SLF001 – else it is computed
        return "it has no 2-D or 3-D convolutions with weights of their own"
    if any(isinstance(one, nn.LayerNorm) for one in module.modules()):
        return "it has layer normalisation: transformers gain nothing from channels last"
    return ""


def _in_16_bits(model: Model, precision: Precision, reason: str) -> Model:
    """The model with a copy in 16 bits, unless there is a reason against a copy.

    Raises:
        InputError: there is such a reason, or the network cannot be copied, fails or has no weights.
    """
    import torch

    from vidcam.models.half import halved

    if not reason:
        try:
            return replace(model, module=halved(model, torch.bfloat16 if precision == "bf16" else torch.float16))
        except Exception as exc:
            reason = _first_line(exc)
    raise InputError(
        f"model {model.spec.name!r} cannot run in {precision} ({reason}), expected a network that can be copied and "
        f"run on a grey clip; leave the precision at float32"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
