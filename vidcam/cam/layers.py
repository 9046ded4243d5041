"""Layers by name, their feature grids, and the default layer.

A layer can have a class activation map if its output is (N, D, t, h, w); (N, D, h, w) for an image network, (N, D, l)
for a signal. The grid needs more than one cell along every axis where the input is longer than one. Transformers need a
reshape for that. The default is the last block with such a grid, after its ReLU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.arguments import hand_over
from vidcam.cam.axes import AxesWatch, ClipViews
from vidcam.cam.layouts import Layouts
from vidcam.cam.network import Input, ordinary, reference
from vidcam.cam.preserve import Hook, PreHook, Undo, preserve_model
from vidcam.cam.refusals import PlainRefusal
from vidcam.cam.reshape import Reshape
from vidcam.cam.state import same_state
from vidcam.cam.subject import grey_clip, read_subject
from vidcam.cam.tracer import LogitTracer
from vidcam.cam.wrappers import clean_name, named_layers, require_explainable, unwrapped
from vidcam.errors import LayerError, VidcamError, name_not_found
from vidcam.spec import SpecifiedModel

Layers = str | nn.Module | Sequence[str | nn.Module] | None
"""A layer's dotted name ('/' is read as '.'), the module itself, several of them, or None for the default."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, as `vidcam layers` lists it.

    Attributes:
        name: dotted name.
        kind: class of the module.
        channels: D.
        grid: (t, h, w), the feature grid; (h, w) for an image network.
        stride: input frames and pixels per cell, (frames, rows, columns) or (rows, columns).
        is_nonnegative: whether no activation was below 0, as after a ReLU; Grad-CAM++ has no poles there.
        is_computed: whether it computes anything in evaluation mode; dropout and identity do not.
        runs: how often it ran in one forward pass. A module that runs more than once has no single map.
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
        """Whether it may become the default layer."""
        return self.is_computed and self.runs == 1


def dotted_name(name: str) -> str:
    """Return a layer's name as torch writes it: 'blocks/3/' → 'blocks.3'."""
    return name.replace("/", ".").strip(".")


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """Return the submodule of a dotted name; '/' is read as '.'.

    Raises:
        NameNotFoundError: no such layer; the message names the nearest ones.
    """
    network = unwrapped(model)
    modules: dict[str, nn.Module] = {**named_layers(network), **dict(network.named_modules())}
    dotted = dotted_name(name)
    if not dotted or dotted not in modules:
        known = [known for known in modules if known]
        raise name_not_found("layer", name, known, f"the network has {len(known)} layers")
    return modules[dotted]


def layer_name(model: nn.Module, layer: str | nn.Module) -> str:
    """Return the dotted name of a layer: of a name, or of a module of the network.

    Raises:
        LayerError: the module is not part of the network.
    """
    if isinstance(layer, str):
        dotted, known = dotted_name(layer), named_layers(unwrapped(model))
        clean = clean_name(dotted)
        inner = clean.removeprefix("module.")  # the name inside a DataParallel wrapper
        return next((name for name in (clean, inner) if name in known), dotted)
    names: dict[nn.Module, str] = {module: name for name, module in unwrapped(model).named_modules() if name}
    if layer in names:
        return layer_name(model, names[layer])
    raise LayerError(
        f"layer is a {type(layer).__name__} that is not part of the model; pass a name, or "
        f"`model.get_submodule(...)` of this model"
    )


def list_layers(
    model: nn.Module | SpecifiedModel,
    clip: Input | Mapping[str, Any] | None = None,
    *,
    reshape: Reshape | None = None,
    axes: str | Axes | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> tuple[Layer, ...]:
    """List all layers that can have a map, in the order in which they finish. The model is run once on `clip`.

    Args:
        model: any module, or a `Model`; it is left exactly as it was.
        clip: (N, C, T, H, W) or (N, C, H, W), or a list of pathways; one is enough. None: flat grey, for a `Model`.
        reshape: layer output → (N, D, t, h, w); layers that it does not fit are left out. None: that of a `Model`.
        axes: as in `vidcam.explain`.
        args: as in `vidcam.explain`.
        kwargs: as in `vidcam.explain`.

    Raises:
        InputError: a plain module without a clip.
    """
    subject = read_subject(model, grey_clip(model) if clip is None else clip, axes, args, kwargs)
    clip, reshape = subject.clip, reshape or subject.reshape
    network = unwrapped(subject.network)
    require_explainable(network)
    with PlainRefusal(network, clip, subject.arguments), Undo() as undo, undo:
        preserve_model(network, undo)
        hand_over(network, subject.arguments, undo)
        shown = ordinary(clip)
        watch = AxesWatch(network, shown, subject.axes, undo, is_reshaped=reshape is not None)
        collector = _LayerCollector(watch, reshape)
        for name, module in named_layers(network).items():
            if name:
                undo.add_pre_hook(module, collector.before(name))
                undo.add_hook(module, collector.after(name))
        with LogitTracer() as tracer, same_state(network, undo):
            output = network(ordinary(shown))
    return collector.in_time(output, tracer)


class _LayerCollector:
    """Collect the layers that can have a map, by hooks, while a network runs.

    Attributes:
        layers: name → layer, in the order in which they finish.
    """

    def __init__(self, watch: AxesWatch, reshape: Reshape | None) -> None:
        self._watch, self._reshape, self._views = watch, reshape, watch.views
        self._versions: dict[str, list[int]] = {}
        self._layouts = Layouts()
        self.layers: dict[str, Layer] = {}

    def before(self, name: str) -> PreHook:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._versions[name] = [version(value) for value in inputs]

        return hook

    def after(self, name: str) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if self._views is not self._watch.views:  # the first convolution has told the axes
                self.layers.clear()
                self._views = self._watch.views
            tensor, features = tensor_of(output), reshaped(output, self._reshape)
            if tensor is not None:
                self._layouts.see(module, tensor)
            if tensor is None or features is None or not carry_map(features, self._views):
                return
            if self._reshape is None and self._layouts.is_channels_last(tensor):
                return
            view, versions = self._views.like(features), self._versions[name]
            assert view is not None
            earlier = self.layers.pop(name, None)  # a module that runs twice is listed where it ran last
            self.layers[name] = replace(
                measured_layer(name, module, features, view),
                is_computed=not any(
                    output is value and version(value) == before for value, before in zip(inputs, versions, strict=True)
                ),
                runs=1 if earlier is None else earlier.runs + 1,
            )

        return hook

    def in_time(self, output: Any, tracer: LogitTracer) -> tuple[Layer, ...]:
        """Return the layers; where frames share an axis, a grid of images gets an axis of time.

        Args:
            output: of the network; its rows tell how many frames the clips have.
            tracer: was active while the network ran.
        """
        axes = self._watch.with_rows(output, tracer)
        if not axes.shared:
            return tuple(self.layers.values())
        frames = reference(self._watch.clip, axes).shape[2]
        cells, stride = (frames, 1.0) if axes.shared == "NT" else (1, float(frames))
        return tuple(
            replace(layer, grid=(cells, *layer.grid), stride=(stride, *layer.stride)) if len(layer.grid) == 2 else layer
            for layer in self.layers.values()
        )


def measured_layer(name: str, module: nn.Module, features: Tensor, clip: Tensor) -> Layer:
    """Describe a layer that computes features (N, D, ...) of a clip with as many axes."""
    grid = tuple(features.shape[2:])
    stride = tuple(length / cells for length, cells in zip(clip.shape[2:], grid, strict=True))
    return Layer(name, type(module).__name__, int(features.shape[1]), grid, stride, bool(features.min() >= 0))


def default_layer(layers: Sequence[Layer]) -> str:
    """Return the last layer that computes something on the last grid, after its ReLU if there is one.

    If several modules end at the same point, the outermost is taken, because it finishes last. A ReLU inside a block is
    not taken if the block itself returns negative numbers, as in DenseNet and pre-activation residual networks. A ReLU
    on an equal grid before a coarser one, as in the encoder of a U-Net, is not taken either. `run_layers` knows more:
    which layers the scores depend on.

    Args:
        layers: from `list_layers`.

    Raises:
        LayerError: there is no layer.
    """
    if not layers:
        fitting = "vidcam.tokens, vidcam.frames"
        raise LayerError(f"no layer has a grid in space and time; name one with layer=, or pass reshape= ({fitting})")
    computed = [layer for layer in layers if layer.is_choosable] or list(layers)
    on_last_grid = list(takewhile(lambda layer: layer.grid == computed[-1].grid, reversed(computed)))[::-1]
    signed_blocks = tuple(f"{layer.name}." for layer in on_last_grid if not layer.is_nonnegative)
    after_relu = [layer for layer in on_last_grid if layer.is_nonnegative and not layer.name.startswith(signed_blocks)]
    return (after_relu or computed)[-1].name


def layer_names(model: nn.Module, layer: Layers) -> tuple[str, ...]:
    """Return the dotted names of one or several layers; empty for the default layer.

    Raises:
        LayerError: an empty sequence, or a module that is not part of the network.
    """
    if layer is None:
        return ()
    layers = (layer,) if isinstance(layer, str | nn.Module) else tuple(layer)
    if not layers:
        raise LayerError("layer is empty, expected one or more layers, or None for the default")
    return tuple(dict.fromkeys(layer_name(model, item) for item in layers))


def tensor_of(output: Any) -> Tensor | None:
    """Return the floating point tensor of a layer's output: the output itself, or the first of a tuple or list."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    return first if isinstance(first, Tensor) and first.is_floating_point() else None


def reshaped(output: Any, reshape: Reshape | None) -> Tensor | None:
    """Return a layer's features (N, D, t, h, w); None if it returns no tensor, or one that the reshape does not fit."""
    tensor = tensor_of(output)
    if tensor is None or reshape is None:
        return tensor
    try:
        return reshape(tensor)
    except (VidcamError, RuntimeError, IndexError, ValueError):  # a user's reshape, which is tried on every layer
        return None


def version(value: Any) -> int:
    """Count in-place changes of a tensor. An in-place ReLU returns its own input, in a later version."""
    return value._version if isinstance(value, Tensor) and not value.is_inference() else 0  # noqa: SLF001


def is_channels_first(output: Tensor, clip: Tensor) -> bool:
    """Whether an output is (N, D, ...) on a grid no finer than the input; tokens and channels-last are not."""
    if output.ndim != clip.ndim or output.shape[0] != clip.shape[0] or not output.is_floating_point():
        return False
    return all(cells <= length for cells, length in zip(output.shape[2:], clip.shape[2:], strict=True))


def carries_map(output: Tensor, clip: Tensor) -> bool:
    """Whether an output has more than one cell along every axis where the input is longer than one."""
    if not is_channels_first(output, clip) or max(output.shape[2:]) == 1:
        return False
    return all(cells > 1 or length == 1 for cells, length in zip(output.shape[2:], clip.shape[2:], strict=True))


def carry_map(features: Tensor, views: ClipViews) -> bool:
    """Whether features carry a map on the grid of the clip, or of its frames where these share an axis."""
    clip = views.like(features)
    return clip is not None and carries_map(features, clip)


def require_map(features: Tensor, layer: str, clip: Tensor) -> None:
    """Check that features are (N, D, ...) with a grid on the clip's axes.

    Raises:
        LayerError: they are not, or have one cell only.
    """
    if features.ndim == clip.ndim - 1 == 4 and carries_map(features, clip[:, :, 0]):
        raise LayerError(
            f"layer {layer!r} returns {tuple(features.shape)}, which has no time axis; for one map of all "
            f"{clip.shape[2]} frames, pass reshape=lambda output: output[:, :, None]"
        )
    if not is_channels_first(features, clip):
        is_by_frame = features.ndim == clip.ndim - 1 == 4 and features.shape[0] == clip.shape[0] * clip.shape[2]
        fitting = f"vidcam.frames({clip.shape[2]})" if is_by_frame else "vidcam.tokens, vidcam.frames, vidcam.in_turn"
        raise LayerError(
            f"layer {layer!r} returns {tuple(features.shape)} for an input of {tuple(clip.shape)}, expected "
            f"(N, D, ...) on the input's axes; choose a convolutional layer, or pass reshape= ({fitting})"
        )
    if max(features.shape[2:]) == 1 and max(clip.shape[2:]) > 1:
        raise LayerError(f"layer {layer!r} has only one cell, expected a grid; choose a layer before the pooling")
