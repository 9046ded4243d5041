"""The description of a model as data: sampling, size, scaling, labels, layer.

Apart from its `nn.Module`, a `ModelSpec` is all that vidcam knows about a model. Every family of models, and every
network of a user, has one. The core names no model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vidcam.axes import Axes
from vidcam.errors import ShapeError
from vidcam.geometry import Geometry, centre_crop, short_side_resize


@dataclass(frozen=True, slots=True, eq=False)
class MeanCube:
    """A mean for each channel, frame and pixel of the model's input, (3, T, H, W) float32, as C3D subtracts it.

    The values are those of the model's crop: subtracting before a crop equals subtracting the cropped mean after it.
    They are copied and read-only. Two cubes are equal if their values are.
    """

    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float32, order="C")
        if values.ndim != 4 or values.shape[0] != 3 or not values.size or not np.isfinite(values).all():
            raise ShapeError(f"a mean cube must be (3, T, H, W) and finite, got {values.shape = }")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MeanCube) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.values.shape, self.values.tobytes()))

    def __repr__(self) -> str:
        return f"MeanCube{self.values.shape}"


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """The tokens of a layer's output: one for each cell of a grid, after `class_tokens` others.

    Attributes:
        grid: (t, h, w), or (h, w) if each frame has its own tokens. Always in this order.
        class_tokens: number of tokens before those of the grid, which have no position.
        order: order of the tokens, the slowest axis first: 'thw' is frame by frame, and 'hwt', as in TimeSformer, has
            all frames of a position together. For (h, w) the letter t is ignored.
        axes: axes of the output: 'NLD', or 'LND' if the tokens come before the batch. N: clips, L: tokens, D: channels.
    """

    grid: tuple[int, ...]
    class_tokens: int = 1
    order: str = "thw"
    axes: Literal["NLD", "LND"] = "NLD"

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))
        if len(self.grid) not in (1, 2, 3) or min(self.grid) < 1 or self.class_tokens < 0:
            raise ShapeError(
                f"a TokenGrid needs 1 to 3 sides >= 1 and class_tokens >= 0, got {self.grid} and {self.class_tokens}"
            )
        if sorted(self.order) not in (sorted("thw"), sorted("thw"[-len(self.grid) :])):
            raise ShapeError(f"order is {self.order!r}, expected 'thw', 'hwt' or another order of these letters")
        if self.axes not in ("NLD", "LND"):
            raise ShapeError(f"axes of tokens are {self.axes!r}, expected 'NLD' or 'LND' (N clips, L tokens)")

    @property
    def permutation(self) -> tuple[int, ...]:
        """The axes of `grid` in the order of the tokens: (1, 2, 0) for 'hwt'."""
        letters = "thw"[-len(self.grid) :]
        return tuple(letters.index(letter) for letter in self.order if letter in letters)


Layout = TokenGrid | Literal["channels-last", "frames"]
"""How a layer's output becomes (N, D, t, h, w).

`TokenGrid`: from tokens. 'channels-last': from (N, t, h, w, D). 'frames': from (N·T, D, h, w), as image networks and
frame-wise video networks return it.
"""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Scale pixel values to model values: (pixel - mean) / std for each channel, pixels in 0…255.

    Attributes:
        mean: mean of each channel, in the order of `channels`, in 0…255; or a cube with one for each frame and pixel.
        std: standard deviation of each channel, in the order of `channels`.
        channels: order of the colours in the model's input.
    """

    mean: tuple[float, float, float] | MeanCube
    std: tuple[float, float, float]
    channels: Literal["rgb", "bgr"] = "rgb"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The description of a model, except for its weights.

    Attributes:
        name: canonical name, 'i3d'.
        frames: T, frames per window.
        fps: frame rate that the model expects; None for consecutive source frames.
        resize: (height, width), or the length of the shorter side, in pixels.
        crop_size: (height, width) of the central crop, the model's H and W.
        antialias: whether the resize filters before it shrinks.
        interpolation: interpolation of the resize.
        rounded: whether resized pixels are rounded to integers, as in torchvision.
        resampler: what resizes: 'float' in float32, or the integer arithmetic of 'torchvision' (its transforms v2) or
            'pillow', which processors of Hugging Face use and which ignores `rounded`.
        crop_rounds_down: whether half a pixel of the crop's offset is rounded down; else to the even number.
        scaling: pixel values to model values.
        classes: K, number of classes.
        layer: dotted name of the default target layer, after its ReLU; None: the last block with a grid.
        layout: how a layer's output becomes (N, D, t, h, w), in one or several steps; None: it has this shape.
        axes: axes of the model's input: N clips, C channels, T frames, H rows and W columns in their order, such as
            'NTCHW', 'N(TC)HW' or '(NT)CHW'; None: 'NCTHW'.
        activation: function behind the logits: 'softmax' for exclusive classes, 'sigmoid' for independent ones; 'none'
            if the network returns values, as of a regression; None: the one at the network's end, else softmax.
        task: what the network predicts, for display.
        dataset: dataset of the labels, 'Kinetics-400'.
        weights_name: name and origin of the weights, for display.
        licence: licence of the weights.
        recipe: web page on how the weights were trained or where they come from.
        parameters: number of parameters; 0 if not stated.
        download_bytes: size of the download of the weights; 0 if nothing is downloaded.
    """

    name: str
    frames: int
    fps: Fraction | None
    resize: tuple[int, int] | int
    crop_size: tuple[int, int]
    scaling: Scaling
    classes: int
    layer: str | None = None
    antialias: bool = False
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    rounded: bool = False
    resampler: Literal["float", "torchvision", "pillow"] = "float"
    crop_rounds_down: bool = False
    layout: Layout | tuple[Layout, ...] | None = None
    axes: str | None = None
    activation: Literal["softmax", "sigmoid", "none"] | None = None
    task: str = "action recognition"
    dataset: str = ""
    weights_name: str = ""
    licence: str = ""
    recipe: str = ""
    parameters: int = 0
    download_bytes: int = 0

    def __post_init__(self) -> None:
        if self.frames < 1 or self.classes < 1 or (self.fps is not None and self.fps <= 0):
            raise ShapeError(
                f"a model needs frames, classes and fps > 0, got frames {self.frames}, classes {self.classes}, "
                f"fps {self.fps}"
            )
        mean = self.scaling.mean
        if isinstance(mean, MeanCube) and mean.values.shape[1:] != self.input_size:
            raise ShapeError(
                f"the mean cube of {self.name!r} must be (T, H, W) = {self.input_size}, the model's input, got "
                f"{mean.values.shape[1:]}; crop it like the frames"
            )
        if self.input_axes.order != "NCTHW":
            raise ShapeError(f"axes of {self.name!r} is {self.axes!r}; a model needs N, C, T, H and W")
        unknown = [
            step for step in self.layouts if not isinstance(step, TokenGrid) and step not in ("channels-last", "frames")
        ]
        if unknown or self.activation not in (None, "softmax", "sigmoid", "none"):
            raise ShapeError(
                f"layout must be a TokenGrid, 'channels-last', 'frames' or several of them, activation "
                f"'softmax', 'sigmoid' or 'none', got layout = {self.layout!r}, activation = {self.activation!r}"
            )

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The steps of `layout`, in order."""
        return self.layout if isinstance(self.layout, tuple) else () if self.layout is None else (self.layout,)

    @property
    def input_axes(self) -> Axes:
        """The axes of the model's input."""
        return Axes(self.axes or "NCTHW", self.frames)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(T, H, W) of the model's input."""
        return (self.frames, *self.crop_size)

    def geometry(self, source_size: tuple[int, int]) -> Geometry:
        """Return how a source frame of (height, width) becomes the model's input."""
        resized = self.resize if isinstance(self.resize, tuple) else short_side_resize(source_size, self.resize)
        return centre_crop(source_size, resized, self.crop_size, rounds_down=self.crop_rounds_down)

    def sees_whole(self, source_size: tuple[int, int]) -> bool:
        """Whether nothing of a source frame of (height, width) is cropped away."""
        geometry = self.geometry(source_size)
        return geometry.crop_size == geometry.resized_size

    def for_whole_frame(self, source_size: tuple[int, int]) -> ModelSpec:
        """Return the spec with which the model sees a whole source frame of (height, width).

        The input has the frame's aspect, and its shorter side is the crop's.

        Raises:
            ShapeError: there is a mean cube, which has one size.
        """
        size = short_side_resize(source_size, min(self.crop_size))
        return replace(self, resize=size, crop_size=size)


class SpecifiedModel(Protocol):
    """A network with its specification and labels, such as `vidcam.Model`."""

    @property
    def module(self) -> Any:
        """The network, a `torch.nn.Module`."""

    @property
    def spec(self) -> ModelSpec:
        """What the network expects and returns."""

    @property
    def labels(self) -> tuple[str, ...]:
        """K labels, in the order of the outputs."""
