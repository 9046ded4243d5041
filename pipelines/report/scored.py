"""The page of a scored set: what can be concluded in words, every clip with its scores, the worst first."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from vidcam import __version__
from vidcam.pipelines.report.packing import PackedBlock, Section
from vidcam.pipelines.report.page import fill_page
from vidcam.pipelines.report.video_folders import VideoFolders
from vidcam.pipelines.score.columns import FAILED, SCORED, Row
from vidcam.pipelines.score.conclusions import (
    accuracy_text,
    conclusion,
    headline,
    is_open_for_lack_of_clips,
    notes,
    ranking_rows,
    too_few,
    verdict,
)
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.report import equal_area_rows, method_rows
from vidcam.pipelines.score.summary import Pair, Summary

SHOWN = ("drop", "retention_0.5", "area")
"""Columns of a method in the table of clips."""

READ = (
    *("clip", "path", "label", "predicted", "class", "status", "reason", "warnings", "start", "probability"),
    *("correct", "method", *SHOWN),
)
"""Columns of the rows that the page needs."""


@dataclass(frozen=True, slots=True)
class SetClips:
    """All clips of a set, one item each; texts are indices into `texts`.

    Attributes:
        texts: every text that occurs.
        path: path as in the manifest.
        label: label of the manifest.
        top: label of the predicted class.
        folder: address of the folder of the video, relative to the page; empty for a video from the network.
        start: start of the scored window in seconds.
        status: `scored`, `failed` or `left out`.
        reason: why it failed, and warnings.
        probability: of the explained class.
        correct: 1, 0, or NaN if it is not known.
        scores: method → column → values.
    """

    texts: tuple[str, ...]
    path: Section
    label: Section
    top: Section
    folder: Section
    start: Section
    status: Section
    reason: Section
    probability: Section
    correct: Section
    scores: Mapping[str, Mapping[str, Section]]


@dataclass(frozen=True, slots=True)
class SetCurve:
    """What a method keeps when the lowest share of its voxels is hidden: (share, mean, low, high) in percent."""

    method: str
    points: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class SetData:
    """What the page of a set shows, besides the numbers of its clips.

    Attributes:
        title: of the page.
        version: of vidcam.
        lead: the ranking, in words.
        known: sentences that can be concluded.
        unknown: sentences about what cannot.
        facts: (name, value) rows.
        ranking: the methods and controls, the best first, and what follows.
        methods: the table of methods.
        pairs: the table of pairs at equal area.
        curves: one for each method.
        names: methods and controls.
        controls: names of the controls.
        clips: all clips.
        pages: index of a clip → its page.
        model: the model, as `vidcam explain --model` takes it.
    """

    title: str
    version: str
    lead: str
    known: tuple[str, ...]
    unknown: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    ranking: Sequence[Mapping[str, str]]
    methods: Sequence[Mapping[str, str]]
    pairs: Sequence[Mapping[str, str]]
    curves: tuple[SetCurve, ...]
    names: tuple[str, ...]
    controls: tuple[str, ...]
    clips: SetClips
    pages: Mapping[int, str]
    model: str


def scored_page(
    summary: Summary, rows: Iterable[Row], pages: Mapping[int, str], *, folders: VideoFolders | None = None
) -> str:
    """Return the page of a scored set.

    Args:
        summary: the content of summary.json.
        rows: all rows of the table, those of a clip after each other; at least the columns READ.
        pages: index of a clip → address of its page.
        folders: where the videos lie.
    """
    block, names = PackedBlock(), tuple(summary.methods)
    pairs = sorted(summary.pairs, key=lambda pair: (pair.a in CONTROLS) + (pair.b in CONTROLS))  # methods first
    data = SetData(
        title=f"{summary.n} clips, {summary.settings.model}",
        version=__version__,
        lead=" ".join(filter(None, (headline(summary), accuracy_text(summary).replace("`", "")))),
        known=_known(summary, pairs),
        unknown=(*(verdict(pair) for pair in pairs if conclusion(pair) is None), *_limits(summary)),
        facts=_facts(summary),
        ranking=ranking_rows(summary),
        methods=method_rows(summary),
        pairs=equal_area_rows(summary),
        curves=tuple(_curves(summary)),
        names=names,
        controls=CONTROLS,
        clips=_clips(rows, names, folders or VideoFolders(), block),
        pages=pages,
        model=summary.settings.model or "",
    )
    return fill_page("set", data.title, data, block, {})


def _known(summary: Summary, pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Return what is shown; a set that is too small to show anything says so."""
    shown = tuple(filter(None, map(conclusion, pairs)))
    is_too_small = any(pair.equal_area is not None for pair in pairs) and all(map(is_open_for_lack_of_clips, pairs))
    return (too_few(summary),) if is_too_small and not shown else shown


def _limits(summary: Summary) -> Iterator[str]:
    yield (
        f"All of this holds for {summary.settings.where} and the fill {summary.settings.fill}; another fill can change "
        "the order. Drop and increase depend on how much a map shows: they do not say which method is better."
    )
    if summary.failed:
        yield f"Clips that failed are in no mean: {summary.failed} of {summary.clips}."


def _facts(summary: Summary) -> tuple[tuple[str, str], ...]:
    settings = summary.settings
    return (
        ("Clips", f"{summary.n} scored of {summary.clips}, {summary.failed} failed, {summary.left_out} left out"),
        ("Accuracy", accuracy_text(summary).replace("`", "") or "unknown"),
        ("Model", f"{settings.where}; weights: {settings.weights}"),
        ("Fill", settings.fill),
        ("Ranking", " ".join(notes(summary)).replace("`", "")),
        ("Intervals", summary.interval),
        ("Test", summary.test),
        ("Command", summary.command or "from Python"),
    )


def _curves(summary: Summary) -> Iterator[SetCurve]:
    for name, figures in summary.methods.items():
        points = [
            (float(theta), mean.value, mean.low, mean.high)
            for theta, mean in figures.retention.items()
            if mean.value is not None and mean.low is not None and mean.high is not None
        ]
        if len(points) > 1:
            yield SetCurve(name, tuple(sorted(points)))


def _clips(rows: Iterable[Row], names: Sequence[str], folders: VideoFolders, block: PackedBlock) -> SetClips:
    """Turn the rows into columns of clips; memory holds a few numbers for each clip and method."""
    texts: dict[str, int] = {"": 0}
    columns = {name: array("q") for name in ("path", "label", "top", "folder", "status", "reason")}
    numbers = {name: array("d") for name in ("start", "probability", "correct")}
    scores = {name: {column: array("d") for column in SHOWN} for name in names}
    for _, group in groupby(rows, key=lambda row: row["clip"]):
        of_clip = list(group)
        first, by_method = of_clip[0], {row["method"]: row for row in of_clip}
        entries = {
            "path": first["path"],
            "label": first["label"],
            "top": (first.get("predicted") or first["class"]) if first["status"] == SCORED else None,
            "folder": folders.link(first["clip"]),
            "status": first["status"],
            "reason": first["reason"] if first["status"] == FAILED else first.get("warnings"),
        }
        for column, text in entries.items():
            columns[column].append(texts.setdefault("" if text is None else str(text), len(texts)))
        for column, values in numbers.items():
            values.append(_number(first.get(column)))
        for name, of_method in scores.items():
            row = by_method.get(name, {})
            for column, values in of_method.items():
                values.append(_number(row.get(column)))
    packed = {name: block.counts(np.array(values, np.int64)) for name, values in columns.items()}
    packed |= {name: block.floats(np.array(values)) for name, values in numbers.items()}
    return SetClips(
        texts=tuple(texts),
        **packed,
        scores={
            name: {column: block.floats(np.array(values)) for column, values in of_method.items()}
            for name, of_method in scores.items()
        },
    )


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
