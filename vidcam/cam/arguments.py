"""Inputs of `forward` besides the clip: several arguments, keyword arguments, mappings.

Only the clip has a map. The network is still called with the clip alone; a pre-hook puts the other inputs beside it.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from vidcam.cam.preserve import Undo
from vidcam.cam.wrappers import unwrapped
from vidcam.errors import InputError

_HERE = object()


@dataclass(frozen=True, slots=True, eq=False)
class Arguments:
    """What `forward` is called with.

    Attributes:
        positional: positional arguments; a placeholder is where the clip belongs.
        named: keyword arguments, likewise.
        clips: N of the clip that was passed; 0 before it is known.
    """

    positional: tuple[Any, ...]
    named: Mapping[str, Any]
    clips: int = 0

    def call(self, clip: Any, count: int, device: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of one call.

        Args:
            clip: what stands in the place of the clip.
            count: its number of clips. If there are fewer than `clips`, tensors with `clips` rows keep the first.
            device: device of the clip, to which all tensors go.
        """

        def placed(value: Any) -> Any:
            return clip if value is _HERE else _mapped(value, fitted)

        def fitted(tensor: Tensor) -> Tensor:
            rows = tensor[:count] if count < self.clips and tensor.ndim and len(tensor) == self.clips else tensor
            return rows.clone() if rows.is_inference() else rows.to(device)

        return tuple(map(placed, self.positional)), {name: placed(value) for name, value in self.named.items()}


def split_clip(
    network: nn.Module, clip: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None
) -> tuple[Any, Arguments | None, tuple[str, ...]]:
    """Separate the clip from the other inputs of a network.

    Args:
        network: its `forward` tells whether a tuple is several arguments.
        clip: the clip; a mapping of keyword arguments, or a tuple of positional ones, one of which is the clip.
        args: further positional arguments.
        kwargs: further keyword arguments.

    Returns:
        The clip; the other arguments, None if there are none; notes.

    Raises:
        InputError: `forward` does not take these arguments.
    """
    if not isinstance(args, tuple | list) or not isinstance(kwargs, Mapping | None):
        raise InputError(f"args must be a tuple and kwargs a dict, got {type(args).__name__}, {type(kwargs).__name__}")
    signature = _signature(network)
    positional: tuple[Any, ...] = (_HERE,)
    named: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    if isinstance(clip, Mapping):
        name = _video(clip)
        positional, named, clip = (), {**clip, name: _HERE}, clip[name]
        notes = (f"The clip was handed over as keyword arguments; the maps lie on {name!r}.",) if len(named) > 1 else ()
    elif isinstance(clip, tuple) and len(clip) > 1 and _takes(signature, clip):
        place = _video(dict(enumerate(clip)))
        positional, clip = (*clip[:place], _HERE, *clip[place + 1 :]), clip[place]
        notes = (f"The tuple was handed over as {len(positional)} arguments; the maps lie on the {_th(place)}.",)
    twice = set(named) & set(kwargs or {})
    if twice:
        raise InputError(f"{min(twice)!r} is in the clip and in kwargs; pass it once")
    arguments = Arguments((*positional, *args), {**named, **(kwargs or {})})
    _require_call(network, signature, arguments, clip)
    is_plain = len(arguments.positional) == 1 and not arguments.named
    return clip, None if is_plain else arguments, notes


def hand_over(network: nn.Module, arguments: Arguments | None, undo: Undo) -> None:
    """Put the other arguments beside the clip in each call of a network in this thread, until `undo`."""
    if arguments is None:
        return
    thread = threading.get_ident()

    def hook(_module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if threading.get_ident() != thread:
            return None
        (clip,) = inputs
        first = clip if isinstance(clip, Tensor) else clip[0]
        positional, keywords = arguments.call(clip, len(first), first.device)
        return positional, {**named, **keywords}

    undo.add(partial(_remove, network, hook))
    network.register_forward_pre_hook(hook, prepend=True, with_kwargs=True)  # before the user's own hooks


def _remove(network: nn.Module, hook: Callable[..., Any]) -> None:
    for number, other in list(network._forward_pre_hooks.items()):  # noqa: SLF001 – as in `preserve`
        if other is hook:
            network._forward_pre_hooks_with_kwargs.pop(number, None)  # noqa: SLF001
            network._forward_pre_hooks.pop(number, None)  # noqa: SLF001


def _signature(network: nn.Module) -> inspect.Signature | None:
    try:
        return inspect.signature(unwrapped(network).forward)
    except (TypeError, ValueError):
        return None


def _takes(signature: inspect.Signature | None, clip: tuple[Any, ...]) -> bool:
    """Whether `forward` takes the parts of a tuple as arguments.

    If it needs one only, tensors of as many axes are the pathways of that one.
    """
    parameters = [] if signature is None else list(signature.parameters.values())
    if any(parameter.kind == parameter.VAR_POSITIONAL for parameter in parameters):
        return True
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(parameter.default is parameter.empty for parameter in positional)
    are_pathways = len({getattr(part, "ndim", None) for part in clip}) == 1 and needed < 2
    return len(positional) >= len(clip) and not are_pathways


def _require_call(network: nn.Module, signature: inspect.Signature | None, arguments: Arguments, clip: Any) -> None:
    if signature is None or unwrapped(network)._forward_pre_hooks:  # noqa: SLF001 – a hook may change the arguments
        return
    try:
        signature.bind(*arguments.positional, **arguments.named)
    except TypeError as exc:
        names = ", ".join(signature.parameters)
        advice = (
            "a list is one argument, a tuple several" if isinstance(clip, list) else "pass others with args= or kwargs="
        )
        raise InputError(f"forward({names}): {exc}; {advice}") from exc


def _video(parts: Mapping[Any, Any]) -> Any:
    """The name of the part with the most axes; of several the floating point one, then the largest, then the first."""
    ranks = {name: rank for name, part in parts.items() if (rank := _rank(part)) is not None}
    if not ranks:
        raise InputError(f"clip holds no tensor, only {', '.join(type(part).__name__ for part in parts.values())}")
    return max(ranks, key=lambda name: ranks[name])


def _rank(part: Any) -> tuple[int, bool, int] | None:
    if isinstance(part, list | tuple):  # pathways
        return max((rank for each in part if (rank := _rank(each)) is not None), default=None)
    if isinstance(part, Tensor):
        return part.ndim, part.is_floating_point(), part.numel()
    return (part.ndim, part.dtype.kind == "f", part.size) if hasattr(part, "__array__") else None


def _mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to the tensors of a value, also inside lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {name: _mapped(part, function) for name, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [_mapped(part, function) for part in value]
        return value._make(parts) if hasattr(value, "_make") else type(value)(parts)
    return value


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a value, also inside mappings, tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from tensors_in(part)


def _th(place: int) -> str:
    return ("first", "second", "third")[place] if place < 3 else f"{place + 1}th"
