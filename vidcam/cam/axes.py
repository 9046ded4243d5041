"""Infer the axes of a clip from what a network's first convolution receives.

A network whose clips are not (N, C, T, H, W) brings them into that order before its first convolution. Where the
convolution receives a view of the clip, its strides name each axis. Where it receives a copy, the sizes do. Only if
one other axis is as long as axis 1, the network first runs up to that convolution, and again with one slot of an axis
changed: the axis of the convolution's input in which one slot differs is that axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.axes import COLOURS, Axes
from vidcam.cam.network import Input, pathways, reference, scores_tensor
from vidcam.cam.preserve import Undo
from vidcam.cam.state import same_state
from vidcam.cam.tracer import LogitTracer
from vidcam.errors import ShapeError

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

_PLAIN = {3: "NCL", 4: "NCHW", 5: "NCTHW"}


class _ReachedError(BaseException):
    """The first convolution was reached; no `except Exception` of a network stops this."""

    def __init__(self, received: Tensor) -> None:
        super().__init__()
        self.received = received


class ClipViews:
    """A clip as (N, C, T, H, W); also as images, where frames share an axis and a layer keeps them so.

    Attributes:
        axes: the axes in which the clip is viewed.
        whole: (N, C, T, H, W).
    """

    def __init__(self, clip: Input, axes: Axes) -> None:
        self._clip, self.axes, self.whole = clip, axes, reference(clip, axes)
        images = reference(clip, axes.without_time) if axes.shared else self.whole
        self._views = {view.ndim: view for view in (images, self.whole)}

    def like(self, features: Tensor) -> Tensor | None:
        """Return the view with as many axes as features; None if there is none.

        Rows that a reshape has made frames, (N, D, t, h, w) of (N·t, C, H, W), tell T before the output does.
        """
        if features.ndim == 5 and self.axes.frames is None and self.axes.text in ("NCHW", "(NT)CHW"):
            rows, frames = self.whole.shape[0], features.shape[2]
            if frames > 1 and features.shape[0] * frames == rows:
                return reference(self._clip, Axes("(NT)CHW", frames))
        return self._views.get(features.ndim)


class AxesWatch:
    """Find the axes of a clip while a network runs on it.

    Attributes:
        clip: the input of the network.
        axes: those that the caller named, or what is known so far.
        notes: a sentence if they were inferred, or could not be.
    """

    def __init__(
        self, network: nn.Module, clip: Input, named: Axes | None, undo: Undo, *, is_reshaped: bool = False
    ) -> None:
        """Watch until `undo`; the network is held by `preserve_model` and runs once afterwards.

        `named` are the axes that the caller named. If it is reshaped, a reshape may bring the features of the network
        to other axes than it convolves.

        Raises:
            ShapeError: the clip has not the named axes, or more than five.
        """
        self.clip = clip
        self._clips, self._is_named, self._is_settled = pathways(clip), named is not None, named is not None
        self._clip = self._clips[0]
        if named is None and self._clip.ndim not in _PLAIN:
            raise ShapeError(f"clip is {tuple(self._clip.shape)}; it needs (N, C, T, H, W): see clip.flatten(0, 1)")
        self.axes = named or Axes(_PLAIN[self._clip.ndim])
        self._views = ClipViews(clip, self.axes)
        self.notes: tuple[str, ...] = ()
        self._view: Tensor | None = None  # in the named axes, until the first convolution has run
        self._others: str | None = None  # axes that contradict the named ones
        convolutions = [module for module in network.modules() if isinstance(module, _CONVOLUTIONS)]
        if named is not None:
            self._view = self.axes.view(self._clip)
            for module in convolutions if self._clip.ndim > 4 and not is_reshaped else ():
                undo.add_pre_hook(module, self._compare)
            return
        if convolutions and isinstance(clip, Tensor) and clip.shape[1] in clip.shape[2:]:
            self._settle(_probed(network, convolutions, clip))
        for module in convolutions if not self._is_settled else ():
            undo.add_pre_hook(module, self._see)

    @property
    def views(self) -> ClipViews:
        """The clip in the axes that are known by now: the first convolution may tell them."""
        if self._views.axes is not self.axes:
            self._views = ClipViews(self.clip, self.axes)
        return self._views

    def with_rows(self, output: Any, tracer: LogitTracer) -> Axes:
        """Return the axes, once the network's output tells how many frames share the batch axis.

        Args:
            output: what the network returned.
            tracer: was active while it ran; it tells the scores from other tensors.

        Raises:
            ShapeError: the network takes other axes than the caller named, or the rows of '(NT)CHW' are no multiple of
                those of the output.
        """
        if self._others is not None:
            raise ShapeError(f"axes is {self.axes.text!r}, but the first convolution receives {self._others!r}")
        if not self._is_settled:
            self._say_how_it_was_read()
        scores, rows = scores_tensor(output, tracer), self._clip.shape[0]
        clips = scores.shape[0] if scores is not None and scores.ndim in (2, 3) else rows
        is_multiple = 0 < clips < rows and rows % clips == 0
        if self.axes.shared == "NT" and self.axes.frames is None:
            if not is_multiple and clips != rows:
                raise ShapeError(f"clip has {rows} rows for {clips} of the output; axes {self.axes.text!r} need T each")
            return self.axes.known_with(rows // clips)
        if is_multiple and not self._is_named and self.axes.text == "NCHW":
            frames = rows // clips
            self.notes = (f"Axes (NT)CHW were inferred: {rows} frames gave {clips} rows of scores, {frames} each.",)
            return Axes("(NT)CHW", frames)
        return self.axes

    def _see(self, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if self._is_settled or not inputs or not isinstance(inputs[0], Tensor):
            return
        received = inputs[0]
        clip = next((part for part in self._clips if _is_view(received, part)), self._clip)
        if received.ndim >= min(clip.ndim, 4):
            self._settle(_by_strides(clip, received) or _by_sizes(clip, received))
            self._name_frames_in_channels(received)

    def _compare(self, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Note the axes that the first convolution receives, if it receives the whole clip in an unexpected order."""
        received, view = inputs[0] if inputs else None, self._view
        if view is None or not isinstance(received, Tensor):
            return
        self._view = None
        if sorted(received.shape) != sorted(view.shape) or _are_alike(received, view):
            return
        found = _by_strides(self._clip, received) or _by_sizes(self._clip, received)
        self._others = found if found != self.axes.text else None

    def _settle(self, text: str | None) -> None:
        self._is_settled = True
        if text is None:
            self._say_how_it_was_read()
        elif text != self.axes.text:
            self.axes = Axes(text)
            self.notes = (f"Axes {text} were inferred from what the first convolution receives.",)

    def _say_how_it_was_read(self) -> None:
        """Say so where time may have been taken for channels."""
        shape = self._clip.shape
        if self.axes.text == "NCTHW" and shape[1] != COLOURS and COLOURS in (shape[2], shape[4]):
            named = "NTCHW" if shape[2] == COLOURS else "NTHWC"
            read = f"The clip was read as {shape[1]} channels of {shape[2]} frames"
            self.notes = (f"{read}; pass axes={named!r} if axis 1 is time.",)

    def _name_frames_in_channels(self, received: Tensor) -> None:
        channels = self._clip.shape[1]
        if self.axes.text == "NCHW" and channels == received.shape[1] and channels > COLOURS == channels % 3 + COLOURS:
            self.notes = (
                f"If the {channels} channels are {channels // COLOURS} frames, pass axes='N(TC)HW' or 'N(CT)HW'.",
            )


def _is_view(received: Tensor, clip: Tensor) -> bool:
    return received.untyped_storage().data_ptr() == clip.untyped_storage().data_ptr()


def _are_alike(received: Tensor, view: Tensor) -> bool:
    """Whether a tensor has the axes of a view: its shape, and its strides if it is a view of the same clip."""
    strides = zip(view.shape, view.stride(), received.stride(), strict=True)
    is_ordered = not _is_view(received, view) or all(one == other for size, one, other in strides if size > 1)
    return received.shape == view.shape and is_ordered


def _by_strides(clip: Tensor, received: Tensor) -> str | None:
    """The axes of a clip of which the convolution receives a view."""
    if received is clip:
        return _PLAIN[clip.ndim]
    if not _is_view(received, clip) or (received.ndim < clip.ndim and _mixes_colours(clip, received)):
        return None
    letters = _PLAIN[received.ndim] if received.ndim == clip.ndim else "_CHW"
    long = [axis for axis in range(clip.ndim) if clip.shape[axis] > 1]
    found = dict[int, str]()
    for letter, size, stride in zip(letters, received.shape, received.stride(), strict=True):
        if size > 1 and letter != "_":
            fitting = [axis for axis in long if clip.stride(axis) == stride and axis not in found]
            if len(fitting) != 1:
                return None
            found[fitting[0]] = letter
    return _completed(found, clip.ndim)


def _mixes_colours(clip: Tensor, received: Tensor) -> bool:
    """Whether axis 1 looks like colours that the network has mixed with frames or pixels before it convolves."""
    return clip.shape[1] in (1, COLOURS) and received.shape[1] not in (1, COLOURS)


def _completed(found: dict[int, str], count: int) -> str:
    """The axes' letters, if some are known; the others follow in their order."""
    others = iter(letter for letter in _PLAIN[count] if letter not in found.values())
    return "".join(found.get(axis) or next(others) for axis in range(count))


def _by_sizes(clip: Tensor, received: Tensor, channel: int | None = None) -> str | None:
    """The axes of a clip of which the convolution receives a copy; None if its channels are no axis of the clip."""
    spatial, sizes = received.shape[2:], clip.shape
    fitting = [axis for axis in range(1, clip.ndim) if sizes[axis] == received.shape[1]]
    if received.ndim > clip.ndim or not fitting or _mixes_colours(clip, received):
        return None
    channel = channel or fitting[0]
    rest = [axis for axis in range(1, clip.ndim) if axis != channel]
    letters = _PLAIN[clip.ndim][2:] if received.ndim == clip.ndim else "HW"
    fitting_orders = [
        order for order in permutations(rest, len(letters)) if [sizes[axis] for axis in order] == [*spatial]
    ]
    order = max(fitting_orders, key=lambda order: list(order) == sorted(order), default=())  # the clip's own if it fits
    found = {channel: "C", **dict(zip(order, letters, strict=False)), 0: "N"}
    return _completed(found, clip.ndim)


def _probed(network: nn.Module, convolutions: Sequence[nn.Module], clip: Tensor) -> str | None:
    """The axes of a clip whose sizes do not tell; None if the network hides them too."""
    twin = clip.clone()  # a network may change its input in place
    received = _first_input(network, convolutions, twin)
    if received is None or received.ndim < min(clip.ndim, 4):
        return None
    by_strides = _by_strides(twin, received)
    if by_strides is not None:
        return by_strides
    for axis in (axis for axis in range(1, clip.ndim) if clip.shape[axis] == received.shape[1]):
        other = clip.clone()
        other.select(axis, 0).add_(1)
        changed = _first_input(network, convolutions, other)
        if changed is not None and changed.shape == received.shape:
            slots = (changed != received).transpose(0, 1).flatten(1).any(dim=1)
            if int(slots.sum()) == 1 and slots.numel() > 1:
                return _by_sizes(clip, received, axis)
    return _by_sizes(clip, received)


def _first_input(network: nn.Module, convolutions: Sequence[nn.Module], clip: Tensor) -> Tensor | None:
    """Run a network as far as its first convolution; return what that receives."""

    def stop(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            raise _ReachedError(inputs[0])

    with Undo() as undo, undo:
        for module in convolutions:
            undo.add_pre_hook(module, stop)
        try:
            with torch.no_grad(), same_state(network, undo):
                network(clip)
        except _ReachedError as exc:
            return exc.received
    return None
