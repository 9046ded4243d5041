"""The grid pointing game for tensors: do the maps of a network point at their class?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.explain import explain_each
from vidcam.cam.fusion import Fusion
from vidcam.cam.layers import Layers
from vidcam.cam.methods import DEFAULT_METHODS, canonical_methods, needs_baseline
from vidcam.cam.reshape import Reshape
from vidcam.cam.subject import Subject, as_tensors, read_subject
from vidcam.errors import InputError, ShapeError
from vidcam.metrics.grid import draw_pairs, right_side
from vidcam.metrics.intervals import bootstrap_mean
from vidcam.models.model import Model
from vidcam.pipelines.score.composite import AXIS, Where
from vidcam.pipelines.score.grid_player import GridPlayer, PairShares
from vidcam.pipelines.score.summary import GridFigures, Mean
from vidcam.results.explanation import Explanation
from vidcam.system.progress import Progress, progress_or_default

SURE = 0.5
"""Clips are drawn if the network gives their class at least this probability."""

_PAIRS, _INTERVALS = 7, 8
"""Parts of the seeds."""

Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class GridGame:
    """The result of `grid_game`.

    Attributes:
        pairs: positions of the two clips of each of P pairs: the left or earlier one, and the other.
        shares: method or control → 'space' or 'time' → (P, 2), the share of the map of the first class and of the
            second in the half of its class.
        methods: method or control → means over classes and pairs, with 95 % bootstrap intervals over the pairs.
        shrunk: where the two clips were shrunk into one input, because the network has a fixed size.
    """

    pairs: tuple[tuple[int, int], ...]
    shares: Mapping[str, Mapping[Where, NDArray[np.float64]]] = field(repr=False)
    methods: Mapping[str, GridFigures]
    shrunk: tuple[Where, ...]


def grid_game(
    model: nn.Module | Model,
    clips: Tensor,
    targets: Sequence[int] | Sequence[str],
    *,
    pairs: Pairs | None = None,
    methods: str | Iterable[str] = DEFAULT_METHODS,
    controls: bool = True,
    layer: Layers = None,
    score_scale: float = 1.0,
    reshape: Reshape | None = None,
    axes: str | None = None,
    fusion: Fusion | None = None,
    steps: int | None = None,
    baseline: Tensor | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> GridGame:
    """Play the grid pointing game: what share of a map lies in the half of its class?

    Two clips of different classes are put side by side, and one after another. Each class is explained. The maps are
    upsampled to the input and not normalised. A map that knows nothing of the class has a share of 0.5. A network that
    refuses the double size gets the clips shrunk into one input: columns averaged in twos, or every second frame.

    Args:
        model: a `Model`, or a plain module. It is left as it was.
        clips: (N, 3, T, H, W), or (N, C, H, W) for images, as the network takes them.
        targets: the true class of each clip: N indices, or labels of a `Model`.
        pairs: P pairs of positions: of the left or earlier clip, and of the other. Their classes are not checked. None:
            pairs are drawn among the clips whose top class is their own with a probability of at least 0.5. Each clip
            is in one pair at most.
        methods: as in `vidcam.explain`; of guided methods the positive part counts.
        controls: whether shuffled cells, centre, frame difference and a uniform map are played too.
        layer: as in `vidcam.explain`, and so are `score_scale`, `reshape` and `fusion`.
        score_scale: λ of gradcam++.
        reshape: only for a plain module.
        axes: axes of a plain module's clips; None: 'NCTHW', or 'NCHW' if they have four axes.
        fusion: how several layers are fused.
        steps: points of the path of fine maps, as in `vidcam.explain`.
        baseline: a clip without content, (1, …), for methods that need one and a plain module; flat grey for a `Model`.
        seed: seed of the pairs, the shuffled cells and the intervals.
        progress: called after each pair. None: a bar in notebooks.

    Raises:
        InputError: no two clips can be paired, or as in `vidcam.explain`.
        ShapeError: not one target for each clip.
    """
    subject, report = read_subject(model, clips, axes), progress_or_default(progress)
    order, views = _axes_and_views(subject)
    classes = _class_indices(subject, targets, len(views))
    names = canonical_methods(methods)
    explained = partial(explain_each, layer=layer, reshape=reshape, axes=None if subject.model else order.text)
    if pairs is None:
        single = (order.restore(views[[number]]).contiguous() for number in range(len(views)))
        sure = [number for number, clip in enumerate(single) if _is_sure(explained(model, clip, (classes[number],)))]
        pairs = _drawn(sure, classes, np.random.default_rng([seed, _PAIRS]))
    player = GridPlayer(
        model,
        order,
        partial(explained, methods=names, score_scale=score_scale, fusion=fusion, steps=steps),
        layer=layer,
        blank=None if baseline is None else order.view(as_tensors(baseline)),
        needs_baseline=subject.model is not None and needs_baseline(names),
        controls=controls,
        seed=seed,
    )
    played: list[PairShares] = []
    for number, (first, second) in enumerate(pairs):
        both = classes[first], classes[second]
        played.append(player.play(views[[first]], views[[second]], both, number=number))
        report("playing the grid game", number + 1, len(pairs))
    shrunk = tuple(where for where in AXIS if player.shrunk.get(where))
    return GridGame(tuple(pairs), pair_shares(played), grid_figures(played, seed=seed), shrunk)


def _axes_and_views(subject: Subject) -> tuple[Axes, Tensor]:
    """Return the axes, and the clips as (N, C, T, H, W).

    Raises:
        ShapeError: several pathways, or frames that are rows of the batch of a plain module.
    """
    clip = subject.clip
    if not isinstance(clip, Tensor) or subject.arguments is not None:
        raise ShapeError("grid_game takes one tensor of clips, (N, C, T, H, W); several inputs cannot be joined")
    axes = subject.axes or Axes("NCTHW" if clip.ndim == 5 else "NCHW" if clip.ndim == 4 else "NCL")
    if axes.shared == "NT" and axes.frames is None:
        raise ShapeError(f"axes is {axes.text!r}; the grid game needs a vidcam.Model with these axes in its spec")
    return axes, axes.view(clip)


def _class_indices(subject: Subject, targets: Sequence[int] | Sequence[str], clips: int) -> list[int]:
    """Return the class of each clip.

    Raises:
        ShapeError: not one target for each clip.
        InputError: an unknown label.
    """
    if isinstance(targets, str) or len(targets) != clips:
        raise ShapeError(f"targets must name the class of each of the {clips} clips, got {targets!r}")
    return [int(subject.class_index(target)) for target in targets]


def _is_sure(explanations: Sequence[Explanation]) -> bool:
    """Check whether a clip's target is the top class and has a probability of at least SURE."""
    (explanation,) = explanations
    is_top = explanation.logits.argmax(axis=1) == explanation.target
    return bool((is_top & (explanation.probability >= SURE)).all())


def _drawn(sure: Sequence[int], classes: Sequence[int], generator: np.random.Generator) -> Pairs:
    """Draw pairs among the clips that are surely classified.

    Raises:
        InputError: there are no two such clips of different classes.
    """
    pairs = draw_pairs([classes[clip] for clip in sure], generator)
    if not pairs:
        raise InputError(
            f"no pair: {len(sure)} of {len(classes)} clips have their own class on top with p >= {SURE:g}; pass pairs="
        )
    return [(sure[first], sure[second]) for first, second in pairs]


def pair_shares(played: Sequence[PairShares]) -> dict[str, dict[Where, NDArray[np.float64]]]:
    """Collect the shares of P pairs: method or control → where → (P, 2)."""
    return {
        name: {where: np.array([pair[name][where] for pair in played]) for where in places}
        for name, places in (played[0] if played else {}).items()
    }


def grid_figures(played: Sequence[PairShares], *, seed: int) -> dict[str, GridFigures]:
    """Compute the means over both classes and all pairs, with intervals over the pairs; all use the same draws."""

    def mean(values: NDArray[np.float64] | None) -> Mean | None:
        if values is None:
            return None
        return Mean.of(bootstrap_mean(values.mean(axis=1), np.random.default_rng([seed, _INTERVALS])), n=len(values))

    return {
        name: GridFigures(
            space=mean(shares.get("space")),
            space_right_side=mean(right_side(shares["space"]) if "space" in shares else None),
            time=mean(shares.get("time")),
            time_right_side=mean(right_side(shares["time"]) if "time" in shares else None),
        )
        for name, shares in pair_shares(played).items()
    }
