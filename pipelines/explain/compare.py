"""Compare the maps of several models of one video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from vidcam.errors import InputError
from vidcam.maps import Floats
from vidcam.media import Seconds
from vidcam.metrics.agreement import agreement
from vidcam.pipelines.render.moments import thinned
from vidcam.results.explanation import GUIDED
from vidcam.results.video import VideoExplanation

MOST_FRAMES = 2000
"""Largest number of compared frames; of longer videos evenly spaced frames are taken."""


@dataclass(frozen=True, slots=True)
class MapAgreement:
    """Agreement of the maps of two models.

    Attributes:
        models: their names.
        targets: the explained class of each.
        methods: the compared method of each.
        frames: number of compared frames.
        view: (top, left, bottom, right) in source pixels, what both models see; None if they see nothing in common.
        correlation: Pearson's r of the heat over pixels and frames; None if a map is constant.
        overlap: share of the evidence that lies in the same pixels and frames, in [0, 1]; None if a map is empty.
    """

    models: tuple[str, str]
    targets: tuple[str, str]
    methods: tuple[str, str]
    frames: int
    view: tuple[int, int, int, int] | None
    correlation: float | None
    overlap: float | None


def compare(explanations: Sequence[VideoExplanation], seconds: Seconds) -> tuple[MapAgreement, ...]:
    """Compare the maps of each pair: the first method of the first target, on the source's pixels that both see.

    Args:
        explanations: two or more, of the same video.
        seconds: (S,) time stamps of the displayed frames. Only frames that both models see are compared.

    Raises:
        InputError: fewer than two explanations, or of videos of different sizes.
    """
    sizes = {explanation.geometry.source_size for explanation in explanations}
    if len(explanations) < 2 or len(sizes) > 1:
        raise InputError(f"compare needs explanations of one video, got {len(explanations)} with frames of {sizes}")
    return tuple(_compared(first, second, seconds) for first, second in combinations(explanations, 2))


def shown_method(explanation: VideoExplanation) -> str:
    """Return the compared method: the first one, of a guided method the map that it multiplies."""
    method = explanation.explanations[0].methods[0]
    return GUIDED.get(method, method)


def _compared(first: VideoExplanation, second: VideoExplanation, seconds: Seconds) -> MapAgreement:
    pair = first, second
    start = max(float(each.timeline.starts[0]) for each in pair)
    end = min(float(each.timeline.ends.max()) for each in pair)
    moments = thinned(seconds[(seconds >= start) & (seconds < end)], MOST_FRAMES)
    view = _common_view(first, second)
    methods = shown_method(first), shown_method(second)

    def frames() -> Iterator[tuple[Floats, Floats]]:
        for moment in moments.tolist() if view is not None else []:
            a, b = (
                _inside(each, each.source_heat(method, moment), view)
                for each, method in zip(pair, methods, strict=True)
            )
            yield a, b

    found = agreement(frames)
    box = None if view is None else (view[0].start, view[1].start, view[0].stop, view[1].stop)
    return MapAgreement(
        models=(first.model, second.model),
        targets=(first.labels[0], second.labels[0]),
        methods=methods,
        frames=int(moments.size),
        view=box,
        correlation=found.correlation,
        overlap=found.overlap,
    )


def _common_view(first: VideoExplanation, second: VideoExplanation) -> tuple[slice, slice] | None:
    """Return the rows and columns of the source that both models see."""
    rows, columns = (
        slice(max(a.start, b.start), min(a.stop, b.stop))
        for a, b in zip(first.geometry.view_slices(), second.geometry.view_slices(), strict=True)
    )
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _inside(explanation: VideoExplanation, heat: Floats, view: tuple[slice, slice] | None) -> Floats:
    """Cut a part of the source out of heat that covers the model's view."""
    assert view is not None
    top, left = (edge.start for edge in explanation.geometry.view_slices())
    rows, columns = view
    return np.asarray(heat[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left])
