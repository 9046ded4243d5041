"""Layers by name, their feature grids, and the default one.

A layer can carry a class activation map if its output is (N, D, t, h, w) (or (N, D, h, w) for an image network) with
more than one cell in every axis that the input is longer than one in. The default is the last such layer in order of
execution, the outermost module where several end together: Grad-CAM's own advice, 'the last convolutional block'.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vidcam.cam.conduct import untouched
from vidcam.errors import LayerError, name_not_found


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as `vidcam layers` lists it.

    Attributes:
        name: dotted name.
        kind: class of the module.
        channels: D.
        grid: (t, h, w), the feature grid; (h, w) for an image network.
        stride: input frames and pixels for each cell, (frames, rows, columns) or (rows, columns).
    """

    name: str
    kind: str
    channels: int
    grid: tuple[int, ...]
    stride: tuple[float, ...]


def dotted_name(name: str) -> str:
    """A layer's name as torch spells it: 'blocks/3/' → 'blocks.3'."""
    return name.replace("/", ".").strip(".")


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """The submodule of that dotted name; '/' is taken for '.'.

    Raises:
        NameNotFoundError: with the nearest names.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    dotted = dotted_name(name)
    if not dotted or dotted not in modules:
        known = [known for known in modules if known]
        raise name_not_found("layer", name, known, f"it must be one of the {len(known)} modules of the network")
    return modules[dotted]


def list_layers(model: nn.Module, clip: Tensor) -> tuple[Layer, ...]:
    """All layers that can carry a map, in the order in which they finish; the model is run once on `clip`.

    Args:
        model: left exactly as it was.
        clip: (N, C, T, H, W) or (N, C, H, W); one clip is enough.
    """
    seen: dict[str, Layer] = {}
    size = tuple(clip.shape[2:])

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(output, Tensor) and carries_map(output, clip):
                grid = tuple(output.shape[2:])
                stride = tuple(length / cells for length, cells in zip(size, grid, strict=True))
                seen.pop(name, None)  # a module that runs twice counts where it ran last
                seen[name] = Layer(name, type(module).__name__, int(output.shape[1]), grid, stride)

        return hook

    with ExitStack() as stack:
        stack.enter_context(untouched(model))
        for name, module in model.named_modules():
            if name:
                stack.callback(module.register_forward_hook(note(name)).remove)
        model(clip)
    return tuple(seen.values())


def default_layer(layers: Sequence[Layer]) -> str:
    """The last layer that still has an extent in space and time.

    Raises:
        LayerError: there is none.
    """
    if not layers:
        raise LayerError("no layer has an extent in space and time, expected a convolutional network; name a layer")
    return layers[-1].name


def is_channels_first(output: Tensor, clip: Tensor) -> bool:
    """Whether an output is (N, D, ...) on a grid nowhere finer than the input; tokens and channels-last are not."""
    if output.ndim != clip.ndim or output.shape[0] != clip.shape[0] or not output.is_floating_point():
        return False
    return all(cells <= length for cells, length in zip(output.shape[2:], clip.shape[2:], strict=True))


def carries_map(output: Tensor, clip: Tensor) -> bool:
    """Whether an output has more than one cell along every axis of which the input has more than one."""
    if not is_channels_first(output, clip) or max(output.shape[2:]) == 1:
        return False
    return all(cells > 1 or length == 1 for cells, length in zip(output.shape[2:], clip.shape[2:], strict=True))
