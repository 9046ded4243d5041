"""One forward pass with the target layers recorded: the named layers, or the default, which the pass itself tells.

The default is the last feature map before the scores, after its ReLU. Parallel branches that end at the head each have
one: the two streams of a two-stream network, SlowFast's pathways, the members of an ensemble. All of them are taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.arguments import tensors_in
from vidcam.cam.axes import AxesWatch, ClipViews
from vidcam.cam.layers import Layer, default_layer, list_layers
from vidcam.cam.network import Input, ordinary, scores_tensor
from vidcam.cam.places import Place, read_place
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.record import ActivationRecorder, record_layers
from vidcam.cam.reshape import Reshape, reshape_words
from vidcam.cam.runs import choose_maps
from vidcam.cam.state import same_state
from vidcam.cam.token_layer import TokenLayer, TokenStageError, last_norm_before_attention
from vidcam.cam.token_stage import later_stage, layouts_of
from vidcam.cam.trace import Feature, FeatureTrace
from vidcam.cam.tracer import LogitTracer
from vidcam.errors import LayerError

FORBIDDEN_BY_AUTOGRAD = ("inplace", "in-place", "requires grad")
"""Words of torch's errors about operations that are allowed without a graph only."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerRun:
    """A forward pass with its target layers.

    Attributes:
        output: what the network returned, with the graph behind the layers.
        tracer: was active while it ran.
        recorder: the activations of the layers.
        axes: axes of the clip.
        notes: sentences about what was chosen.
        are_pathways: whether the maps belong together and are added: of parallel branches, runs or parts of one layer.
    """

    output: Any
    tracer: LogitTracer
    recorder: ActivationRecorder
    axes: Axes
    notes: tuple[str, ...]
    are_pathways: bool

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the target layers."""
        return tuple(self.recorder.activations)


def run_layers(
    network: nn.Module,
    clip: Input,
    layers: Sequence[str],
    reshape: Reshape | None,
    undo: Undo,
    *,
    axes: Axes | None = None,
) -> LayerRun:
    """Run the network, which `preserve_model` holds, once and record layers, until `undo`.

    The layers are names or places, such as 'cnn#0'; without any the default is taken. Axes that are None are inferred.

    Raises:
        LayerError: no layer has a map, the network goes on in tokens behind the last one, or a named layer did not run.
    """
    watch = AxesWatch(network, clip, axes, undo, is_reshaped=reshape is not None)
    if layers:
        return _run_named(network, layers, reshape, undo=undo, watch=watch)
    trace = FeatureTrace(watch, reshape)
    trace.watch(network, undo)
    try:
        with LogitTracer() as tracer, same_state(network, undo):
            output = network(ordinary(clip))  # some write into the list that they get
    except RuntimeError as exc:
        if not any(words in str(exc) for words in FORBIDDEN_BY_AUTOGRAD):
            raise
        trace.close()  # the operation runs without a graph
        torch.set_grad_enabled(False)
        names: Sequence[str] = [default_layer(list_layers(network, clip, reshape=reshape, axes=axes))]
        return _run_named(network, names, reshape, undo=undo, watch=watch, is_default=True)
    trace.close()
    found = watch.with_rows(output, tracer)
    chosen = trace.last_features(graph_tensors(output, tracer)) or dict.fromkeys(trace.features[-1:])
    _require_last(trace, chosen, network, clip, reshape)
    tensors = {_label(feature, trace.runs): values for feature, values in chosen.items() if _is_intact(feature, values)}
    if not chosen or len(tensors) < len(chosen):
        torch.set_grad_enabled(False)
        names = [_label(feature, trace.runs) for feature in chosen] or [_frame_layer(trace)]
        return _run_named(network, names, reshape, undo=undo, watch=watch, is_default=True)
    recorder = ActivationRecorder()
    recorder.use({name: [values] for name, values in tensors.items() if values is not None}, is_joint=True)
    notes = (*_default_notes(list(tensors)), *watch.notes)
    return LayerRun(output, tracer, recorder, found, notes, are_pathways=len(tensors) > 1)


def chosen_layers(
    model: nn.Module, clip: Input, layers: Sequence[str], reshape: Reshape | None, *, axes: Axes | None = None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the layers, of the default ones if none is named, and notes for the user.

    Raises:
        LayerError: as `run_layers`.
    """
    with Undo() as undo, undo:
        preserve_model(model, undo)
        run = run_layers(model, clip, layers, reshape, undo, axes=axes)
    return run.layers, run.notes


def _run_named(
    network: nn.Module,
    layers: Sequence[str],
    reshape: Reshape | None,
    *,
    undo: Undo,
    watch: AxesWatch,
    is_default: bool = False,
) -> LayerRun:
    recorder = record_layers(network, layers, undo)
    with LogitTracer() as tracer, same_state(network, undo):
        output = network(ordinary(watch.clip))

    def block_after(name: str) -> str:
        with recorder.paused():
            return _block_after(network, name, reshape, watch)

    places = [read_place(layer) for layer in layers]
    axes = watch.with_rows(output, tracer)
    maps = choose_maps(places, recorder.runs, ClipViews(watch.clip, axes), reshape, block_after)
    recorder.use(maps.tensors, is_joint=maps.is_joint or is_default)
    notes = (*(_default_notes(layers) if is_default else ()), *maps.notes, *watch.notes)
    are_pathways = len(maps.tensors) > 1 and (maps.is_joint or is_default)
    return LayerRun(output, tracer, recorder, axes, notes, are_pathways)


def _block_after(network: nn.Module, name: str, reshape: Reshape | None, watch: AxesWatch) -> str:
    """Return the smallest layer that runs once and returns the last output of a layer; else the last run's place."""
    trace = FeatureTrace(watch, reshape)
    with Undo() as undo, undo:
        preserve_model(network, undo)
        trace.watch(network, undo)
        with same_state(network, undo):
            network(ordinary(watch.clip))
    last = Place(name, trace.runs[name] - 1)
    for feature in reversed(trace.features):
        if last in feature.places:
            behind = feature.places[feature.places.index(last) + 1 :]
            return next((place.name for place in behind if trace.runs[place.name] == 1), str(last))
    return str(last)


def graph_tensors(output: Any, tracer: LogitTracer) -> list[Tensor]:
    """Return the tensors of an output that have a graph: the logits, also before a softmax, else all."""
    logits = scores_tensor(output, tracer)
    if logits is not None and logits.grad_fn is None:  # relevance takes a softmax for a constant
        found = tracer.before(logits)
        logits = logits if found is None else found[0]
    if logits is not None and logits.grad_fn is not None:
        return [logits]
    return [tensor for tensor in tensors_in(output) if tensor.grad_fn is not None]


def _require_last(
    trace: FeatureTrace,
    chosen: Mapping[Feature, Tensor | None],
    network: nn.Module,
    clip: Input,
    reshape: Reshape | None,
) -> None:
    """Check that no stage of tokens, larger than a head, follows the chosen feature maps.

    Raises:
        TokenStageError: one does; it names the layer and the reshape that have a map.
    """
    if reshape is not None:
        return
    parameters = sum(parameter.numel() for parameter in network.parameters())
    after = min((feature.order for feature in chosen), default=0)
    stage = later_stage(trace.tokens, after, parameters)
    if stage is not None:
        grids, shown = [*trace.folded_grids, *(feature.grid for feature in trace.features)], trace.clip
        frames = shown.shape[2] if shown.ndim == 5 else 1
        found = last_norm_before_attention(network, clip, stage.shape, lambda shape: layouts_of(shape, grids, shown))
        name, layouts = found or (stage.name, layouts_of(stage.shape, grids, shown))
        words = (
            reshape_words(layouts, frames)
            if layouts
            else f"a function from its output {stage.shape} to (N, D, t, h, w)"
        )
        raise TokenStageError(
            f"the network goes on in tokens until {stage.name!r}; pass layer={name!r}, reshape={words}",
            None if found is None else TokenLayer(name, layouts, frames),
        )


def _is_intact(feature: Feature, values: Tensor | None) -> bool:
    """Whether the values are still those that the layer returned: an operation in place may have changed them."""
    return values is not None and (feature.tensor is None or values._version == feature.values_version)  # noqa: SLF001


def _label(feature: Feature, runs: Mapping[str, int]) -> str:
    """Return the outermost layer that ends with a feature map, if it runs once; else a run."""
    once = [place for place in feature.places if runs[place.name] == 1]
    whole = [place for place in once if place.part is None]
    if whole or once:
        place = (whole or once)[-1]
        return str(Place(place.name, None, place.part))
    return str(feature.places[-1])


def _frame_layer(trace: FeatureTrace) -> str:
    """Return the last layer that runs once for each frame.

    Raises:
        LayerError: there is none.
    """
    frames = trace.clip.shape[2] if trace.clip.ndim == 5 else 0
    layers: list[Layer] = [layer for layer in trace.frame_layers.values() if trace.runs[layer.name] == frames]
    if not layers and trace.folded_grids:
        raise LayerError(f"the network takes frames as clips; pass reshape=vidcam.frames({frames})")
    return default_layer(layers)


def _default_notes(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) == 1:
        return (f"Layer {names[0]!r} was chosen: the last block with a grid in space and time.",)
    listed = ", ".join(map(repr, names))
    return (f"Layers {listed} were chosen: the last blocks of parallel branches. Their maps are added.",)
