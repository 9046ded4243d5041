"""From an explanation to the part of a page that shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from vidcam.maps import Floats, pool_volume
from vidcam.media import Seconds
from vidcam.pipelines.audit import video_facts, video_remarks
from vidcam.pipelines.report.content import PageClip, PageMap, PageTarget, PageVideo
from vidcam.pipelines.report.facts import Facts
from vidcam.pipelines.report.packing import PackedBlock, Section
from vidcam.pipelines.report.scales import both_bounds, measured_bounds
from vidcam.results.explanation import GUIDED
from vidcam.results.video import SCALES, Scale, VideoExplanation, window_factors

MOST_CELLS = (16, 28, 28)
"""Largest grid of a window in a page; a finer map is averaged on it, and is drawn a little smoother."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows of one explanation.

    Attributes:
        explanation: the maps.
        stamps: (F,) time stamps of the displayed frames of the explained part.
        videos: what can be played.
        note: about the video; may be empty.
        can_open: whether a browser may play the video if it is opened by hand.
        facts: what the JSON beside the maps says; None without one.
        settings: TOML that repeats the run; may be empty.
    """

    explanation: VideoExplanation
    stamps: Seconds
    videos: tuple[PageVideo, ...]
    note: str = ""
    can_open: bool = True
    facts: Facts | None = None
    settings: str = ""


def page_clip(shown: Shown, block: PackedBlock) -> PageClip:
    """Describe one explanation, with its numbers in the block."""
    video, line = shown.explanation, shown.explanation.timeline
    first = video.explanations[0]
    rows, columns = video.geometry.view_slices()
    ranking = first.ranking()
    best = ranking.argmax(axis=1)
    classes, top = np.unique(best, return_inverse=True)
    has_probability = first.activation != "none"
    is_shrunk = [name for name, volume in first.volumes.items() if _pooled_grid(volume) is not None]
    return PageClip(
        name=video.source,
        model=video.model,
        key=_key(video),
        geometry=video.geometry,
        view=(rows.start, rows.stop, columns.start, columns.stop),
        span_seconds=span_of(video),
        stamps=block.times(shown.stamps),
        starts=block.times(line.starts),
        ends=block.times(line.ends),
        frames=block.times(line.frame_seconds),
        scale=video.scale,
        targets=_targets(video, block, () if shown.facts is None else shown.facts.overlays()),
        captions=video.captions,
        classes=tuple(video.class_label(int(index)) for index in classes),
        top=block.counts(top),
        top_probability=block.floats(ranking[np.arange(len(best)), best]) if has_probability else None,
        predicted=_predicted(shown),
        sentence="" if video.video_verdict is None else video.video_verdict.sentence,
        remarks=(*_other_remarks(video), *(f"The page has {n} on a coarser grid than its file." for n in is_shrunk)),
        facts=video_facts(video),
        videos=shown.videos,
        note=shown.note,
        can_open=shown.can_open,
        provenance=_provenance(shown),
        settings=shown.settings,
    )


def _targets(
    video: VideoExplanation, block: PackedBlock, overlays: Sequence[tuple[str, str, str]]
) -> tuple[PageTarget, ...]:
    main, shared = video.main_targets, _scales(video, block)
    targets = []
    for number, (label, explanation) in enumerate(zip(video.labels, video.explanations, strict=True)):
        bounds, factors = shared if number in main else _scales(_alone(video, number), block)
        probability, contrast = explanation.probability, explanation.contrast
        is_value = bool(np.isnan(probability).all())
        maps = {
            name: _page_map(video, number, name, bounds, factors=factors, block=block) for name in explanation.methods
        }
        for of_label, name, _ in overlays:  # a guided method has no cells: its overlay is all there is
            if of_label == label and GUIDED.get(name) in maps:
                verdict = video.verdict(name, target=number)
                maps[name] = replace(maps[GUIDED[name]], method=name, verdict=verdict, signed=None, is_drawn=True)
        targets.append(
            PageTarget(
                label=label,
                contrast=None if contrast is None else video.class_label(int(contrast[0])),
                mean=None if is_value else float(probability.mean()),
                probability=None if is_value else block.floats(probability),
                maps=tuple(maps.values()),
            )
        )
    return tuple(targets)


def _alone(video: VideoExplanation, number: int) -> VideoExplanation:
    """Return one target on a scale of its own: on that of the captions, words of which the model is sure are dark."""
    explanation = video.explanations[number]
    one = replace(video, labels=("",), explanations=(explanation,), verdicts=(), captions=())
    return replace(one, bounds=measured_bounds(one, video.scale))


def _scales(
    video: VideoExplanation, block: PackedBlock
) -> tuple[dict[str, dict[Scale, tuple[float, float]]], dict[str, dict[Scale, Section]]]:
    """Return method → bounds for both scales, and method → factors of the windows, which only `window` has."""
    names = dict.fromkeys(name for explanation in video.explanations for name in explanation.methods)
    both = both_bounds(video)
    bounds = {name: {scale: both[scale][name] for scale in SCALES} for name in names}
    return bounds, {name: {"window": block.floats(window_factors(video.explanations, name))} for name in names}


def _page_map(
    video: VideoExplanation,
    number: int,
    method: str,
    bounds: Mapping[str, Mapping[Scale, tuple[float, float]]],
    *,
    factors: Mapping[str, Mapping[Scale, Section]],
    block: PackedBlock,
) -> PageMap:
    explanation = video.explanations[number]
    signed = explanation.signed.get(method)
    if signed is not None:
        signed = signed * explanation.factors.get(method, np.ones(1, np.float32)).reshape(-1, 1, 1, 1)
    return PageMap(
        method,
        block.cells(_pooled(explanation.volume(method))),
        bounds[method],
        factors[method],
        video.verdict(method, target=number),
        signed=None if signed is None else block.cells(_pooled(signed)),
    )


def _pooled(volume: Floats) -> Floats:
    """Average a map that is too fine for a page on the page's grid."""
    grid = _pooled_grid(volume)
    return volume if grid is None else pool_volume(volume, grid) * float(np.prod(grid) / np.prod(volume.shape[1:]))


def _pooled_grid(volume: Floats) -> tuple[int, ...] | None:
    """Return the grid on which a page has a map that is too fine for it; None for all others."""
    grid = tuple(min(length, most) for length, most in zip(volume.shape[1:], MOST_CELLS, strict=True))
    return None if grid == volume.shape[1:] else grid


def _key(video: VideoExplanation) -> str:
    """Equal for explanations whose maps lie on the same windows of the same video, by the same model."""
    line, origin = video.timeline, video.origin
    stamps = b"".join(np.round(a, 6).tobytes() for a in (line.starts, line.ends, line.frame_seconds))
    content = video.source if origin is None else origin.content_hash
    text = f"{content} {video.model} {video.geometry} {video.scale} {sha256(stamps).hexdigest()}"
    return sha256(text.encode()).hexdigest()[:16]


def span_of(video: VideoExplanation) -> tuple[float, float]:
    """Return start and end of the explained part in seconds; that of the windows if the origin is unknown."""
    if video.origin is not None:
        return video.origin.span_seconds
    return float(video.timeline.starts[0]), float(video.timeline.ends.max())


def _predicted(shown: Shown) -> tuple[tuple[str, float | None], ...]:
    if shown.facts is not None:
        return tuple((entry.label, entry.probability) for entry in shown.facts.top5)
    video = shown.explanation
    ranking, is_value = video.explanations[0].ranking().mean(axis=0), video.explanations[0].activation == "none"
    best = [int(k) for k in np.argsort(-ranking, kind="stable")[:5] if int(k) in video.class_labels]
    return tuple((video.class_label(k), None if is_value else float(ranking[k])) for k in best)


def _other_remarks(video: VideoExplanation) -> Sequence[str]:
    whole = video.video_verdict
    return [sentence for sentence in video_remarks(video) if whole is None or sentence != whole.sentence]


def _provenance(shown: Shown) -> tuple[tuple[str, str], ...]:
    video, facts = shown.explanation, shown.facts
    first, size = video.explanations[0], video.geometry.source_size
    rows = [("Video", f"{video.source}, {size[1]} × {size[0]}, {len(shown.stamps)} frames explained")]
    if facts is not None:
        source = facts.source
        rows[0] = ("Video", f"{rows[0][1]} of {source.frames}, {source.fps:.5g} frames a second, {source.codec}")
        rows.append(("SHA-256", source.sha256))
    rows += [("Model", video.model), ("Layer", first.layer)]
    if facts is not None:
        rows += [("Weights", facts.model.weights), ("Device", f"{facts.runtime.device}, {facts.runtime.decoder}")]
        rows.append(("Score", f"{facts.score}; view {facts.view}; scale {facts.scale}"))
    windows = f"{len(video.timeline)} of {video.timeline.frame_seconds.shape[1]} frames"
    grids = {name: " × ".join(map(str, volume.shape[1:])) for name, volume in first.volumes.items()}
    rows += [("Windows", windows), ("Cells a window", ", ".join(f"{name} {grid}" for name, grid in grids.items()))]
    if facts is not None:
        rows.append(("Versions", ", ".join(f"{name} {version}" for name, version in facts.versions.items())))
    return tuple((name, value) for name, value in rows if value)
