"""Put two clips into one input of a network: side by side (space), or one after another (time).

A network that pools globally takes the double size. For a network of fixed size the clips are shrunk into one input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidcam.axes import Axes
from vidcam.models.model import Model
from vidcam.preprocess import scale_pixels, to_pixels
from vidcam.spec import MeanCube, ModelSpec

Where = Literal["space", "time"]

AXIS: Mapping[Where, int] = MappingProxyType({"space": -1, "time": -3})
"""The axis of (N, C, T, H, W) along which the two clips lie."""


@dataclass(frozen=True, slots=True, eq=False)
class Composite:
    """Two clips in one input.

    Attributes:
        model: the network; if it is a `Model`, its spec has the size of the input.
        view: (1, C, T, H, W) in the values of the model; (1, C, H, W) of images.
        clip: the same in the order of axes that the network takes.
    """

    model: nn.Module | Model
    view: Tensor = field(repr=False)
    clip: Tensor = field(repr=False)

    def pixels(self) -> NDArray[np.generic]:
        """Return the frames (T, H, W, C): in 0…255 for a `Model`, else in the network's values."""
        view = self.view if isinstance(self.model, nn.Module) else to_pixels(self.view, self.model.spec.scaling)
        stack = view.reshape(*view.shape[:2], *(1, 1, 1, *view.shape[2:])[-3:])
        return np.asarray(stack[0].movedim(0, -1).detach().cpu().numpy())


def compose(
    model: nn.Module | Model, axes: Axes, first: Tensor, second: Tensor, where: Where, *, is_shrunk: bool
) -> Composite:
    """Put two clips into one input.

    Args:
        model: the network.
        axes: axes of its clips; only used for a plain module.
        first: (1, C, T, H, W), the left or the earlier clip.
        second: of the same size, the right or the later clip.
        where: side by side, or one after another.
        is_shrunk: whether the input keeps the size of one clip: in space the columns are averaged in twos, in time
            every second frame is taken.

    Raises:
        ShapeError: the spec has one size only.
    """
    if isinstance(model, nn.Module):
        view = _joined(first, second, where, is_shrunk=is_shrunk)
        return Composite(model, view, axes.restore(view).contiguous())
    spec = model.spec if is_shrunk else _of_double_size(model.spec, where)
    if isinstance(spec.scaling.mean, MeanCube):  # it belongs to the input's pixels, not to the clip's
        left, right = to_pixels(first, spec.scaling), to_pixels(second, spec.scaling)
        view = scale_pixels(_joined(left, right, where, is_shrunk=is_shrunk), spec.scaling)
    else:
        view = _joined(first, second, where, is_shrunk=is_shrunk)
    return Composite(replace(model, spec=spec), view, spec.input_axes.restore(view).contiguous())


def _of_double_size(spec: ModelSpec, where: Where) -> ModelSpec:
    height, width = spec.crop_size
    return replace(spec, frames=2 * spec.frames) if where == "time" else replace(spec, crop_size=(height, 2 * width))


def _joined(first: Tensor, second: Tensor, where: Where, *, is_shrunk: bool) -> Tensor:
    if is_shrunk:
        length = first.shape[AXIS[where]]
        first, second = _shrunk(first, where, -(-length // 2)), _shrunk(second, where, length // 2)
    return torch.cat([first, second], dim=AXIS[where])


def _shrunk(clip: Tensor, where: Where, length: int) -> Tensor:
    """Bring about half of the columns or frames of a clip to `length`."""
    if where == "time":
        return clip[:, :, ::2][:, :, :length]
    rows = functional.adaptive_avg_pool1d(clip.flatten(0, -2), length)
    return rows.reshape(*clip.shape[:-1], length)
