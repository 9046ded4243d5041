"""How one displayed frame becomes a picture of evidence: the styles, on the source's own pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from vidcam.fill import Fill
from vidcam.media import Frames
from vidcam.render.colormap import DEFAULT_COLOURS, colour_table
from vidcam.render.contour import contours, heat_picture
from vidcam.render.overlay import Overlay, draw_outline, explanation_map
from vidcam.render.signed import guided_picture
from vidcam.results.explanation import GUIDED
from vidcam.results.video import Film

Kind = Literal["overlay", "map", "contour", "heat"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class GuidedValues(Protocol):
    """Guided maps of a film, asked for in the order of time; see `pipelines.guided`."""

    def values(self, method: str, second: float, *, target: int) -> NDArray[np.float32]:
        """Signed values inside the view, (H', W', 3)."""

    def scale(self, method: str, *, target: int) -> float:
        """The magnitude that is drawn as black or white."""


@dataclass(frozen=True, slots=True)
class Look:
    """How evidence is shown.

    Attributes:
        fill: what the map hides with.
        mean_rgb: the dataset's mean colour, for that fill.
        colours: name of the colour map.
        opacity: of the overlay where the evidence is 1.
        has_outline: whether the model's view is outlined.
    """

    fill: Fill = "black"
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    colours: str = DEFAULT_COLOURS
    opacity: float = 0.6
    has_outline: bool = True


class Painter:
    """Draws one kind of picture of a frame; tables and the view are worked out once.

    Args:
        film: the maps, with the geometry of the frames that are painted.
        look: how.
        guided: needed where a guided method is drawn.
    """

    def __init__(self, film: Film, look: Look, guided: GuidedValues | None = None) -> None:
        self.film, self.look = film, look
        self._guided = guided
        self._view = film.geometry.view_slices()
        self.table = colour_table(look.colours)
        self._overlay = Overlay(self.table, opacity=look.opacity)

    def paint(self, kind: str, frame: Frames, heat: NDArray[np.float32]) -> Frames:
        """An overlay, iso-lines or the heat alone, with the model's view outlined; or the explanation map."""
        if kind == "map":
            look = self.look
            return explanation_map(frame, heat, self._view, fill=look.fill, mean_rgb=look.mean_rgb)
        if kind == "contour":
            picture = contours(frame, heat, self._view, self.table)
        elif kind == "heat":
            picture = heat_picture(heat, self._view, (frame.shape[0], frame.shape[1]), self.table)
        else:
            picture = self._overlay.blend(frame, heat, self._view)
        if self.look.has_outline:
            draw_outline(picture, self._view)
        return picture

    def paint_guided(self, frame: Frames, method: str, second: float, target: int) -> Frames:
        """Guided values around grey, with the model's view outlined."""
        assert self._guided is not None, "guided methods are drawn with guided values"
        values = self._guided.values(method, second, target=target)
        scale = self._guided.scale(method, target=target)
        return guided_picture(values, self._view, (frame.shape[0], frame.shape[1]), scale)


class Moment:
    """One displayed frame; heat is worked out once for each method and target, when it is first asked for.

    Attributes:
        second: of the maps: that of the frame, or of the film's beginning if that is later.
        frame: (H, W, 3) uint8.
    """

    def __init__(self, painter: Painter, second: float, frame: Frames) -> None:
        self._painter = painter
        self.second, self.frame = max(second, float(painter.film.timeline.starts[0])), frame
        self._heat: dict[tuple[str, int], NDArray[np.float32]] = {}

    def picture(self, kind: str, method: str, target: int) -> Frames:
        """The frame as a video of that kind shows it, a new array."""
        if method in GUIDED:
            return self._painter.paint_guided(self.frame, method, self.second, target)
        key = (method, target)
        if key not in self._heat:
            heat = self._painter.film.source_heat(method, self.second, target=target)
            self._heat[key] = heat.astype(np.float32, copy=False)
        return self._painter.paint(kind, self.frame, self._heat[key])
