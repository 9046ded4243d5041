"""The result of the sanity checks: how similar maps are to those of random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vidcam.errors import ShapeError


@dataclass(frozen=True, slots=True)
class SanityFigures:
    """Similarity of one method's maps to those of randomised weights: one entry per layer.

    Attributes:
        correlation: Spearman's rank correlation, mean over the clips.
        ssim: structural similarity, mean over the clips.
        empty: number of clips where one of the two maps is missing or empty.
    """

    correlation: Sequence[float | None]
    ssim: Sequence[float | None]
    empty: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanity:
    """The sanity checks, with the fields of sanity.json.

    Attributes:
        requested_clips: the number of clips that `--sanity` named.
        clips: names of the clips that were used.
        layers: names of the randomised layers, the last one first.
        cascading: method → similarity with all layers from the last one down to this one randomised.
        independent: method → similarity with only this layer randomised.
    """

    requested_clips: int
    clips: tuple[str, ...]
    layers: tuple[str, ...]
    cascading: Mapping[str, SanityFigures]
    independent: Mapping[str, SanityFigures]

    def __post_init__(self) -> None:
        columns = [
            (figures.correlation, figures.ssim, figures.empty)
            for scheme in (self.cascading, self.independent)
            for figures in scheme.values()
        ]
        if set(self.cascading) != set(self.independent):
            raise ShapeError("both schemes must have the same methods")
        if any(len(column) != len(self.layers) for figures in columns for column in figures):
            raise ShapeError(f"each method needs one value for each of the {len(self.layers)} layers")
