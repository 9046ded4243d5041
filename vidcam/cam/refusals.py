"""One plain sentence for a clip that the network cannot take, instead of torch's error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType

from torch import Tensor, nn

from vidcam.cam.arguments import Arguments
from vidcam.cam.network import Input
from vidcam.cam.wrappers import unwrapped
from vidcam.errors import InputError, LayerError, ShapeError

_CONVOLUTIONS = {nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5}


_NO_MAP = ("no layer has a grid", "for an input of")
"""What errors of layers say where the axes of the clip may be wrong."""


class PlainRefusal:
    """A context in which a network runs. An error that the clip explains becomes an `InputError` that says so.

    The clip is not checked before: a network may scale integers, or convert types, itself.
    """

    def __init__(self, network: nn.Module, clip: Input, arguments: Arguments | None = None) -> None:
        self._network, self._arguments = network, arguments
        parts: Sequence[object] = clip if isinstance(clip, list | tuple) else [clip]
        self._parts = [part for part in parts if isinstance(part, Tensor)]

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, raised: BaseException | None, _traceback: TracebackType | None) -> None:
        if not self._parts or not isinstance(raised, RuntimeError | IndexError | LayerError | ShapeError):
            return
        reason = self._type_or_device(str(raised)) if isinstance(raised, RuntimeError) else None
        says_why = isinstance(raised, LayerError) and not any(words in str(raised) for words in _NO_MAP)
        reason = reason or (None if says_why else self._batch_axis())
        if reason is None and isinstance(raised, RuntimeError):
            reason = self._order(str(raised))
        if reason is not None:
            raise InputError(reason) from raised

    def _type_or_device(self, text: str) -> str | None:
        """The reason, if torch's error is about types or devices."""
        weight = next((p for p in self._network.parameters() if p.is_floating_point()), None)
        if "type" not in text and "device" not in text and "not implemented for" not in text:
            return None
        others = [] if self._arguments is None else self._arguments.tensors()
        for part, name in (*((part, "clip") for part in self._parts), *((part, "args or kwargs") for part in others)):
            if name == "clip" and not part.is_floating_point():
                return f"clip is {part.dtype}; scale it to floats as the model takes it, such as clip.float() / 255"
            if weight is not None and name == "clip" and part.device != weight.device:
                return f"clip is on {part.device}, the weights on {weight.device}; pass clip.to({str(weight.device)!r})"
            if weight is not None and part.is_floating_point() and part.dtype != weight.dtype:
                return f"{name}: {part.dtype}, but the weights are {weight.dtype}; bring both to one type with .to()"
        dtype, device = self._parts[0].dtype, self._parts[0].device
        return f"{dtype} cannot be run on {device}; use float32" if f"for '{_NAMES.get(str(dtype))}'" in text else None

    def _batch_axis(self) -> str | None:
        modules = (type(module) for module in unwrapped(self._network).modules())
        axes = next((_CONVOLUTIONS[kind] for kind in modules if kind in _CONVOLUTIONS), None)
        part = next((part for part in self._parts if part.ndim + 1 == axes), None)
        if part is None:
            return None
        return f"clip has no batch axis: {part.ndim} axes, expected {axes}, the first of the clips; pass clip[None]"

    def _order(self, text: str) -> str | None:
        """The reason, if a convolution receives the clip itself and cannot take its axes."""
        shape = next((part.shape for part in self._parts if str([*part.shape]) in text), None)
        channels, axes = _WRONG_CHANNELS.search(text), _WRONG_AXES.search(text)
        if shape is not None and axes is not None:
            return f"clip is {tuple(shape)}; the network takes {axes[1]} axes: {_TAKES[axes[1]]}"
        if shape is None or channels is None:
            return None
        fitting = next((axis for axis in range(2, len(shape)) if shape[axis] == int(channels[1])), None)
        advice = "a clip of that many" if fitting is None else f"clip.movedim({fitting}, 1)"
        return f"clip is {tuple(shape)}; the network takes {channels[1]} channels on axis 1: pass {advice}"


_WRONG_CHANNELS = re.compile(r"expected input\[.*\] to have (\d+) channels")
_WRONG_AXES = re.compile(r"or (\d)D \(batched\) input to conv")

_TAKES = {"3": "signals (N, C, L)", "4": "images (N, C, H, W)", "5": "clips (N, C, T, H, W)"}

_NAMES = {"torch.float16": "Half", "torch.bfloat16": "BFloat16"}
