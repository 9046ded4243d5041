"""One plain sentence for a clip that the network cannot take, instead of torch's error."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import prod
from types import TracebackType

import torch
from torch import Tensor, nn

from vidcam.cam.arguments import Arguments, hand_over, tensors_in
from vidcam.cam.network import Input, like_input, scores_tensor
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.state import same_state
from vidcam.cam.wrappers import unwrapped
from vidcam.errors import InputError, LayerError, RunError, ShapeError, VidcamError
from vidcam.foreign import describe, is_of_module


class PlainRefusal:
    """A context in which a network runs. An error that the clip explains becomes an `InputError` that says so.

    The clip is not checked before: a network may scale integers, or convert types, itself. A network that ends the
    program becomes a `RunError`.
    """

    def __init__(self, network: nn.Module, clip: Input, arguments: Arguments | None = None) -> None:
        self._network, self._clip, self._arguments = network, clip, arguments
        parts: Sequence[object] = clip if isinstance(clip, list | tuple) else [clip]
        self._parts = [part for part in parts if isinstance(part, Tensor)]

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, raised: BaseException | None, _traceback: TracebackType | None) -> None:
        if isinstance(raised, SystemExit) and is_of_module(raised):
            raise RunError(f"the network ends the program: {describe(raised)}") from raised
        is_ours = isinstance(raised, VidcamError) and not isinstance(raised, LayerError | ShapeError)
        if not self._parts or not isinstance(raised, Exception) or is_ours:
            return
        is_torchs = isinstance(raised, RuntimeError)
        reason = self._type_or_device(str(raised)) if is_torchs else None
        reason = reason or self._batch_axis() or (self._order(str(raised)) if is_torchs else None)
        if reason is not None:
            raise InputError(reason) from raised

    def _type_or_device(self, text: str) -> str | None:
        """The reason, if torch's error is about types or devices."""
        weight = next((p for p in self._network.parameters() if p.is_floating_point()), None)
        if "type" not in text and "device" not in text and "not implemented for" not in text:
            return None
        given = self._arguments
        others = tensors_in(None if given is None else (given.positional, given.named))
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
        """The reason, if the network runs on the clip with one more axis and returns one row of scores."""
        axes = self._parts[0].ndim
        if axes > 4:  # (N, C, T, H, W)
            return None
        network = unwrapped(self._network)
        try:
            with Undo() as undo, undo:
                preserve_model(network, undo)
                hand_over(network, self._arguments, undo)
                with torch.no_grad(), same_state(network, undo):
                    scores = scores_tensor(network(like_input(self._clip, [part[None] for part in self._parts])))
        except Exception:  # whatever the network raises, this is not the reason
            return None
        if scores is None or scores.ndim == 0 or len(scores) != 1:
            return None
        return f"clip has no batch axis: {axes} axes, expected {axes + 1}, the first of the clips; pass clip[None]"

    def _order(self, text: str) -> str | None:
        """The reason, if a convolution receives the clip, its axes in any order, and cannot take them."""
        axes, channels = _WRONG_AXES.search(text), _WRONG_CHANNELS.search(text)
        shape = next((tuple(part.shape) for part in self._parts if str([*part.shape]) in text), None)
        if shape is not None and axes is not None:
            return f"clip is {shape}; the network takes {axes[1]} axes: {_TAKES[axes[1]]}"
        if channels is None:
            return None
        received, needed = tuple(map(int, channels[1].split(", "))), int(channels[2])
        shape = next((tuple(part.shape) for part in self._parts if _are_axes_of(part, received)), None)
        if shape is None:
            return None
        places = [1] if received == shape else [a for a in range(1, len(shape)) if shape[a] == received[1]]
        fitting = next((axis for axis in range(1, len(shape)) if shape[axis] == needed and axis not in places), None)
        if len(places) > 1:
            return f"clip is {shape}; the first convolution receives {received}, expected {needed} channels on axis 1"
        advice = "a clip of that many" if fitting is None else f"clip.movedim({fitting}, {places[0]})"
        return f"clip is {shape}; the network takes {needed} channels on axis {places[0]}: pass {advice}"


def _are_axes_of(clip: Tensor, received: Sequence[int]) -> bool:
    """Whether a shape is that of the clip in another order, or with the frames in the batch."""
    return prod(received) == clip.numel() and Counter(received[1:]) <= Counter(clip.shape[1:])


_WRONG_CHANNELS = re.compile(r"expected input\[(.*?)\] to have (\d+) channels")
_WRONG_AXES = re.compile(r"or (\d)D \(batched\) input to conv")

_TAKES = {"3": "signals (N, C, L)", "4": "images (N, C, H, W)", "5": "clips (N, C, T, H, W)"}

_NAMES = {"torch.float16": "Half", "torch.bfloat16": "BFloat16"}
