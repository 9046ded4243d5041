"""Trace the feature maps that a network computes, and which of them the scores are computed from.

One forward pass serves the choice of the default layer and the maps at it. Each feature map is cut from the graph: its
values become a leaf, and the network goes on with a copy. So only the graph behind the last maps stays, and the leaves
that the scores reach are the last maps of all branches. A map with negative numbers on the grid of the map before it is
not cut, because the one before it, after its ReLU, may be the better choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.utils.weak import WeakTensorKeyDictionary

from vidcam.cam.axes import AxesWatch
from vidcam.cam.graph import nodes_below
from vidcam.cam.layers import Layer, carries_map, carry_map, measured_layer, reshaped, version
from vidcam.cam.layouts import Layouts
from vidcam.cam.places import Place, parts_of, with_parts
from vidcam.cam.preserve import Hook, PreHook, Undo
from vidcam.cam.reshape import Reshape
from vidcam.cam.token_stage import TokenOutput, token_output
from vidcam.cam.wrappers import named_layers

MAX_SIGNED_LAYERS = 3
"""A classifier of this many layers, such as a convolution with its normalisation, may follow the last ReLU."""


@dataclass(slots=True, eq=False)
class Feature:
    """A feature map, at the layers that return it.

    Attributes:
        order: when it was computed.
        channels: D.
        grid: (t, h, w).
        is_nonnegative: whether no value was below 0.
        places: the layers that return it, from the innermost to the outermost.
        sources: the feature maps that it is computed from without another between them.
        tensor: its values, if it was not cut.
        values_version: version of these values.
    """

    order: int
    channels: int
    grid: tuple[int, ...]
    is_nonnegative: bool
    places: list[Place]
    sources: tuple[Feature, ...]
    tensor: Tensor | None = field(default=None, repr=False)
    values_version: int = 0


class FeatureTrace:
    """The feature maps of one forward pass.

    Attributes:
        runs: layer → how often it ran.
        features: in order.
        tokens: outputs of tokens, in order.
        frame_layers: layers that see one frame of a video at a time, in order of their last run.
        folded_grids: grids (h, w) of layers that see the frames of all clips as rows of a batch.
    """

    def __init__(self, watch: AxesWatch, reshape: Reshape | None) -> None:
        self._watch, self._reshape = watch, reshape
        self._versions: dict[str, list[int]] = {}
        self._layouts = Layouts()
        self._leaves = WeakTensorKeyDictionary()  # leaf → feature
        self._passed = WeakTensorKeyDictionary()  # what the network got → (feature or None, version)
        self._nodes: dict[Node, Feature] = {}  # of the features that were not cut
        self._is_open = True
        self.runs: Counter[str] = Counter()
        self.features: list[Feature] = []
        self.tokens: list[TokenOutput] = []
        self.frame_layers: dict[str, Layer] = {}
        self.folded_grids: list[tuple[int, ...]] = []
        self._order = 0

    @property
    def clip(self) -> Tensor:
        """The clip, (N, C, T, H, W)."""
        return self._watch.views.whole

    def watch(self, network: nn.Module, undo: Undo) -> None:
        """Register the hooks, until `undo` or `close`."""
        for name, module in named_layers(network).items():
            if name:
                undo.add_pre_hook(module, self._before(name))
                undo.add_hook(module, self._after(name))

    def close(self) -> None:
        """Let the network run again without being traced, as a checkpoint does in backward."""
        self._is_open = False

    def last_features(self, outputs: Collection[Tensor]) -> dict[Feature, Tensor]:
        """Return the feature maps that the outputs are computed from without another between them, with their values.

        Together they cut all ways from the clip to the outputs. One that was not cut gives way to those that it is
        computed from if they include another one: that one's gradient has both ways.
        """
        last: dict[Feature, Tensor] = {}
        for output in outputs:
            last.update(self._reached(output.grad_fn))
        while (
            above := next((each for each in last if self._behind(each, last[each]) & last.keys()), None)
        ) is not None:
            last.update(self._reached_below(last.pop(above).grad_fn))
        moved = {each: self._rectified(each, last[each]) for each in self.features if each in last}
        chosen: dict[Feature, Tensor] = {}
        for each, (earlier, values) in moved.items():
            others = (other for other in last if moved[other][0] is not earlier)
            is_shared = any(earlier in self._behind(other, last[other]) for other in others)
            chosen.update([(each, last[each]) if is_shared else (earlier, values)])
        return chosen

    def _behind(self, feature: Feature, values: Tensor) -> set[Feature]:
        """Return the other feature maps in the graph of this one: none if it was cut."""
        return {found for found, _ in self._found(nodes_below(values.grad_fn))} - {feature}

    def _rectified(self, feature: Feature, values: Tensor) -> tuple[Feature, Tensor]:
        """Return the feature map after a ReLU from which alone this one is computed by few layers, or itself."""
        earlier, tensor = feature, values
        for _ in range(MAX_SIGNED_LAYERS):
            if earlier.is_nonnegative or len(earlier.sources) != 1 or earlier.sources[0].grid != feature.grid:
                break
            found = self._reached_below(tensor.grad_fn)
            (earlier,) = earlier.sources
            if earlier not in found:
                break
            tensor = found[earlier]
        return (earlier, tensor) if earlier.is_nonnegative else (feature, values)

    def _before(self, name: str) -> PreHook:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if self._is_open:
                self._versions[name] = [version(value) for value in inputs]

        return hook

    def _after(self, name: str) -> Hook:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            if not self._is_open:
                return None
            run, self._order = self.runs[name], self._order + 1
            self.runs[name] += 1
            entered = zip(inputs, self._versions.get(name, ()), strict=False)
            unchanged = [value for value, before in entered if isinstance(value, Tensor) and version(value) == before]
            parts = parts_of(output)
            carrying = {index for index, part in parts.items() if self._carries_map(module, part)}
            copies = {}
            for index, part in parts.items():
                if any(part is value for value in unchanged):
                    continue
                if index not in carrying:
                    self._note_other(name, module, part)
                    continue
                place = Place(name, run, None if carrying == {0} else index)
                copies[index] = self._visit(place, module, part)
            return with_parts(output, {index: copy for index, copy in copies.items() if copy is not parts[index]})

        return hook

    def _carries_map(self, module: nn.Module, part: Tensor) -> bool:
        self._layouts.see(module, part)
        features = reshaped(part, self._reshape)
        if features is None or not carry_map(features, self._watch.views):
            return False
        return self._reshape is not None or not self._layouts.is_channels_last(part)

    def _note_other(self, name: str, module: nn.Module, part: Tensor) -> None:
        """Note tokens, and layers that see one frame at a time."""
        if self._layouts.is_channels_last(part):
            tokens = token_output(name, module, part, self._order, self.clip)
            if tokens is not None:
                self.tokens.append(tokens)
            if self._reshape is None:
                return
        frame, features = self.clip[:, :, 0], reshaped(part, self._reshape)
        if self.clip.ndim == 5 and features is not None:
            frames = self.clip.transpose(1, 2).flatten(0, 1)
            if carries_map(features, frames):
                self.folded_grids.append(tuple(features.shape[2:]))
        if self.clip.ndim == 5 and features is not None and carries_map(features, frame):
            self.frame_layers.pop(name, None)
            self.frame_layers[name] = measured_layer(name, module, features, frame)

    def _visit(self, place: Place, module: nn.Module, part: Tensor) -> Tensor:
        """Note one feature map, and return what the network goes on with."""
        passed = self._passed.get(part)  # type: ignore[no-untyped-call]
        if passed is not None and passed[1] == version(part):
            if passed[0] is not None:
                passed[0].places.append(place)
            return part
        features = reshaped(part, self._reshape)
        assert features is not None
        grid, sources = tuple(features.shape[2:]), self._reached(part.grad_fn)
        if _is_pooling(module, features.shape[1], grid, sources):
            self._passed[part] = None, version(part)
            return part
        feature = Feature(self._order, features.shape[1], grid, bool(features.min() >= 0), [place], tuple(sources))
        self.features.append(feature)
        if feature.is_nonnegative or all(source.grid != grid for source in sources):
            return self._cut(feature, part)
        feature.tensor, feature.values_version = part, version(part)
        assert part.grad_fn is not None
        self._nodes[part.grad_fn] = feature
        self._passed[part] = feature, version(part)
        return part

    def _cut(self, feature: Feature, part: Tensor) -> Tensor:
        self._nodes = {node: kept for node, kept in self._nodes.items() if kept not in feature.sources}
        for source in feature.sources:
            source.tensor = None
        leaf: Tensor = part.detach().clone() if part._is_view() else part.detach()  # noqa: SLF001
        leaf.requires_grad_()
        torch.set_grad_enabled(True)  # for what follows; `preserve_model` restores the caller's mode
        copy = leaf.clone()  # an in-place ReLU may follow
        self._leaves[leaf], self._passed[copy] = feature, (feature, version(copy))
        return copy

    def _reached(self, end: Node | None) -> dict[Feature, Tensor]:
        """Return the feature maps from which a node is computed, without another between them."""
        return dict(self._found(nodes_below(end, enters=lambda node: node not in self._nodes)))

    def _reached_below(self, end: Node | None) -> dict[Feature, Tensor]:
        reached: dict[Feature, Tensor] = {}
        for source, _ in () if end is None else end.next_functions:
            reached.update(self._reached(source))
        return reached

    def _found(self, nodes: Iterator[Node]) -> Iterator[tuple[Feature, Tensor]]:
        for node in nodes:
            kept, leaf = self._nodes.get(node), getattr(node, "variable", None)
            if kept is not None and kept.tensor is not None:
                yield kept, kept.tensor
            elif leaf is not None and leaf in self._leaves:
                yield self._leaves[leaf], leaf


def _is_pooling(module: nn.Module, channels: int, grid: tuple[int, ...], sources: Mapping[Feature, Tensor]) -> bool:
    """Whether a module only averages feature maps to a coarser grid, which is part of a head."""
    if isinstance(module, nn.MaxPool1d | nn.MaxPool2d | nn.MaxPool3d) or next(module.parameters(), None) is not None:
        return False
    return channels == sum(source.channels for source in sources) and all(
        source.grid != grid and all(cells <= before for cells, before in zip(grid, source.grid, strict=True))
        for source in sources
    )
