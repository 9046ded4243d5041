"""What a model expects and returns, as data: sampling, size, scaling, labels, layer.

A `ModelSpec` is all that the rest of vidcam knows of a model besides its `nn.Module`. One family, or a user's own
network, is described by one such value; nothing else in the core names a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.geometry import Geometry, centre_crop, short_side_resize


@dataclass(frozen=True, slots=True, eq=False)
class MeanCube:
    """A mean for each channel, frame and pixel of the model's input, (3, T, H, W) float32, as C3D subtracts it.

    The values are the model's crop: what is subtracted before a crop is the crop of it afterwards. They are copied and
    cannot be written to; two cubes are equal if their values are.
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
    """A layer that returns tokens, (N, class_tokens + t·h·w, D).

    Attributes:
        grid: (t, h, w), or (h, w) where each frame has tokens of its own.
        class_tokens: how many tokens without a place stand before those of the grid.
    """

    grid: tuple[int, ...]
    class_tokens: int = 1

    def __post_init__(self) -> None:
        if not self.grid or min(self.grid) < 1 or self.class_tokens < 0:
            raise ShapeError(
                f"a grid of tokens needs sides of at least 1 and 0 class tokens or more, got {self.grid = }, "
                f"{self.class_tokens = }"
            )


Layout = TokenGrid | Literal["channels-last", "frames"]
"""How a layer's output becomes (N, D, t, h, w).

`TokenGrid`: from tokens; 'channels-last': from (N, t, h, w, D); 'frames': from (N·T, D, h, w), each frame a picture of
its own, as image networks and frame-wise video networks return it.
"""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Pixel values to model values: (pixel - mean) / std for each channel, pixels in 0…255.

    Attributes:
        mean: in the order of `channels`, in pixel units (0…255); or one such mean for each frame and pixel.
        std: likewise, for each channel.
        channels: order in which the model takes the colours.
    """

    mean: tuple[float, float, float] | MeanCube
    std: tuple[float, float, float]
    channels: Literal["rgb", "bgr"] = "rgb"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Everything about a model that is not its weights.

    Attributes:
        name: canonical name, 'i3d'.
        frames: T, frames in one window.
        fps: rate at which the model wants its frames, or None for consecutive source frames.
        resize: (height, width) to stretch to, or the length of the shorter side, in pixels.
        crop_size: (height, width) of the central crop, the model's H and W.
        antialias: whether shrinking filters first.
        interpolation: of the resize.
        rounded: whether resized pixels are rounded to whole numbers, as torchvision does.
        scaling: pixel values to model values.
        classes: K.
        layer: dotted name of the default target layer, after its ReLU; None: the last block that has an extent.
        layout: how a layer's output becomes (N, D, t, h, w), one step or several in turn; None: it is so already.
        activation: what stands behind the logits: 'softmax' for classes that exclude each other, 'sigmoid' for those
            that do not; None: what the network itself ends in, else a softmax.
        task: what the network answers, for people.
        dataset: what the labels come from, 'Kinetics-400'.
        weights_name: what the weights are called and where they come from, for people.
        licence: of the weights.
        recipe: address of the page that says how they were trained or where they were taken from.
        parameters: how many numbers the network has; 0: not said.
        download_bytes: what fetching the weights transfers; 0 if nothing is fetched.
    """

    name: str
    frames: int
    fps: Fraction | None
    resize: tuple[int, int] | int
    crop_size: tuple[int, int]
    scaling: Scaling
    classes: int
    layer: str | None
    antialias: bool = False
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    rounded: bool = False
    layout: Layout | tuple[Layout, ...] | None = None
    activation: Literal["softmax", "sigmoid"] | None = None
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
                f"a model needs frames, classes and fps above 0, got {self.frames = }, {self.classes = }, {self.fps = }"
            )
        mean = self.scaling.mean
        if isinstance(mean, MeanCube) and mean.values.shape[1:] != self.input_size:
            raise ShapeError(
                f"the mean cube of {self.name!r} is (T, H, W) = {mean.values.shape[1:]}, expected the model's input, "
                f"{self.input_size}; crop it as the frames are cropped"
            )
        unknown = [
            step for step in self.layouts if not isinstance(step, TokenGrid) and step not in ("channels-last", "frames")
        ]
        if unknown or self.activation not in (None, "softmax", "sigmoid"):
            raise ShapeError(
                f"a layout is a TokenGrid, 'channels-last', 'frames' or several of them, an activation 'softmax' or "
                f"'sigmoid', got {self.layout = }, {self.activation = }"
            )

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The steps of `layout`, in turn."""
        return self.layout if isinstance(self.layout, tuple) else () if self.layout is None else (self.layout,)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(T, H, W) of the model's input."""
        return (self.frames, *self.crop_size)

    def geometry(self, source_size: tuple[int, int]) -> Geometry:
        """How a source frame of (height, width) becomes the model's input."""
        resized = self.resize if isinstance(self.resize, tuple) else short_side_resize(source_size, self.resize)
        return centre_crop(source_size, resized, self.crop_size)


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
