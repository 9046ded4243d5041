"""The contact sheet of an explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from vidcam.media import Frames, Seconds
from vidcam.pipelines.render.caption_track import OWN_CLASS
from vidcam.pipelines.render.frames import FrameContext, ShownMap
from vidcam.pipelines.render.summary import VideoSummary, name_maps, time_strip
from vidcam.render.caption_text import percent
from vidcam.render.colormap import ColourTable, colour_table
from vidcam.render.overlay import drawn_colours
from vidcam.render.sheet import Sheet, draw_sheet
from vidcam.results.video import PER_WINDOW, VideoExplanation
from vidcam.system.filenames import one_line

SHEET_COLUMNS = 8
SHEET_SIDE_PX = 480

MOST_CLASSES = 5
"""Largest number of windows' own classes in the heading."""


@dataclass(slots=True)
class SheetFrames:
    """The frames of a contact sheet, collected while the video is drawn.

    Attributes:
        maps: the maps, one per row.
        seconds: time stamps of the frames.
        source: the source frames, shrunk.
        overlays: map → overlays, shrunk.
    """

    maps: Sequence[ShownMap]
    seconds: list[float] = field(default_factory=list)
    source: list[Frames] = field(default_factory=list)
    overlays: dict[ShownMap, list[Frames]] = field(default_factory=dict)

    def add(self, context: FrameContext) -> None:
        """Add a frame and its overlays, shrunk."""
        self.seconds.append(context.second)
        self.source.append(_shrunk(context.frame))
        for shown in self.maps:
            self.overlays.setdefault(shown, []).append(_shrunk(context.picture("overlay", shown)))


def sheet_seconds(pts_seconds: Seconds) -> frozenset[float]:
    """Choose the time stamps of a sheet: the middle frames of at most 8 equal parts of the video."""
    columns = min(SHEET_COLUMNS, pts_seconds.size)
    middles = ((np.arange(columns) + 0.5) * pts_seconds.size / columns).astype(int)
    return frozenset(pts_seconds[middles].tolist())


def contact_sheet(
    explanation: VideoExplanation,
    frames: SheetFrames,
    pts_seconds: Seconds,
    *,
    audit: Sequence[str] = (),
    table: ColourTable | None = None,
    span_seconds: tuple[float, float] | None = None,
) -> bytes:
    """Draw the contact sheet of an explanation, or of a part of it, as PNG.

    Args:
        explanation: the maps.
        frames: the collected frames; their maps are the rows.
        pts_seconds: (S,) time stamps of the displayed frames.
        audit: sentences to write below the frames.
        table: (256, 3) uint8, the colours of the colour bar; None: those of the default overlay.
        span_seconds: the shown part, [start, end); None: all windows.
    """
    span = span_seconds or (float(explanation.timeline.starts[0]), float(explanation.timeline.ends.max()))
    sheet = Sheet(
        title=one_line(explanation.source),
        target=target_text(explanation, list(dict.fromkeys(shown.target for shown in frames.maps))),
        model=explanation.model,
        layer=explanation.explanations[0].layer,
        frame_seconds=np.array(frames.seconds),
        rows={name: frames.overlays[shown] for name, shown in name_maps(explanation, frames.maps).items()},
        source_frames=frames.source,
        strip=time_strip(explanation, frames.maps, pts_seconds, span),
        table=drawn_colours(colour_table()) if table is None else table,
        audit=audit,
    )
    return draw_sheet(sheet)


def target_text(explanation: VideoExplanation, targets: Sequence[int]) -> str:
    """Write each target with its mean probability, its rank unless it is alone and the top class, and the top class."""
    texts, ranks, top = [], [], ""
    for target in targets:
        summary = VideoSummary(explanation, target)
        contrast = "" if summary.contrast is None else f" rather than {summary.contrast}"
        mean = percent(summary.mean_probability, digits=1)
        if explanation.labels[target] == PER_WINDOW:
            texts.append(f"{OWN_CLASS} ({_own_classes(summary)}) – {mean}")
            continue
        standing = summary.standing()
        has_rank = len(targets) > 1 or standing.rank > 1
        texts.append(f"{summary.target_label}{contrast} – {mean}{f', rank {standing.rank}' * has_rank}")
        ranks.append(standing.rank)
        if standing.rank > 1:
            top = f" · top class: {standing.rival_label} – {percent(standing.rival_probability, digits=1)}"
    return "; ".join(texts) + (top if 1 not in ranks else "")


def _own_classes(summary: VideoSummary) -> str:
    labels = list(dict.fromkeys(summary.own_class(window)[0] for window in range(len(summary.windows))))
    return ", ".join([*labels[:MOST_CLASSES], *["…"] * (len(labels) > MOST_CLASSES)])


def _shrunk(frame: Frames) -> Frames:
    step = max(1, max(frame.shape[:2]) // SHEET_SIDE_PX)
    return np.asarray(Image.fromarray(frame).reduce(step))
