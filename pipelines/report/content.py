"""What a page holds besides its numbers, as it is written into its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vidcam.geometry import Geometry
from vidcam.pipelines.report.packing import Section
from vidcam.results.caption import CaptionTarget
from vidcam.results.verdict import Verdict
from vidcam.results.video import Scale


@dataclass(frozen=True, slots=True)
class PageMap:
    """The maps of one method for one target.

    Attributes:
        method: its name.
        cells: raw maps, (N, t, h, w).
        bounds: scale → (low, high), of which 0 and 1 of the heat are made.
        factors: scale → (N,) factor of each window's map; a scale without one is missing.
        verdict: how far they can be trusted.
        signed: raw maps with their negative part, (N, t, h, w); None if the method has none.
        is_drawn: the heat is drawn by the method's own overlay video; `cells` are those of the map that it multiplies.
    """

    method: str
    cells: Section
    bounds: Mapping[Scale, tuple[float, float]]
    factors: Mapping[Scale, Section]
    verdict: Verdict
    signed: Section | None = None
    is_drawn: bool = False


@dataclass(frozen=True, slots=True)
class PageTarget:
    """One explained class.

    Attributes:
        label: its label.
        contrast: label of the class that it is held against; None without one.
        mean: mean probability over the windows; None if the model returns values.
        probability: (N,) in each window; None if the model returns values.
        maps: one for each method.
    """

    label: str
    contrast: str | None
    mean: float | None
    probability: Section | None
    maps: tuple[PageMap, ...]


@dataclass(frozen=True, slots=True)
class PageVideo:
    """One of the videos that a page may play; it takes the first that the browser can play.

    Attributes:
        kind: `source`, `proxy` (a copy of it), or `overlay` (heat of one map is drawn in already).
        href: its address relative to the page; empty if the bytes are in the page.
        embedded: `id` of the element with its bytes; empty if it is linked.
        type: MIME type.
        starts: second of the source that its first frame shows.
        map: label of the target, and method, of an overlay.
    """

    kind: str
    href: str
    embedded: str
    type: str
    starts: float = 0.0
    map: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class PageClip:
    """One explained video, by one model.

    Attributes:
        name: file name of the video.
        model: name of the model.
        key: equal for results of one video, model and set of windows.
        geometry: source frame → model input.
        view: source pixels that the model saw: first row, last row + 1, first column, last column + 1.
        span_seconds: the explained part.
        stamps: (F,) time stamps of the displayed frames of that part.
        starts: (N,) of the windows.
        ends: (N,) of the windows.
        frames: (N, T) time stamps of the frames in the windows.
        scale: the scale that was explained with.
        targets: the explained classes, or captions and their words.
        captions: the captions among them.
        classes: labels of the windows' own classes.
        top: (N,) index into `classes`.
        top_probability: (N,); None if the model returns values.
        predicted: top classes and their mean probability.
        sentence: what the verdict says about the video; may be empty.
        remarks: notes and warnings.
        facts: other sentences of the audit.
        videos: what can be played.
        note: what the page should say about the video; may be empty.
        can_open: whether the page offers to open the video, if none of `videos` plays.
        provenance: (name, value) rows.
        settings: the settings that repeat the run, as TOML; may be empty.
    """

    name: str
    model: str
    key: str
    geometry: Geometry
    view: tuple[int, int, int, int]
    span_seconds: tuple[float, float]
    stamps: Section
    starts: Section
    ends: Section
    frames: Section
    scale: Scale
    targets: tuple[PageTarget, ...]
    captions: tuple[CaptionTarget, ...]
    classes: tuple[str, ...]
    top: Section
    top_probability: Section | None
    predicted: tuple[tuple[str, float | None], ...]
    sentence: str
    remarks: tuple[str, ...]
    facts: tuple[str, ...]
    videos: tuple[PageVideo, ...]
    note: str
    can_open: bool
    provenance: tuple[tuple[str, str], ...]
    settings: str


@dataclass(frozen=True, slots=True)
class PageData:
    """The whole page: its clips, its palettes (name → base64 of 256 × 3 bytes), the version that wrote it."""

    title: str
    version: str
    clips: tuple[PageClip, ...]
    palettes: Mapping[str, str]
