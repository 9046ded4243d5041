"""The sheet of several models of one video: a map of each, at common moments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidcam.media import Frames, Seconds
from vidcam.pipelines.audit import video_remarks
from vidcam.pipelines.explain.compare import MapAgreement, shown_method
from vidcam.pipelines.render.equal_maps import DistinctMap
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer, RenderStyle, ShownMap
from vidcam.pipelines.render.moments import choose_moments, thinned
from vidcam.pipelines.render.sheet import PEAK, column_count, sheet_block, shrunk, target_line, target_strips
from vidcam.render.caption_text import percent
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import drawn_colours
from vidcam.render.sheet import ClassLine, Moment, Sheet, SheetBlock, SheetFormat
from vidcam.render.sheet_drawing import draw_sheet
from vidcam.results.video import VideoExplanation
from vidcam.system.filenames import one_line
from vidcam.video.reader import VideoReader


def agreement_sentence(agreement: MapAgreement) -> str:
    """Write one line about two models."""
    if agreement.view is None:
        return f"{' and '.join(agreement.models)} see no common part of the frame."
    r = "undefined" if agreement.correlation is None else f"{agreement.correlation:.2f}"
    overlap = "undefined" if agreement.overlap is None else percent(agreement.overlap)
    classes = dict.fromkeys(agreement.targets)
    of_two = f", of {' and '.join(map(repr, classes))}" if len(classes) > 1 else ""
    return f"Maps of {' and '.join(agreement.models)}{of_two}: correlation {r}, overlap {overlap}."


def models_sheet(
    explanations: Sequence[VideoExplanation],
    agreements: Sequence[MapAgreement],
    reader: VideoReader,
    pts_seconds: Seconds,
    *,
    form: SheetFormat = "png",
) -> bytes:
    """Draw the sheet of several models: for each the map of its first method and target, at common moments.

    Args:
        explanations: one for each model.
        agreements: of the maps.
        reader: the video.
        pts_seconds: (S,) time stamps of the displayed frames that all models see.
        form: file format.
    """
    pts = thinned(pts_seconds)
    maps = [ShownMap(0, shown_method(explanation)) for explanation in explanations]
    evidence = _common_evidence(explanations, maps, pts)
    moments = pts[choose_moments(evidence, pts, count=column_count(explanations[0].geometry.source_size))]
    best = float(pts[evidence.argmax()]) if evidence.any() else None
    renderers = [FrameRenderer(explanation, RenderStyle()) for explanation in explanations]
    source: list[Frames] = []
    overlays: list[list[Frames]] = [[] for _ in explanations]
    for second, frame in reader.frames_at(moments):
        source.append(shrunk(frame))
        for renderer, shown, row in zip(renderers, maps, overlays, strict=True):
            row.append(shrunk(FrameContext(renderer, second, frame).picture("overlay", shown)))
    span = (float(pts_seconds[0]), min(float(each.timeline.ends.max()) for each in explanations))
    return draw_sheet(
        Sheet(
            title=one_line(explanations[0].source),
            subtitle=" ".join([*map(agreement_sentence, agreements), _layers(explanations)]),
            verdicts=[
                (f"{each.model}: {shown_method(each)}", each.verdict(shown_method(each))) for each in explanations
            ],
            remarks=[f"{each.model}: {remark}" for each in explanations for remark in video_remarks(each)],
            classes=[_class_line(explanation) for explanation in explanations],
            moments=[Moment(second, PEAK if second == best else "") for second in moments.tolist()],
            source_frames=source,
            blocks=[
                _block(explanation, shown, row, pts_seconds, span)
                for explanation, shown, row in zip(explanations, maps, overlays, strict=True)
            ],
            table=drawn_colours(colour_table()),
        ),
        form,
    )


def _block(
    explanation: VideoExplanation,
    shown: ShownMap,
    frames: Sequence[Frames],
    pts_seconds: Seconds,
    span_seconds: tuple[float, float],
) -> SheetBlock:
    maps = [DistinctMap(shown, {})]
    (strip,) = target_strips(explanation, maps, pts_seconds, span_seconds).values()
    return sheet_block(explanation, maps, {shown: frames}, strip, prefix=f"{explanation.model}: ")


def _common_evidence(
    explanations: Sequence[VideoExplanation], maps: Sequence[ShownMap], pts_seconds: Seconds
) -> NDArray[np.float64]:
    """Return the sum of the models' evidence, each divided by its peak, (S,)."""
    total = np.zeros(pts_seconds.size)
    for explanation, shown in zip(explanations, maps, strict=True):
        seconds = np.maximum(pts_seconds, float(explanation.timeline.starts[0]))
        evidence = explanation.evidence(shown.method, seconds, target=shown.target)
        total += evidence / max(float(evidence.max()), 1e-12)
    return total


def _layers(explanations: Sequence[VideoExplanation]) -> str:
    named = (f"{each.model} at layer {each.explanations[0].layer}" for each in explanations)
    return f"Models: {', '.join(named)}."


def _class_line(explanation: VideoExplanation) -> ClassLine:
    line = target_line(explanation, 0)
    return ClassLine(f"{explanation.model}: {line.name}", line.probability, line.note)
