"""Draw a map on one displayed frame of its video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from vidcam.fill import Fill
from vidcam.media import Frames
from vidcam.render.colormap import ColourTable, colour_table
from vidcam.render.contour import contours, heat_picture
from vidcam.render.overlay import Overlay, draw_outline, explanation_map
from vidcam.render.signed import guided_picture
from vidcam.results.explanation import GUIDED
from vidcam.results.video import VideoExplanation

Kind = Literal["overlay", "map", "contour", "heat"]
"""How a map is drawn on a frame."""


class GuidedValues(Protocol):
    """Guided maps of a video, asked for in the order of time; see `pipelines.explain.saliency`."""

    def values(self, method: str, second: float, *, target: int) -> NDArray[np.float32]:
        """Signed values inside the view, (H', W', 3)."""

    def scale(self, method: str, *, target: int) -> float:
        """The magnitude that is drawn as black or white."""


@dataclass(frozen=True, slots=True)
class ShownMap:
    """A map to draw: the position of its target, and its method."""

    target: int
    method: str


@dataclass(frozen=True, slots=True, eq=False)
class RenderStyle:
    """How evidence is drawn.

    Attributes:
        fill: what the map style shows where nothing was used.
        mean_rgb: the dataset's mean colour, in [0, 255], for that fill.
        table: (256, 3) uint8, the colours of evidence.
        opacity: of the overlay where the evidence is 1.
        outline: whether the model's view is outlined.
    """

    fill: Fill = "black"
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    table: ColourTable = field(default_factory=colour_table, repr=False)
    opacity: float = 0.6
    outline: bool = True


class FrameRenderer:
    """Draws maps on frames; tables and the view are computed once.

    Args:
        video: the maps, with the geometry of the frames to draw on.
        style: how.
        guided: needed where a guided method is drawn.
    """

    def __init__(self, explanation: VideoExplanation, style: RenderStyle, guided: GuidedValues | None = None) -> None:
        self.explanation, self._style, self._guided = explanation, style, guided
        self._view = explanation.geometry.view_slices()
        self._overlay = Overlay(style.table, opacity=style.opacity)

    def draw(self, kind: Kind, frame: Frames, heat: NDArray[np.float32]) -> Frames:
        """The overlay, the iso-lines or the heat alone, with the model's view outlined; or the explanation map."""
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
        """Guided values around grey, with the model's view outlined."""
        assert self._guided is not None, "guided methods are drawn with guided values"
        values = self._guided.values(shown.method, second, target=shown.target)
        scale = self._guided.scale(shown.method, target=shown.target)
        return guided_picture(values, self._view, (frame.shape[0], frame.shape[1]), scale)


class FrameContext:
    """One displayed frame; each map is upsampled once, when it is first asked for.

    Attributes:
        second: of the maps: that of the frame, or the start of the first window if that is later.
        frame: (H, W, 3) uint8.
    """

    def __init__(self, renderer: FrameRenderer, second: float, frame: Frames) -> None:
        self._renderer = renderer
        self.second, self.frame = max(second, float(renderer.explanation.timeline.starts[0])), frame
        self._heat: dict[ShownMap, NDArray[np.float32]] = {}

    def picture(self, kind: Kind, shown: ShownMap) -> Frames:
        """The frame with a map, a new array."""
        if shown.method in GUIDED:
            return self._renderer.draw_guided(self.frame, shown, self.second)
        if shown not in self._heat:
            heat = self._renderer.explanation.source_heat(shown.method, self.second, target=shown.target)
            self._heat[shown] = heat.astype(np.float32, copy=False)
        return self._renderer.draw(kind, self.frame, self._heat[shown])
