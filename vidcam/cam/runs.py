"""The maps at named layers: which runs and which parts of their outputs are taken.

A layer that runs once and returns one tensor has one map. Others:

- It runs once for each frame, as the CNN before an LSTM does: the runs are stacked as time, (N, D, T, h, w), each with
  its own activations and gradient. The stack is what `vidcam.frames(T)` makes of the same network without a loop, and
  so every method gives the same map: gradcam's weights are means over the whole stack. (`hirescam` weighs each frame by
  its own gradient.)
- It runs several times on different inputs, such as a siamese trunk: each run is a layer of its own, 'cnn#0', 'cnn#1'.
- It runs several times in a row, such as one ReLU for a whole block: the block is asked for.
- It returns a list of grids, such as [slow, fast]: each is a layer of its own, 'stage[0]', 'stage[1]', with the
  gradient of the head that gets all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from vidcam.cam.axes import ClipViews
from vidcam.cam.layers import carries_map, carry_map, reshaped
from vidcam.cam.places import Place
from vidcam.cam.reshape import Reshape
from vidcam.errors import LayerError

Run = Mapping[int, Tensor]
"""Position in a layer's output → tensor, of one run."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerRuns:
    """What one layer returned in one forward pass.

    Attributes:
        outputs: of each run.
        is_sequential: whether a run was computed from an earlier one.
        is_channels_last: whether the layer's class works on the last axis.
    """

    outputs: Sequence[Run]
    is_sequential: bool = False
    is_channels_last: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ChosenMaps:
    """The tensors of the maps.

    Attributes:
        tensors: name → the tensor, or one for each frame.
        notes: sentences for the user.
        is_joint: whether the maps belong to one layer, so that some of them may have no gradient.
    """

    tensors: Mapping[str, Sequence[Tensor]]
    notes: tuple[str, ...]
    is_joint: bool


def choose_maps(
    places: Sequence[Place],
    runs: Mapping[str, LayerRuns],
    views: ClipViews,
    reshape: Reshape | None,
    block_after: Callable[[str], str],
) -> ChosenMaps:
    """Choose the runs and the parts of named layers.

    Args:
        places: the named layers.
        runs: name → what the layer returned.
        views: the clip.
        reshape: layer output → (N, D, t, h, w).
        block_after: name of a layer → the name of the smallest block that ends with its last run, or of that run.

    Raises:
        LayerError: a layer did not run, or runs several times in a row, or there is no such run or part.
    """
    tensors: dict[str, Sequence[Tensor]] = {}
    notes: list[str] = []
    for place in places:
        layer = runs.get(place.name)
        if layer is None:
            raise LayerError(f"layer {place.name!r} did not run in the forward pass; choose another layer")
        if layer.is_channels_last and reshape is None and views.like(layer.outputs[0][0]) is not None:
            raise LayerError(f"layer {place.name!r} returns channels last; pass reshape=vidcam.channels_last")
        are_frames = place.part is None and _are_frames(layer.outputs, views.whole, reshape)
        if place.run is None and are_frames:
            tensors[place.name] = [run[0] for run in layer.outputs]
            notes.append(f"Layer {place.name!r} runs once for each frame; its {len(layer.outputs)} runs are stacked.")
            continue
        if are_frames and place.run in range(len(layer.outputs)):
            raise LayerError(f"layer {place.name!r} runs once for each frame; name {place.name!r}, for all frames")
        if place.run is None and layer.is_sequential:
            raise LayerError(
                f"layer {place.name!r} runs {len(layer.outputs)} times in a row; name the block that ends with its "
                f"last run, {block_after(place.name)!r}, or a run, '{place.name}#0'"
            )
        parts = _parts(place, layer.outputs, views, reshape)
        tensors.update({str(part): [tensor] for part, tensor in parts.items()})
        notes.extend(_notes(place, len(layer.outputs), list(parts)))
    return ChosenMaps(tensors, tuple(notes), is_joint=len(places) == 1)


def _are_frames(outputs: Sequence[Run], clip: Tensor, reshape: Reshape | None) -> bool:
    """Whether there is a run for each frame of a video, with a grid in space."""
    if clip.ndim != 5 or len(outputs) != clip.shape[2] or len(outputs) < 2:
        return False
    features = [reshaped(run[0], reshape) for run in outputs]
    if any(each is None or each.ndim != 4 or not carries_map(each, clip[:, :, 0]) for each in features):
        return False
    return len({run[0].shape for run in outputs}) == 1


def _parts(place: Place, outputs: Sequence[Run], views: ClipViews, reshape: Reshape | None) -> dict[Place, Tensor]:
    """Return the tensors that a place stands for, each with its own place."""
    if place.run is not None and place.run >= len(outputs):
        raise LayerError(
            f"layer {place.name!r} runs {len(outputs)} times, so there is no run {place.run}; the first is "
            f"'{place.name}#0'"
        )
    numbers = range(len(outputs)) if place.run is None else [place.run]
    chosen: dict[Place, Tensor] = {}
    for number in numbers:
        run = outputs[number]
        at = replace(place, run=number) if len(numbers) > 1 else place
        grids = {index: part for index, part in run.items() if _is_grid(part, views, reshape)}
        if place.part is not None and place.part not in run:
            raise LayerError(f"layer {place.name!r} has no output {place.part}; its outputs are {sorted(run)}")
        if place.part is not None or len(grids) < 2:
            chosen[at] = run[place.part or 0]
        else:
            chosen.update({replace(at, part=index): part for index, part in grids.items()})
    return chosen


def _is_grid(part: Tensor, views: ClipViews, reshape: Reshape | None) -> bool:
    features = reshaped(part, reshape)
    return features is not None and carry_map(features, views)


def _notes(place: Place, runs: int, parts: Sequence[Place]) -> list[str]:
    if len(parts) < 2:
        return []
    names = ", ".join(map(str, parts))
    if place.run is not None or runs == 1:
        return [f"Layer {str(place)!r} returns {len(parts)} grids; the maps of all are used ({names})."]
    text = (
        f"Layer {place.name!r} runs {runs} times; the maps of all runs are used ({names}). If the network flips or "
        f"crops the clip between them, name one run: '{parts[0]}'."
    )
    return [text]
