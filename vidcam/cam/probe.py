"""Check where the cells of a reshaped layer lie: change the pixels under one cell, and see which cell reacts.

A reshape with a wrong order of the axes gives a map that looks right. The reaction of a cell is the norm over D of the
change of its features. Transformers and convolutions keep places, so that the changed cell, or one next to it, reacts
most.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.layers import find_layer, tensor_of
from vidcam.cam.network import Input, like_input, pathways
from vidcam.cam.preserve import Undo
from vidcam.cam.reshape import Reshape
from vidcam.cam.state import same_state
from vidcam.errors import LayerError

FACTOR = 2.0
"""How many times as strongly a cell must react as others to count."""

Cell = tuple[int, ...]
Grid = NDArray[np.float64]
Ranks = NDArray[np.int64]

_verdicts: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], LayoutCheck]] = WeakKeyDictionary()
_lock = threading.Lock()


class TokenOrderError(LayerError):
    """The cells of a layer have another order than stated.

    Attributes:
        order: the order that they have.
    """

    def __init__(self, message: str, order: str) -> None:
        super().__init__(message)
        self.order = order


@dataclass(frozen=True, slots=True)
class LayoutCheck:
    """What the probe found.

    Attributes:
        note: a sentence for the user; empty if the layout is right.
        is_wrong: whether another cell than the changed one reacts.
        order: the one order of the cells that fits, if the layout is wrong; empty if none does.
    """

    note: str = ""
    is_wrong: bool = False
    order: str = ""


def layout_note(
    network: nn.Module,
    clip: Input,
    axes: Axes,
    *,
    layer: str,
    output: Tensor,
    reshape: Reshape,
) -> str:
    """Check the layout of a layer by one more forward pass, or two; the result is kept for the network.

    Args:
        network: held by `preserve_model`.
        clip: N clips, the input that made `output`.
        axes: axes of the clip.
        layer: dotted name.
        output: what the layer returned, not reshaped.
        reshape: layer output → (N, D, t, h, w).

    Returns:
        A note if no cell stands out; empty if the layout is right.

    Raises:
        LayerError: another cell than the changed one reacts; a `TokenOrderError` if one other order fits.
    """
    with torch.no_grad():
        features = reshape(output)
        known_ranks = token_ranks(output, features, reshape)
        ranks = ranks_of("thw", features.shape[2:]) if known_ranks is None else known_ranks
        sizes = (axes.text, *(tuple(part.shape[1:]) for part in pathways(clip)))
        key = (layer, sizes, tuple(features.shape[1:]), ranks.tobytes())
        with _lock:
            verdict = None if known_ranks is None else _verdicts.get(network, {}).get(key)
        if verdict is None:
            module = find_layer(network, layer)
            reaction = partial(_reaction, network, module, clip=clip, axes=axes, output=output, reshape=reshape)
            verdict = judged(reaction, layer, ranks)
            if known_ranks is not None:  # two reshapes whose order is not known may differ
                with _lock:
                    _verdicts.setdefault(network, {})[key] = verdict
    if verdict.is_wrong:
        raise TokenOrderError(verdict.note, verdict.order) if verdict.order else LayerError(verdict.note)
    return verdict.note


def _reaction(
    network: nn.Module, layer: nn.Module, cell: Cell, *, clip: Input, axes: Axes, output: Tensor, reshape: Reshape
) -> Grid:
    """Change the pixels under a cell in every clip; return the reaction (t, h, w), a mean over the clips.

    It is NaN if the layer does not return the same shape again.
    """
    outputs: list[Tensor] = []
    features = reshape(output)

    def keep(_module: nn.Module, _inputs: object, output: object) -> None:
        tensor = tensor_of(output)
        outputs.extend([] if tensor is None else [tensor.detach()])

    with Undo() as undo, undo:
        undo.add_hook(layer, keep)
        with same_state(network, undo):
            network(changed(clip, cell, tuple(features.shape[2:]), axes))
    if [tensor.shape for tensor in outputs] != [output.shape]:
        return np.full(features.shape[2:], np.nan)
    difference = reshape(outputs[0]).float() - features.float()
    return np.asarray(difference.norm(dim=1).mean(dim=0).cpu().numpy(), dtype=np.float64)


def changed(clip: Input, cell: Cell, grid: Sequence[int], axes: Axes) -> Input:
    """Return a copy of the clips with noise under one cell, in every pathway, in the range of the clip's values.

    The noise is bright where the cell is dark, and dark where it is bright: a pooled cell feels it too.
    """
    parts = [axes.view(part).clone() for part in pathways(clip)]
    for part in parts:
        place = [slice(None), slice(None)]
        for index, cells, length in zip(cell, grid, part.shape[2:], strict=True):
            start = index * length // cells
            place.append(slice(start, max(start + 1, (index + 1) * length // cells)))
        low, high = (float(value) for value in part.aminmax())
        span, middle = max(high - low, abs(high), 1.0), (low + high) / 2
        region = part[tuple(place)]
        noise = torch.rand(region.shape, generator=torch.Generator().manual_seed(0)) ** 0.25  # 0.8 on average
        region.copy_(middle + span * (noise - 0.5) * (-1 if float(region.float().mean()) > middle else 1))
    return like_input(clip, [axes.restore(part) for part in parts])


def token_ranks(output: Tensor, features: Tensor, reshape: Reshape) -> Ranks | None:
    """Return the place of each cell, (t, h, w), in the memory of the layer's output for one clip, from 0.

    None if the reshape does more than move values, so that its order is not known.
    """
    try:
        index = torch.arange(output.numel(), dtype=torch.int32, device=output.device).reshape(output.shape)
        places = reshape(index)[0, 0].cpu().numpy()
    except Exception:  # a user's function, which need not take integers
        return None
    if places.shape != features.shape[2:] or len(np.unique(places)) < places.size:
        return None
    return np.argsort(np.argsort(places, axis=None)).reshape(places.shape)


def ranks_of(order: str, grid: Sequence[int]) -> Ranks:
    """Return the rank of each cell of a grid (t, h, w) whose cells are stored in an order, 'hwt'."""
    letters = "thw"[-len(grid) :]
    axes = [letters.index(letter) for letter in order if letter in letters]
    stored = np.arange(int(np.prod(grid))).reshape([grid[axis] for axis in axes])
    return stored.transpose(np.argsort(axes))


def judged(reaction: Callable[[Cell], Grid], layer: str, ranks: Ranks) -> LayoutCheck:
    """Change a cell and judge; if another cell reacts, change a second one to be sure.

    A layout is wrong if another cell reacts both times `FACTOR` times as strongly as the changed cell and its
    neighbours, not the same one twice: some cells react to any change. It is right if the changed cell reacts at least
    `FACTOR` times as strongly as the median of all, and the strongest cell is not that much stronger. On a small grid
    another order may put a cell next to its place: there, both cells must react exactly where one other order says.
    """
    grid, rivals = ranks.shape, other_orders(ranks)
    cells = chosen_cells(ranks, rivals)
    tops: list[Cell] = []
    are_far = True
    for cell in cells:
        found = reaction(cell)
        if not np.isfinite(found).all():
            return _not_verified(layer)
        top = tuple(int(i) for i in np.unravel_index(int(found.argmax()), grid))
        if not _is_elsewhere(found, cell):
            is_clear = found[cell] > 0 and found[cell] >= max(found[top] / FACTOR, FACTOR * float(np.median(found)))
            if is_clear or not _stands_alone(found):
                return LayoutCheck() if is_clear and not tops else _not_verified(layer)
            are_far = False
        tops.append(top)
    if tops[0] == tops[1]:
        return _not_verified(layer)
    misfit = {
        order: sum(_distance(_read_as(top, ranks, other), cell) for top, cell in zip(tops, cells, strict=True))
        for order, other in rivals.items()
    }
    stated = next((order for order in _orders(len(grid)) if np.array_equal(ranks_of(order, grid), ranks)), "")
    exact = [order for order in misfit if misfit[order] == 0]
    if not are_far and len(exact) != 1:
        return _not_verified(layer)
    fits = exact or [order for order in misfit if misfit[order] <= 2]  # where neighbours mix, the top is one off
    order = fits[0] if len(fits) == 1 else ""
    return LayoutCheck(_wrong(layer, cells[0], tops[0], stated, order), is_wrong=True, order=order)


def other_orders(ranks: Ranks) -> dict[str, Ranks]:
    """Return the other orders of the axes that a layer's cells could have, with their ranks.

    Orders that differ in an axis of one cell only are one order.
    """
    orders = {ranks_of(order, ranks.shape).tobytes(): order for order in reversed(_orders(ranks.ndim))}
    orders.pop(ranks.tobytes(), None)
    return {order: ranks_of(order, ranks.shape) for order in orders.values()}


def chosen_cells(ranks: Ranks, rivals: dict[str, Ranks]) -> tuple[Cell, Cell]:
    """Choose two cells that each other order, and each mirrored axis, would put as far off as possible.

    The orders should also disagree with each other there, so that the right one can be named.
    """
    cells = np.indices(ranks.shape).reshape(ranks.ndim, -1).T  # (cells, axes)
    lengths = np.array(ranks.shape)
    place = np.argsort(ranks, axis=None)  # rank → cell
    seen = [cells] + [cells[place[other.ravel()]] for other in rivals.values()]  # where each order would react
    far = [np.abs(a - b).max(axis=1) for a, b in combinations(seen, 2)]  # the first of them from the stated order
    mirrored = np.abs(lengths - 1 - 2 * cells)[:, lengths > 3]
    least = np.min([*far[: len(rivals)], *mirrored.T, np.full(len(cells), max(ranks.shape))], axis=0)
    is_inside = (np.minimum(cells, lengths - 1 - cells)[:, lengths > 3] > 0).all(axis=1)
    worth = 10 * np.minimum(least, 2) + np.where(is_inside, 1.0, 0.5) * (least + np.min([*far, least], axis=0))
    first = int(worth.argmax())
    apart = np.abs(cells - cells[first]).max(axis=1)
    second = int(np.where(apart > 1, worth, 0.1 * apart).argmax())
    return tuple(map(int, cells[first])), tuple(map(int, cells[second]))


def _orders(axes: int) -> list[str]:
    return ["".join(letters) for letters in permutations("thw"[-axes:])]


def _read_as(top: Cell, ranks: Ranks, other: Ranks) -> Cell:
    """Return the cell that the reacting one is under another order."""
    return tuple(int(i) for i in np.unravel_index(int((other == ranks[top]).argmax()), ranks.shape))


def _distance(cell: Cell, other: Cell) -> int:
    return max(abs(a - b) for a, b in zip(cell, other, strict=True))


def _is_elsewhere(reaction: Grid, cell: Cell) -> bool:
    """Whether a cell that is no neighbour of this one reacts `FACTOR` times as strongly as it and its neighbours."""
    outside = reaction.copy()
    near = tuple(slice(max(index - 1, 0), index + 2) for index in cell)
    outside[near] = 0.0
    return bool(outside.max() >= FACTOR * reaction[near].max() and outside.max() > 0)


def _stands_alone(reaction: Grid) -> bool:
    """Whether one cell reacts `FACTOR` times as strongly as any other."""
    second, first = np.partition(reaction, -2, axis=None)[-2:]
    return bool(first >= FACTOR * second and first > 0)


def _not_verified(layer: str) -> LayoutCheck:
    return LayoutCheck(f"Layout not verified: at layer {layer!r} no cell stands out when the pixels under it change.")


def _wrong(layer: str, cell: Cell, top: Cell, stated: str, fits: str) -> str:
    if not fits:
        advice = "correct the grid or the reshape"
    else:
        other = f", not {stated!r}" if stated else ""
        advice = f"its cells look ordered {fits!r}{other}; use tokens(..., order={fits!r}) or correct the reshape"
    return f"layer {layer!r} reacts in cell {top} to a change in cell {cell}: the layout is wrong; {advice}"
