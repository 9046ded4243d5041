"""Draw captions on the pictures of a video, in `explain` and in `render`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vidcam.maps import normalise, resample_plane
from vidcam.media import Frames
from vidcam.pipelines.audit import enumeration
from vidcam.pipelines.render.caption_track import CaptionTrack, Rows
from vidcam.pipelines.render.frames import FrameRenderer, Kind, ShownMap
from vidcam.pipelines.render.moments import thinned
from vidcam.render.box import Box, clock_box, clock_text
from vidcam.render.caption_plan import CaptionPlan, caption_plan, edge_px
from vidcam.render.caption_text import Caption, CaptionPlace, Row
from vidcam.render.captions import draw_caption
from vidcam.render.verdict_text import SIGNS
from vidcam.results.explanation import GUIDED
from vidcam.results.video import VideoExplanation

Corner = tuple[bool, bool]
"""A corner of a picture: whether it is at the bottom, and whether it is at the right."""

CORNERS: tuple[Corner, ...] = ((False, False), (False, True), (True, False), (True, True))

SOURCE = Caption((Row("source"),))
"""The caption of a source frame beside maps."""


class CaptionDrawer:
    """Draws the captions of one or several maps on pictures of one size.

    Captions have one place in the whole video: a margin below the picture, or the corner with the least heat, summed
    over the video and the maps.

    Args:
        renderer: draws the maps; its explanation has the geometry of the pictures.
        kind: how the maps are drawn.
        maps: the maps, at least one.
        place: where captions are.
        tracks: target → text of its captions; None: made here.

    Attributes:
        margin_px: height of the margin.
        notes: a sentence about parts that were left out because the picture is too small.
    """

    def __init__(
        self,
        renderer: FrameRenderer,
        kind: Kind,
        maps: Sequence[ShownMap],
        place: CaptionPlace,
        *,
        tracks: Mapping[int, CaptionTrack] | None = None,
    ) -> None:
        explanation = self._explanation = renderer.explanation
        self.margin_px = 0
        self._scale_note = ", each window on its own scale" if explanation.scale == "window" else ""
        self.notes: tuple[str, ...] = ()
        self._size, self._end = explanation.geometry.source_size, float(explanation.timeline.ends.max())
        self._plan: CaptionPlan | None = None
        self._corner: Corner | None = None
        self._drawn: dict[ShownMap | None, tuple[Rows, str, Box]] = {}
        if place == "none":
            return
        self._tracks = tracks or caption_tracks(explanation, maps)
        self._maps, self._bars = maps, {shown: renderer.colour_bar(kind, shown) for shown in maps}
        self._has_title_method = False
        self._plan = self._choose_plan(in_margin=place == "margin")
        if (self._plan is None or self._plan.method_cell is None) and len({shown.method for shown in maps}) > 1:
            self._has_title_method = True  # else cells of several methods would look the same
            self._plan = self._choose_plan(in_margin=place == "margin")
        self.notes = self._missing_parts(place)
        if self._plan is None:
            return
        if place == "margin":
            self.margin_px = self._plan.size[0]
        else:
            self._corner = coolest_corner(explanation, maps, self._plan)

    def _choose_plan(self, *, in_margin: bool) -> CaptionPlan | None:
        texts = [self._caption(shown, rows) for shown in self._maps for rows in self._tracks[shown.target].distinct]
        ends = [bar.ends for bar in self._bars.values()]
        return caption_plan(texts, ends, self._size, end_seconds=self._end, in_margin=in_margin)

    def draw(self, picture: Frames, shown: ShownMap | None, second: float) -> Frames:
        """Draw the caption of a map, or of the source.

        Args:
            picture: (H, W, 3) uint8; it may be changed.
            shown: the map on the picture; None: it is the source.
            second: time of the picture.

        Returns:
            (H + margin_px, W, 3) uint8.
        """
        plan = self._plan
        if plan is None:
            return picture
        if self.margin_px:
            margin = np.zeros((self.margin_px, *picture.shape[1:]), np.uint8)
            picture = np.concatenate([picture, margin])
        box = self._box(plan, shown, second)
        top, left = (self._size[0], 0) if self._corner is None else _origin(self._corner, self._size, box.size, plan)
        box.over(picture, top, left)
        return picture

    def _box(self, plan: CaptionPlan, shown: ShownMap | None, second: float) -> Box:
        """Return the box of a moment; what changed since the last one is drawn again."""
        rows = SOURCE.rows if shown is None else self._tracks[shown.target].rows(second)
        time = "" if plan.clock is None or shown is None else clock_text(second, self._end)
        former_rows, former_time, box = self._drawn.get(shown, ((), "", None))
        if box is None or former_rows != rows:
            former_time = ""
            if shown is None:
                box = self._source_box(plan)
            else:
                box = draw_caption(plan, self._caption(shown, rows), self._bars[shown])
        if time != former_time and plan.clock is not None:
            left, top, width = plan.clock
            box.put(clock_box(time, plan.unit_px, width), top, left)
        self._drawn[shown] = rows, time, box
        return box

    def _source_box(self, plan: CaptionPlan) -> Box:
        source = caption_plan([SOURCE], [], self._size, end_seconds=None, in_margin=bool(self.margin_px))
        return draw_caption(plan if source is None else source, SOURCE, None)

    def _caption(self, shown: ShownMap, rows: Rows) -> Caption:
        """Make the caption of a map; in small cells of several methods it begins with the method."""
        word = self._explanation.verdict(shown.method, target=shown.target).word
        if not self._has_title_method:
            return Caption(rows, shown.method + self._scale_note, word)
        if len({each.target for each in self._maps}) == 1:
            return Caption((Row(shown.method, after=f" {SIGNS[word]}"), *rows))
        (first, *others) = rows
        numbers = Row(after=first.after.strip(), detail=first.detail)
        return Caption((Row(first.label, f"{shown.method} {SIGNS[word]} · "), numbers, *others))

    def _missing_parts(self, place: CaptionPlace) -> tuple[str, ...]:
        missing = ("captions",) if self._plan is None else self._plan.missing
        if not missing:
            return ()
        margin = self._choose_plan(in_margin=True) if place == "inside" else None
        shows_more = margin is not None and (self._plan is None or len(margin.missing) < len(missing))
        advice = "; --captions margin makes room" if shows_more else ""
        height, width = self._size
        return (f"frames of {width} × {height} are too small for {enumeration(missing)}{advice}",)


def caption_tracks(explanation: VideoExplanation, maps: Sequence[ShownMap]) -> dict[int, CaptionTrack]:
    """Return target → text of its captions, for the targets of some maps."""
    return {target: CaptionTrack(explanation, target) for target in dict.fromkeys(shown.target for shown in maps)}


def coolest_corner(explanation: VideoExplanation, maps: Sequence[ShownMap], plan: CaptionPlan) -> Corner:
    """Return the corner where a box covers the least heat, summed over the video and the maps.

    Mean heats under the box are compared to two decimals. Of equal corners the first is taken: top left, top right,
    bottom left, bottom right.

    Args:
        explanation: the maps, with the geometry of the pictures.
        maps: the maps.
        plan: the size of the box.
    """
    size, (height, width) = explanation.geometry.source_size, plan.size
    heat = np.mean([_mean_heat(explanation, shown) for shown in maps], axis=0)

    def heat_under(corner: Corner) -> float:
        top, left = _origin(corner, size, plan.size, plan)
        return round(float(heat[top : top + height, left : left + width].mean()), 2)

    return min(CORNERS, key=heat_under)


def _origin(corner: Corner, size: tuple[int, int], box: tuple[int, int], plan: CaptionPlan) -> tuple[int, int]:
    """Return the (top, left) of a box in a corner of a picture."""
    edge = edge_px(plan.unit_px)
    bottom, right = (side - length - edge for side, length in zip(size, box, strict=True))
    return bottom if corner[0] else edge, right if corner[1] else edge


def _mean_heat(explanation: VideoExplanation, shown: ShownMap) -> NDArray[np.float32]:
    """Compute the mean heat of a map over the video, (H, W) on the source's pixels.

    Upsampling and scaling are linear, so the mean map is upsampled once.
    """
    method, geometry = GUIDED.get(shown.method, shown.method), explanation.geometry
    moments = thinned(np.unique(explanation.timeline.frame_seconds))
    plane = explanation.scaled(method, moments, target=shown.target).mean(axis=0)
    drawn = resample_plane(plane, *geometry.source_matrices(plane.shape))
    heat = np.zeros(geometry.source_size, np.float32)
    heat[geometry.view_slices()] = normalise(drawn, *explanation.bounds[method])
    return heat
