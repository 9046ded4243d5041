"""The contact sheet of an explanation: which moments and maps it shows, and its texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidcam.media import Frames, Seconds
from vidcam.pipelines.audit import enumeration, map_verdicts, video_facts, video_remarks
from vidcam.pipelines.render.caption_track import OWN_CLASS
from vidcam.pipelines.render.equal_maps import DistinctMap, distinct_maps
from vidcam.pipelines.render.frames import FrameContext, ShownMap
from vidcam.pipelines.render.moments import choose_moments, thinned
from vidcam.pipelines.render.summary import VideoSummary, name_maps, time_strip
from vidcam.render.caption_text import percent
from vidcam.render.colormap import ColourTable, colour_table
from vidcam.render.overlay import drawn_colours
from vidcam.render.sheet import ClassLine, Moment, Sheet, SheetBlock, SheetFormat, SheetRow
from vidcam.render.sheet_drawing import draw_sheet
from vidcam.render.strip import TimeStrip
from vidcam.results.explanation import GUIDED
from vidcam.results.video import PER_WINDOW, VideoExplanation
from vidcam.system.filenames import one_line

SHEET_SIDE_PX = 600
"""Frames are shrunk by a whole number, to a longer side of at least this; about twice the size in a PNG."""

MOST_CLASSES = 5
"""Largest number of windows' own classes in the heading."""

PEAK = "peak"
"""Note of the moment with the most evidence."""

_TOP = "top class"


@dataclass(slots=True)
class SheetFrames:
    """The frames of a contact sheet, collected while the video is drawn.

    Attributes:
        maps: the maps, one per row.
        moments: time stamps of the frames to collect, in the order of time.
        best: the moment with the most evidence; None without evidence.
        seconds: times of the maps of the collected frames.
        source: the source frames, shrunk.
        overlays: map → overlays, shrunk.
    """

    maps: tuple[DistinctMap, ...]
    moments: tuple[float, ...]
    best: float | None = None
    seconds: list[float] = field(default_factory=list)
    source: list[Frames] = field(default_factory=list)
    overlays: dict[ShownMap, list[Frames]] = field(default_factory=dict)

    @classmethod
    def plan(cls, explanation: VideoExplanation, maps: Sequence[ShownMap], pts_seconds: Seconds) -> SheetFrames:
        """Choose the maps, each once, and the moments by the evidence of the first map.

        Args:
            explanation: the maps of the video.
            maps: at least one.
            pts_seconds: (S,) time stamps of the displayed frames.
        """
        pts = thinned(pts_seconds)
        seconds = np.maximum(pts, float(explanation.timeline.starts[0]))
        first = maps[0]
        evidence = explanation.evidence(GUIDED.get(first.method, first.method), seconds, target=first.target)
        chosen = choose_moments(evidence, pts, count=column_count(explanation.geometry.source_size))
        best = float(pts[evidence.argmax()]) if evidence.max() > 0.0 else None
        return cls(distinct_maps(explanation, maps, seconds), tuple(pts[chosen].tolist()), best)

    def add(self, context: FrameContext) -> None:
        """Add a frame and its overlays, shrunk."""
        self.seconds.append(context.second)
        self.source.append(shrunk(context.frame))
        for each in self.maps:
            self.overlays.setdefault(each.shown, []).append(shrunk(context.picture("overlay", each.shown)))


def column_count(size: tuple[int, int]) -> int:
    """Return the number of moments of a sheet for frames of (height, width): 5, and up to 7 if they are narrow."""
    return int(np.clip(round(5 * size[0] / size[1]), 5, 7))


def contact_sheet(
    explanation: VideoExplanation,
    frames: SheetFrames,
    pts_seconds: Seconds,
    *,
    table: ColourTable | None = None,
    span_seconds: tuple[float, float] | None = None,
    form: SheetFormat = "png",
) -> bytes:
    """Draw the contact sheet of an explanation, or of a part of it.

    Args:
        explanation: the maps.
        frames: the collected frames; their maps are the rows.
        pts_seconds: (S,) time stamps of the displayed frames.
        table: (256, 3) uint8, the colours of the colour bar; None: those of the default overlay.
        span_seconds: the shown part, [start, end); None: all windows.
        form: file format.
    """
    span = span_seconds or (float(explanation.timeline.starts[0]), float(explanation.timeline.ends.max()))
    strips = target_strips(explanation, frames.maps, pts_seconds, span)
    targets = tuple(strips)
    sheet = Sheet(
        title=one_line(explanation.source),
        subtitle=f"{explanation.model}, layer {explanation.explanations[0].layer}",
        verdicts=map_verdicts(explanation),
        remarks=video_remarks(explanation),
        classes=class_lines(explanation, targets),
        moments=[
            Moment(second, PEAK if pts == frames.best else "", other_class(explanation, targets[0], second))
            for pts, second in zip(frames.moments, frames.seconds, strict=True)
        ],
        source_frames=frames.source,
        blocks=[
            sheet_block(
                explanation, [each for each in frames.maps if each.shown.target == target], frames.overlays, strip
            )
            for target, strip in strips.items()
        ],
        table=drawn_colours(colour_table()) if table is None else table,
        facts=video_facts(explanation),
    )
    return draw_sheet(sheet, form)


def sheet_block(
    explanation: VideoExplanation,
    maps: Sequence[DistinctMap],
    overlays: Mapping[ShownMap, Sequence[Frames]],
    strip: TimeStrip,
    *,
    prefix: str = "",
) -> SheetBlock:
    """Collect the rows of the maps of one target.

    Args:
        explanation: the maps of the video.
        maps: those to show, of the same target.
        overlays: map → a frame for each moment.
        strip: the strip of the target.
        prefix: start of the block's name, before the class.
    """
    target, curves = maps[0].shown.target, _curve_names(maps)
    line = target_line(explanation, target)
    is_other = any(label != explanation.labels[target] for label in strip.top_labels)
    return SheetBlock(
        name=" – ".join(filter(None, [prefix + line.name, percent(line.probability, digits=1)])),
        rows=[
            SheetRow(
                name=each.shown.method,
                frames=overlays[each.shown],
                curve=curves[each.shown],
                word=explanation.verdict(each.shown.method, target=target).word,
                note=_same_note(each.same),
            )
            for each in maps
        ],
        strip=strip,
        has_windows=is_other,
    )


def target_strips(
    explanation: VideoExplanation,
    maps: Sequence[DistinctMap],
    pts_seconds: Seconds,
    span_seconds: tuple[float, float],
) -> dict[int, TimeStrip]:
    """Make a strip for each target; all are relative to the same peaks.

    Args:
        explanation: the maps of the video.
        maps: those to show. A guided map has no curve of its own if that of its map is shown.
        pts_seconds: (S,) time stamps of the displayed frames.
        span_seconds: the shown part, [start, end).
    """
    curves = _curve_names(maps)
    shown = [each for each, name in curves.items() if each.method == name]
    whole, (start, end) = time_strip(explanation, shown, pts_seconds, span_seconds), span_seconds
    names = name_maps(explanation, shown)
    return {
        target: replace(
            whole,
            evidence={each.method: whole.evidence[name] for name, each in names.items() if each.target == target},
            windows=[w for w in VideoSummary(explanation, target).windows if w[0] < end and w[1] > start],
            probability_of="",
        )
        for target in dict.fromkeys(each.target for each in shown)
    }


def _curve_names(maps: Sequence[DistinctMap]) -> dict[ShownMap, str]:
    """Return map → the method whose curve it has; a guided map has that of the map that it multiplies, if shown."""
    base = {(each.shown.target, name): each.shown.method for each in maps for name in (each.shown.method, *each.same)}
    return {
        each.shown: base.get((each.shown.target, GUIDED.get(each.shown.method, "")), each.shown.method) for each in maps
    }


def class_lines(explanation: VideoExplanation, targets: Sequence[int]) -> list[ClassLine]:
    """Name the targets with their probability and rank, the contrast class, and the top class of the video."""
    lines = [target_line(explanation, target) for target in targets]
    named = {int(explanation.explanations[target].target[0]) for target in targets if not _is_own(explanation, target)}
    ranking, contrast = _mean_ranking(explanation), explanation.explanations[targets[0]].contrast
    mean = explanation.explanations[0].probabilities().mean(axis=0)
    if contrast is not None:
        index = int(contrast[0])
        lines.append(
            ClassLine(explanation.class_label(index), float(mean[index]), f"contrast, {_rank(ranking, index)}")
        )
        named.add(index)
    top = int(ranking.argmax())
    if top not in named:
        rest = "" if any(_is_own(explanation, target) for target in targets) else ", not explained"
        lines.append(ClassLine(explanation.class_label(top), float(mean[top]), f"{_TOP} of the video{rest}"))
    return lines


def target_line(explanation: VideoExplanation, target: int) -> ClassLine:
    """Name one target, with its contrast class, its mean probability over the windows, and its rank."""
    summary, label = VideoSummary(explanation, target), explanation.labels[target]
    name = label if summary.contrast is None else f"{label} rather than {summary.contrast}"
    index = int(explanation.explanations[target].target[0])
    if _is_own(explanation, target):
        own = dict.fromkeys(summary.own_class(window)[0] for window in range(len(summary.windows)))
        listed = [*list(own)[:MOST_CLASSES], *["…"] * (len(own) > MOST_CLASSES)]
        return ClassLine(OWN_CLASS, summary.mean_probability, ", ".join(listed))
    return ClassLine(name, summary.mean_probability, _rank(_mean_ranking(explanation), index))


def other_class(explanation: VideoExplanation, target: int, second: float) -> str:
    """Name the top class of the nearest window if it is not the target, with its probability; else ''."""
    line, of_target = explanation.timeline, explanation.explanations[target]
    window = int(np.abs((line.starts + line.ends) / 2 - second).argmin())
    top = int(of_target.logits[window].argmax())
    is_own = _is_own(explanation, target)
    if not is_own and top == int(of_target.target[window]):
        return ""
    name = explanation.class_label(top)
    named = ", ".join(filter(None, [name, percent(float(of_target.probabilities()[window, top]))]))
    return named if is_own else f"{_TOP}: {named}"


def shrunk(frame: Frames) -> Frames:
    """Shrink a frame by a whole number, to a longer side of at least SHEET_SIDE_PX; a smaller frame stays."""
    step = max(1, max(frame.shape[:2]) // SHEET_SIDE_PX)
    return np.asarray(Image.fromarray(frame).reduce(step))


def _is_own(explanation: VideoExplanation, target: int) -> bool:
    """Whether each window has its own class."""
    return explanation.labels[target] == PER_WINDOW


def _rank(ranking: NDArray[np.float64], index: int) -> str:
    rank = 1 + int((ranking > ranking[index]).sum())
    if ranking.size == 1:
        return ""
    return _TOP if rank == 1 else f"rank {rank} of {ranking.size}"


def _mean_ranking(explanation: VideoExplanation) -> NDArray[np.float64]:
    return np.asarray(explanation.explanations[0].ranking().mean(axis=0))


def _same_note(same: Mapping[str, float]) -> str:
    """Name the methods with the same map: 'gradcam and gradcam+ have the same map (r = 1.0000)'."""
    if not same:
        return ""
    r = np.floor(min(same.values()) * 1e4 + 1e-6) / 1e4
    return f"{enumeration([*same])} {'has' if len(same) == 1 else 'have'} the same map (r = {r:.4f})"
