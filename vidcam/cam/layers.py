"""Layers by name, their feature grids, and the default one.

A layer can carry a class activation map if its output is (N, D, t, h, w) – (N, D, h, w) for an image network,
(N, D, l) for a signal – with more than one cell in every axis that the input is longer than one in; transformers need
a reshape for that. The default is the last block that still has an extent in space and time, after its ReLU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vidcam.cam.network import Input, first_clip, ordinary, reference
from vidcam.cam.preserve import Hook, PreHook, Undo, preserve_model, unwrapped
from vidcam.cam.reshape import Reshape
from vidcam.errors import LayerError, VidcamError, name_not_found

Layers = str | nn.Module | Sequence[str | nn.Module] | None
"""A layer's dotted name ('/' is taken for '.'), the module itself, several of them, or None for the default."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as `vidcam layers` lists it.

    Attributes:
        name: dotted name.
        kind: class of the module.
        channels: D.
        grid: (t, h, w), the feature grid; (h, w) for an image network.
        stride: input frames and pixels for each cell, (frames, rows, columns) or (rows, columns).
        is_nonnegative: whether no activation was below 0, as after a ReLU; Grad-CAM++ has no poles there.
        is_computed: whether it computes anything in evaluation mode; dropout and identity do not.
        runs: how often it ran; one that runs more than once, a ReLU for every block, has no one map.
    """

    name: str
    kind: str
    channels: int
    grid: tuple[int, ...]
    stride: tuple[float, ...]
    is_nonnegative: bool = True
    is_computed: bool = True
    runs: int = 1

    @property
    def is_choosable(self) -> bool:
        """Whether it may be chosen for a caller who names none."""
        return self.is_computed and self.runs == 1


def dotted_name(name: str) -> str:
    """A layer's name as torch spells it: 'blocks/3/' → 'blocks.3'."""
    return name.replace("/", ".").strip(".")


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """The submodule of that dotted name; '/' is taken for '.'.

    Raises:
        NameNotFoundError: with the nearest names.
    """
    modules: dict[str, nn.Module] = dict(unwrapped(model).named_modules())
    as_written = {  # before a part of the network was compiled: 'trunk._orig_mod.0' → 'trunk.0'
        ".".join(part for part in known.split(".") if part != "_orig_mod"): module for known, module in modules.items()
    }
    modules = {**as_written, **modules}
    dotted = dotted_name(name)
    if not dotted or dotted not in modules:
        known = [known for known in modules if known]
        raise name_not_found("layer", name, known, f"it must be one of the {len(known)} modules of the network")
    return modules[dotted]


def layer_name(model: nn.Module, layer: str | nn.Module) -> str:
    """The dotted name of a layer that is given by name or as a module of the network.

    Raises:
        LayerError: the module is no part of the network.
    """
    if isinstance(layer, str):
        dotted = dotted_name(layer)
        inner = dotted.removeprefix("module.")  # as a DataParallel wrapper calls it
        known = dict(unwrapped(model).named_modules())
        return inner if dotted not in known and inner in known else dotted
    names: dict[nn.Module, str] = {module: name for name, module in unwrapped(model).named_modules() if name}
    if layer in names:
        return names[layer]
    raise LayerError(
        f"the layer, a {type(layer).__name__}, is not one of the network's modules, expected one of them; pass "
        f"`model.get_submodule(...)` of the same model, or a name"
    )


def list_layers(model: nn.Module, clip: Input, *, reshape: Reshape | None = None) -> tuple[Layer, ...]:
    """All layers that can carry a map, in the order in which they finish; the model is run once on `clip`.

    Args:
        model: left exactly as it was.
        clip: (N, C, T, H, W) or (N, C, H, W), or a list of pathways; one clip is enough.
        reshape: layer output → (N, D, t, h, w); layers that it does not fit are left out.
    """
    network = unwrapped(model)
    with Undo() as undo, undo:
        preserve_model(network, undo)
        shown = ordinary(clip)
        census = _Census(reference(shown), reshape)
        for name, module in network.named_modules():
            if name:
                undo.add_pre_hook(module, census.before(name))
                undo.add_hook(module, census.after(name))
        network(shown)
    return tuple(census.layers.values())


class _Census:
    """The layers that carry a map, seen while a network runs.

    Attributes:
        layers: name → layer, in the order in which they finish.
    """

    def __init__(self, clip: Tensor, reshape: Reshape | None) -> None:
        self._clip, self._reshape = clip, reshape
        self._versions: dict[str, list[int]] = {}
        self.layers: dict[str, Layer] = {}

    def before(self, name: str) -> PreHook:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._versions[name] = [_version(given) for given in inputs]

        return hook

    def after(self, name: str) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            features = reshaped(output, self._reshape)
            if features is None or not carries_map(features, self._clip):
                return
            grid = tuple(features.shape[2:])
            given = zip(inputs, self._versions[name], strict=True)
            former = self.layers.pop(name, None)  # a module that runs twice counts where it ran last
            self.layers[name] = Layer(
                name,
                type(module).__name__,
                int(features.shape[1]),
                grid,
                tuple(length / cells for length, cells in zip(self._clip.shape[2:], grid, strict=True)),
                is_nonnegative=bool(features.min() >= 0),
                is_computed=not any(output is one and _version(one) == version for one, version in given),
                runs=1 if former is None else former.runs + 1,
            )

        return hook


def default_layer(layers: Sequence[Layer]) -> str:
    """The last layer that computes something on the last grid with an extent, after its ReLU if there is one.

    'Block' means the outermost module that ends there: it finishes last. A ReLU within a block that returns negative
    numbers too, as the branches of DenseNet and of residual networks with normalisation first, is not that block's.

    Args:
        layers: of `list_layers`.

    Raises:
        LayerError: there is none.
    """
    if not layers:
        raise LayerError("no layer has an extent in space and time, expected a convolutional network; name a layer")
    computed = [layer for layer in layers if layer.is_choosable] or list(layers)
    there = [layer for layer in computed if layer.grid == computed[-1].grid]
    inside = tuple(f"{layer.name}." for layer in there if not layer.is_nonnegative)
    after_relu = [layer for layer in there if layer.is_nonnegative and not layer.name.startswith(inside)]
    return (after_relu or computed)[-1].name


def layer_names(model: nn.Module, layer: Layers) -> tuple[str, ...]:
    """The dotted names of one layer or several; empty for the default.

    Raises:
        LayerError: an empty sequence, or a module that is no part of the network.
    """
    if layer is None:
        return ()
    given = (layer,) if isinstance(layer, str | nn.Module) else tuple(layer)
    if not given:
        raise LayerError("no layer was given, expected at least one; leave `layer` out for the default")
    return tuple(dict.fromkeys(layer_name(model, one) for one in given))


def chosen_layers(
    model: nn.Module, clip: Input, layers: Sequence[str], reshape: Reshape | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The dotted names of the layers that were given, or of the default one where none was.

    Returns:
        The names, and a sentence for the user where the layer was chosen here.

    Raises:
        LayerError: no layer has an extent.
    """
    if not layers:
        name = default_layer(list_layers(model, first_clip(clip), reshape=reshape))
        return (name,), (f"Layer {name!r} was chosen: the last block that still has an extent in space and time.",)
    return tuple(dict.fromkeys(layer_name(model, one) for one in layers)), ()


def tensor_of(output: Any) -> Tensor | None:
    """The floating point tensor that a layer returns: alone, or first in a tuple or list."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    return first if isinstance(first, Tensor) and first.is_floating_point() else None


def reshaped(output: Any, reshape: Reshape | None) -> Tensor | None:
    """A layer's features (N, D, t, h, w); None where it returns no tensor or one that the reshape does not fit."""
    tensor = tensor_of(output)
    if tensor is None or reshape is None:
        return tensor
    try:
        return reshape(tensor)
    except (VidcamError, RuntimeError, IndexError, ValueError):  # a function of the user's own, tried on every layer
        return None


def _version(value: Any) -> int:
    """How often a tensor was changed in place: what an in-place ReLU returns is its input, and yet another one."""
    return value._version if isinstance(value, Tensor) and not value.is_inference() else 0  # noqa: SLF001


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


def require_map(features: Tensor, layer: str, clip: Tensor) -> None:
    """Features (N, D, ...) with a grid on the clip's axes."""
    if not is_channels_first(features, clip):
        raise LayerError(
            f"layer {layer!r} returns {tuple(features.shape)} for an input of {tuple(clip.shape)}, expected "
            f"(N, D, ...) with the input's axes and no finer a grid; choose a convolutional layer, or pass a reshape "
            f"for a transformer's (vidcam.tokens, vidcam.channels_last)"
        )
    if max(features.shape[2:]) == 1 and max(clip.shape[2:]) > 1:
        raise LayerError(
            f"layer {layer!r} has one cell only, expected a grid in space or time; choose a layer before the pooling"
        )
