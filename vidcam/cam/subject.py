"""The network and the clip of a call, from what a user passes: a module or a `Model`, with or without a batch axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.arguments import Arguments, split_clip
from vidcam.cam.network import Input, pathways
from vidcam.cam.reshape import Reshape, reshape_of
from vidcam.errors import InputError, ShapeError
from vidcam.labels import label_index
from vidcam.results.explanation import shown_frames
from vidcam.spec import SpecifiedModel

THUMBNAIL_PX = 160


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A network, its input, and what a specification adds.

    Attributes:
        network: the module.
        clip: as the network takes it, with a batch axis.
        model: None for a plain module.
        axes: axes of the clip; None: not known.
        notes: what was inferred for the caller.
        arguments: what `forward` takes besides the clip; None if it takes the clip alone.
    """

    network: nn.Module
    clip: Input
    model: SpecifiedModel | None
    axes: Axes | None
    notes: tuple[str, ...]
    arguments: Arguments | None = None

    @property
    def layer(self) -> str | None:
        """The default layer of the specification."""
        return None if self.model is None else self.model.spec.layer

    @property
    def reshape(self) -> Reshape | None:
        """The reshape of the specification."""
        return None if self.model is None else reshape_of(self.model.spec)

    @property
    def activation(self) -> Any:
        """The activation of the specification."""
        return None if self.model is None else self.model.spec.activation

    @property
    def classes(self) -> int | None:
        """The number of classes of the specification."""
        return None if self.model is None else self.model.spec.classes

    def class_index(self, label: Any) -> Any:
        """A class given by its label as an index, one or a sequence; anything else as it is.

        Raises:
            InputError: a label for a plain module, or one that the model does not have.
        """
        if isinstance(label, Sequence) and not isinstance(label, str):
            return [self.class_index(each) for each in label]
        if not isinstance(label, str):
            return label
        if self.model is None:
            raise InputError(f"{label!r} is a label, but a plain module has none; pass a class index or a vidcam.Model")
        return label_index(self.model.labels, label, model=self.model.spec.name)


def read_subject(
    model: nn.Module | SpecifiedModel,
    clip: Any,
    axes: str | Axes | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Subject:
    """Take a module or a `Model`, and add a missing batch axis.

    Args:
        model: the network, plain or with its specification.
        clip: tensor or NumPy array, (N, C, T, H, W) or as the network takes it; a list for several pathways; a mapping
            or a tuple for several arguments.
        axes: axes of a plain module's clip; None: not known.
        args: positional arguments after the clip.
        kwargs: keyword arguments.

    Raises:
        InputError: the model is neither a module nor a `Model`, the clip of a `Model` holds integers, or `forward`
            does not take the arguments.
        ShapeError: the clip has six axes, or other axes than the model takes.
    """
    _require_model(model)
    if isinstance(model, nn.Module):
        named = Axes(axes) if isinstance(axes, str) else axes
        clip, arguments, split = split_clip(model, clip, args, kwargs)
        count = named.count if named else 5 if _starts_with_conv3d(model) else None
        batch, notes = _with_batch_axis(as_tensors(clip), axes=count)
        return Subject(model, batch, None, named, (*notes, *split), _for_batch(arguments, batch))
    if axes is not None:
        raise InputError("axes is for a plain module; a vidcam.Model has them in its spec")
    named = model.spec.input_axes
    clip, arguments, split = split_clip(model.module, clip, args, kwargs)
    tensor = as_tensors(clip)
    if model.spec.frames == 1 and isinstance(tensor, Tensor) and tuple(tensor.shape[1:]) == (3, *model.spec.crop_size):
        tensor = named.restore(tensor.unsqueeze(2))  # images, (N, 3, H, W)
    batch, notes = _with_batch_axis(tensor, axes=named.count)
    if isinstance(batch, Tensor):
        if not batch.is_floating_point():
            raise InputError(f"clip is {batch.dtype}; pass scaled floats, or frames to vidcam.explain_video")
        expected = (3, *model.spec.input_size)
        if batch.ndim != named.count or tuple(named.view(batch).shape[1:]) != expected:
            order = "" if named.is_canonical else f" in the order {named.text}"
            raise ShapeError(
                f"clip is {tuple(batch.shape)}, but {model.spec.name!r} takes (N, {', '.join(map(str, expected))})"
                f"{order}"
            )
        batch = _to_device_of(model.module, batch)
    return Subject(model.module, batch, model, named, (*notes, *split), _for_batch(arguments, batch))


def _require_model(model: object) -> None:
    """Require a module, or a `Model`."""
    if not isinstance(model, nn.Module) and not isinstance(getattr(model, "module", None), nn.Module):
        raise InputError(_no_module(model))


def _no_module(model: object) -> str:
    kind = type(model).__name__
    if isinstance(model, str):
        return f"model is {model!r}; load it first: vidcam.load_model({model!r})"
    if isinstance(model, type):
        return f"model is the class {model.__name__}; pass an object of it: {model.__name__}(...)"
    if kind == "ExportedProgram":
        return f"model is a torch.export.{kind}; pass the nn.Module that was exported, or torch.export.unflatten(model)"
    return f"model is of type {kind}; pass an nn.Module or vidcam.load_model(NAME)"


def grey_clip(model: nn.Module | SpecifiedModel) -> Tensor:
    """A flat grey clip in the values of a `Model`, on its device, (1, 3, T, H, W) in the order of its axes.

    Raises:
        InputError: a plain module, whose input is not known, or no model.
    """
    _require_model(model)
    if isinstance(model, nn.Module):
        raise InputError("clip is missing; a plain module needs one, a vidcam.Model does not")
    from vidcam.preprocess import grey_input

    return _to_device_of(model.module, grey_input(model.spec))


def flat_clips(model: SpecifiedModel) -> Tensor:
    """Flat clips of random colours, like `grey_clip`: none of them makes one colour the one without evidence."""
    from vidcam.preprocess import flat_inputs

    return _to_device_of(model.module, flat_inputs(model.spec))


def first_frames(subject: Subject, axes: Axes | None = None) -> NDArray[np.uint8] | None:
    """Some frames of the first clip as RGB pixels, at most THUMBNAIL_PX high and wide, for notebooks.

    The values of a plain module's clip are not known: its darkest becomes black, its brightest white.

    Args:
        subject: the network and its clip.
        axes: axes of the clip; None: (N, C, T, H, W) or (N, C, H, W).

    Returns:
        (F, h, w, 3); None if the clip has not three channels of pictures.
    """
    clip = axes.view(subject.clip) if axes is not None and isinstance(subject.clip, Tensor) else subject.clip
    if not isinstance(clip, Tensor) or clip.ndim not in (4, 5) or clip.shape[1] != 3:
        return None
    stack = clip[:1].detach() if clip.ndim == 5 else clip[:1].detach().unsqueeze(2)
    step = max(1, -(-max(stack.shape[-2:]) // THUMBNAIL_PX))
    if subject.model is not None:
        from vidcam.preprocess import to_pixels

        stack = to_pixels(stack, subject.model.spec.scaling)
    values = stack[0, :, shown_frames(stack.shape[2]), ::step, ::step].float()
    if subject.model is None:
        low, high = values.aminmax()
        values = (values - low) * (255.0 / (high - low).clamp(min=1e-12))
    shown = values.round().clamp(0.0, 255.0)
    return np.asarray(shown.permute(1, 2, 3, 0).to(torch.uint8).cpu().numpy())


def _for_batch(arguments: Arguments | None, batch: Input) -> Arguments | None:
    return None if arguments is None else replace(arguments, clips=len(pathways(batch)[0]))


def _to_device_of(network: nn.Module, clip: Tensor) -> Tensor:
    return clip.to(next((parameter.device for parameter in network.parameters()), clip.device))


def as_tensors(clip: Any) -> Any:
    """Arrays as tensors, also in a list for several pathways; anything else as it is."""
    if isinstance(clip, list | tuple):
        return type(clip)(as_tensors(part) for part in clip)
    is_array = hasattr(clip, "__array__") and not isinstance(clip, Tensor)
    return torch.as_tensor(clip) if is_array else clip


def _with_batch_axis(clip: Input, *, axes: int | None) -> tuple[Input, tuple[str, ...]]:
    """The clip with a batch axis, and a sentence if it was added; `axes` is None where it is not known."""
    if not isinstance(clip, Tensor):
        return clip, ()
    if clip.ndim == 6:
        raise ShapeError(f"clip has six axes, {tuple(clip.shape)}; pass its clips as one batch: clip.flatten(0, 1)")
    if axes is not None and clip.ndim == axes - 1:
        return clip.unsqueeze(0), ("The clip had no batch axis; one was added.",)
    return clip, ()


def _starts_with_conv3d(network: nn.Module) -> bool:
    """Whether the first convolution is a Conv3d, which takes (N, C, T, H, W)."""
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return isinstance(next((module for module in network.modules() if isinstance(module, kinds)), None), nn.Conv3d)
