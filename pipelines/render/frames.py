"""Draw a map on one displayed frame of its video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError
from vidcam.fill import Fill
from vidcam.media import Frames, Seconds
from vidcam.render.captions import GREYS, ColourBar
from vidcam.render.colormap import ColourTable, colour_table
from vidcam.render.contour import contours, heat_picture
from vidcam.render.overlay import OPACITY, Overlay, draw_outline, drawn_colours, explanation_map
from vidcam.render.signed import guided_picture
from vidcam.results.explanation import GUIDED
from vidcam.results.video import Interpolation, VideoExplanation

Kind = Literal["overlay", "map", "contour", "heat", "cells"]
"""How a map is drawn on a frame; `cells` is an overlay of the map's cells, not interpolated in space."""

_BLENDED_AT_ONCE = 64  # frames; few, so that memory stays flat

_INTERPOLATION: dict[Kind, Interpolation] = {"contour": "smooth", "cells": "cells"}


class GuidedValues(Protocol):
    """Guided maps of a video, requested in the order of time; see `pipelines.explain.saliency`."""

    def values(self, method: str, second: float, *, target: int) -> NDArray[np.float32]:
        """Return signed values inside the model's view, (H', W', 3)."""

    def scale(self, method: str, *, target: int) -> float:
        """Return the magnitude that is drawn as black or white."""


@dataclass(frozen=True, slots=True)
class ShownMap:
    """A map to draw: the index of its target in the explanation, and its method."""

    target: int
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class RenderStyle:
    """How maps are drawn.

    Attributes:
        fill: what the style `map` shows where there is no evidence.
        mean_rgb: mean colour of the data set in [0, 255], for the fill `mean`.
        table: (256, 3) uint8, the colour map.
        opacity: largest opacity of the overlay.
        outline: whether the model's view is outlined.
    """

    fill: Fill = "black"
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    table: ColourTable = field(default_factory=colour_table, repr=False)
    opacity: float = OPACITY
    outline: bool = True


class FrameRenderer:
    """Draws maps on frames.

    Args:
        explanation: the maps, with the geometry of the frames to draw on.
        style: how maps are drawn.
        guided: values of guided methods; needed only for these.

    Raises:
        ShapeError: the model's view has no pixel of the frame.
    """

    def __init__(self, explanation: VideoExplanation, style: RenderStyle, guided: GuidedValues | None = None) -> None:
        self.explanation, self._style, self._guided = explanation, style, guided
        self._view = explanation.geometry.view_slices()
        if any(side.start == side.stop for side in self._view):
            raise ShapeError(f"the model's view has no pixel of the frame: {explanation.geometry}")
        self._overlay = Overlay(style.table, opacity=style.opacity)
        self._planes = _Planes(explanation)

    def expect(self, pts_seconds: Seconds) -> None:
        """Announce the frames that will be drawn, (S,), increasing. Their maps are blended many at a time."""
        self._planes.expect(pts_seconds)

    def heat(self, shown: ShownMap, second: float, interpolation: Interpolation) -> NDArray[np.float32]:
        """Return `VideoExplanation.source_heat` of a map."""
        return self.explanation.on_source(shown.method, self._planes.at(shown, second), interpolation)

    def draw(self, kind: Kind, frame: Frames, heat: NDArray[np.float32]) -> Frames:
        """Draw a map on a frame, in one of the kinds; returns a new frame."""
        style, view = self._style, self._view
        if kind == "map":
            return explanation_map(frame, heat, view, fill=style.fill, mean_rgb=style.mean_rgb)
        if kind == "contour":
            picture = contours(frame, heat, view, style.table)
        elif kind == "heat":
            picture = heat_picture(heat, view, (frame.shape[0], frame.shape[1]), style.table)
        else:
            picture = self._overlay.blend(frame, heat, view)
        if style.outline:
            draw_outline(picture, view)
        return picture

    def draw_guided(self, frame: Frames, shown: ShownMap, second: float) -> Frames:
        """Draw a guided map: values around grey, with the model's view outlined."""
        assert self._guided is not None, "guided methods are drawn with guided values"
        values = self._guided.values(shown.method, second, target=shown.target)
        scale = self._guided.scale(shown.method, target=shown.target)
        return guided_picture(values, self._view, (frame.shape[0], frame.shape[1]), scale)

    def colour_bar(self, kind: Kind, shown: ShownMap) -> ColourBar:
        """Return the scale of a map: greys for guided maps and for the explanation map, else colours."""
        if shown.method in GUIDED:
            assert self._guided is not None, "guided methods are drawn with guided values"
            scale = self._guided.scale(shown.method, target=shown.target)
            return ColourBar(GREYS, (-scale, scale))
        return ColourBar(self.bar_colours(kind), self.explanation.bounds[shown.method])

    def bar_colours(self, kind: Kind) -> ColourTable:
        """Return the colours of the colour bar, (256, 3) uint8: an overlay's over mid-grey, or the colour map."""
        if kind in {"overlay", "cells"}:
            return drawn_colours(self._style.table, self._style.opacity)
        return GREYS if kind == "map" else self._style.table


class _Planes:
    """The maps in cells. They are blended for many frames at once, which takes a tenth of the time."""

    def __init__(self, explanation: VideoExplanation) -> None:
        self._explanation = explanation
        self._seconds: Seconds = np.zeros(0)
        self._blended: dict[ShownMap, tuple[int, tuple[NDArray[np.float32], ...]]] = {}  # first frame, S maps (h, w)

    def expect(self, pts_seconds: Seconds) -> None:
        self._seconds, self._blended = np.maximum(pts_seconds, self._explanation.timeline.starts[0]), {}

    def at(self, shown: ShownMap, second: float) -> NDArray[np.float32]:
        """Return the map at a moment, (h, w)."""
        index = int(np.searchsorted(self._seconds, second))
        if index == self._seconds.size or self._seconds[index] != second:
            return self._blend(shown, np.array([second]))[0]
        first, planes = self._blended.get(shown, (0, ()))
        if not first <= index < first + len(planes):
            first, planes = index, self._blend(shown, self._seconds[index : index + _BLENDED_AT_ONCE])
            self._blended[shown] = first, planes
        return planes[index - first]

    def _blend(self, shown: ShownMap, seconds: Seconds) -> tuple[NDArray[np.float32], ...]:
        return tuple(self._explanation.scaled(shown.method, seconds, target=shown.target))


class FrameContext:
    """One displayed frame; each map is upsampled once for each interpolation, when it is first drawn.

    Attributes:
        second: time of the maps: that of the frame, or the start of the first window if that is later.
        frame: (H, W, 3) uint8.
    """

    def __init__(self, renderer: FrameRenderer, second: float, frame: Frames) -> None:
        self._renderer = renderer
        self.second, self.frame = max(second, float(renderer.explanation.timeline.starts[0])), frame
        self._heat: dict[tuple[ShownMap, Interpolation], NDArray[np.float32]] = {}

    def picture(self, kind: Kind, shown: ShownMap) -> Frames:
        """Return the frame with a map drawn on it, a new array."""
        if shown.method in GUIDED:
            return self._renderer.draw_guided(self.frame, shown, self.second)
        interpolation = _INTERPOLATION.get(kind, "linear")
        key = (shown, interpolation)
        if key not in self._heat:
            self._heat[key] = self._renderer.heat(shown, self.second, interpolation)
        return self._renderer.draw(kind, self.frame, self._heat[key])
