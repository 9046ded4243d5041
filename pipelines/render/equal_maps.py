"""Find methods whose maps are the same, so that a sheet shows them once and says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidcam.maps import Floats
from vidcam.media import Seconds
from vidcam.metrics.agreement import correlation
from vidcam.pipelines.render.frames import ShownMap
from vidcam.pipelines.render.moments import thinned
from vidcam.results.explanation import GUIDED
from vidcam.results.video import CHUNK, VideoExplanation

SAME_FROM = 0.9995
"""The maps of two methods are called the same above this correlation."""

MOST_COMPARED = 500
"""Largest number of moments at which maps are compared."""


@dataclass(frozen=True, slots=True)
class DistinctMap:
    """A map, and other methods of the same target whose maps are the same: method → correlation."""

    shown: ShownMap
    same: dict[str, float]


def distinct_maps(explanation: VideoExplanation, maps: Sequence[ShownMap], seconds: Seconds) -> tuple[DistinctMap, ...]:
    """Group the maps of each target by their content, in order. A guided map is always a map of its own.

    Args:
        explanation: the maps of the video.
        maps: the maps to group.
        seconds: (S,) moments at which they are compared.
    """
    moments = thinned(seconds, MOST_COMPARED)
    distinct: list[DistinctMap] = []
    for shown in maps:
        for former in distinct:
            if former.shown.target == shown.target and not {former.shown.method, shown.method} & {*GUIDED}:
                r = _same(explanation, former.shown, shown, moments)
                if r is not None:
                    former.same[shown.method] = r
                    break
        else:
            distinct.append(DistinctMap(shown, {}))
    return tuple(distinct)


def _same(explanation: VideoExplanation, first: ShownMap, second: ShownMap, seconds: Seconds) -> float | None:
    """Return the correlation of two maps if they are the same, else None. Two empty maps are the same."""

    def parts() -> Iterator[tuple[Floats, Floats]]:
        for start in range(0, seconds.size, CHUNK):
            chunk = seconds[start : start + CHUNK]
            a, b = (explanation.raw(shown.method, chunk, target=shown.target) for shown in (first, second))
            yield a, b

    shapes = {explanation.explanations[shown.target].volume(shown.method).shape for shown in (first, second)}
    if len(shapes) > 1:
        return None
    r = correlation(parts())
    if r is None:
        return 1.0 if not any(a.any() or b.any() for a, b in parts()) else None
    return r if r > SAME_FROM else None
