"""`vidcam.report`: from saved explanations to one page, or to a file of another program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path

import numpy as np

from vidcam import __version__
from vidcam.errors import InputError, MediaError
from vidcam.media import Seconds
from vidcam.pipelines.export.writer import EXPORTED, write_export
from vidcam.pipelines.render.saved import Saved, open_saved, opened_source
from vidcam.pipelines.render.videos import drawn_seconds
from vidcam.pipelines.report.clip import Shown, page_clip, span_of
from vidcam.pipelines.report.content import PageClip, PageData
from vidcam.pipelines.report.facts import Facts, settings_beside
from vidcam.pipelines.report.packing import PackedBlock
from vidcam.pipelines.report.page import fill_page, palettes
from vidcam.pipelines.report.videos import MOST_EMBEDDED, Media, is_playable, video_note
from vidcam.results.video import VideoExplanation
from vidcam.system.atomic import disk_errors, require_writable
from vidcam.system.exchange import claimed_path
from vidcam.system.json_files import read_json_if_valid
from vidcam.system.progress import Progress, progress_or_default, silent
from vidcam.video.source import Source

PAGES = (".html", ".htm")
"""Endings of a page."""

FRAME_HEIGHT = 900
"""Height of a page in a notebook, in CSS pixels."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The result of `report`.

    Attributes:
        path: the page, or the exported file.
        notes: what was left out, and why.
    """

    path: Path
    notes: tuple[str, ...] = field(compare=False)

    def _repr_html_(self) -> str | None:
        """Show the page in a notebook; None for a file of another program."""
        return framed(self.path.read_text("utf-8")) if self.path.suffix.lower() in PAGES else None


def framed(html: str) -> str:
    """Put a page into a frame of its own, which reaches nothing around it."""
    return (
        f'<iframe srcdoc="{escape(html)}" sandbox="allow-scripts allow-downloads" '
        f'style="width:100%;height:{FRAME_HEIGHT}px;border:0" title="vidcam"></iframe>'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The options of `report` and `vidcam report`, with their defaults; `report` describes them.

    Raises:
        InputError: a number out of its range.
    """

    source: Source | None = None
    embed: float = MOST_EMBEDDED / 1e6
    proxy: bool = False
    title: str = ""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.embed <= 500.0:
            raise InputError(f"--embed is {self.embed:g}; it must be from 0 to 500 MB")

    @property
    def most_bytes(self) -> int:
        """Largest video in bytes that is put into the page."""
        return int(self.embed * 1e6)


def report(
    results: Saved | Sequence[Saved],
    out: str | Path,
    *,
    source: Source | None = None,
    embed: float = MOST_EMBEDDED / 1e6,
    proxy: bool = False,
    title: str = "",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Reported:
    """Write one HTML page in which one plays a video and looks at its maps, or a file for FiftyOne or rerun.

    The page needs no network and no server. It has the cells of the maps, and draws them over the video as the overlay
    does.

    Args:
        results: one or several `.npz` files that `explain` saved, or `VideoExplanation` objects. Several are shown side
            by side, in step. Results of the same video, model and windows become targets of one.
        out: the page, `.html`. An ending of `.json` writes a dataset that FiftyOne reads by `Dataset.from_json`, `.rrd`
            a recording of rerun.
        source: the video, if it was moved since; for one result.
        embed: a video of at most so many megabytes is put into the page if browsers play it. A larger one is linked.
        proxy: make an H.264 copy of a video that browsers do not play.
        title: title of the page, name of the dataset or recording. Empty: from the classes and the video.
        overwrite: replace an existing page.
        progress: called as work goes on. None: a bar in notebooks.

    Raises:
        InputError: no result, or a name or an option that cannot be used.
        MediaError: a file is not a saved explanation of a video.
        OutputError: the page exists, or cannot be written.
    """
    options = ReportOptions(source=source, embed=embed, proxy=proxy, title=title, overwrite=overwrite)
    several = [results] if isinstance(results, str | Path | VideoExplanation) else list(results)
    return write_report(several, Path(out), options, progress=progress_or_default(progress))


def write_report(
    results: Sequence[Saved], out: Path, options: ReportOptions, *, progress: Progress = silent
) -> Reported:
    """Write a page; arguments and errors as in `report`."""
    if not results:
        raise InputError("there is no result to show; pass the .npz that vidcam explain wrote")
    if options.source is not None and len(results) > 1:
        raise InputError(f"--source takes one result, not {len(results)}")
    ending = out.suffix.lower()
    if ending not in (*PAGES, *EXPORTED):
        raise InputError(f"-o {out.name!r} must end in .html, .json (FiftyOne) or .rrd (rerun)")
    require_writable(out, overwrite=options.overwrite)
    if ending in EXPORTED:
        if options.proxy:
            raise InputError(f"--proxy makes a copy for a page; {out.name!r} is none")
        name = options.title or out.stem
        source, overwrite = options.source, options.overwrite
        notes = write_export(results, out, source=source, name=name, overwrite=overwrite, progress=progress)
        return Reported(out, notes)
    media = Media(out, options.most_bytes, options.overwrite)
    with claimed_path(out, overwrite=options.overwrite) as hidden:
        shown = [shown_of(result, options, media, progress=progress) for result in results]
        with disk_errors(out):
            hidden.write_text(page_of(shown, media, title=options.title), "utf-8")
    return Reported(out, tuple(dict.fromkeys(each.note for each in shown if each.note)))


def page_of(shown: Sequence[Shown], media: Media, *, title: str = "") -> str:
    """Return the page of explanations, as text."""
    block = PackedBlock()
    clips = merged([page_clip(each, block) for each in shown])
    names = dict.fromkeys(f"{clip.targets[0].label} – {clip.name}" for clip in clips)
    data = PageData(title or "; ".join(names), __version__, tuple(clips), palettes())
    return fill_page("page", data.title, data, block, media.embedded)


def merged(clips: Sequence[PageClip]) -> list[PageClip]:
    """Join the clips of one video, model and set of windows: the targets of all, each once."""
    joined: dict[str, PageClip] = {}
    for clip in clips:
        former = joined.get(clip.key)
        if former is None:
            joined[clip.key] = clip
            continue
        there = {(target.label, target.contrast) for target in former.targets}
        others = tuple(target for target in clip.targets if (target.label, target.contrast) not in there)
        joined[clip.key] = replace(former, targets=(*former.targets, *others))
    return list(joined.values())


def shown_of(result: Saved, options: ReportOptions, media: Media, *, progress: Progress = silent) -> Shown:
    """Load a result, and find its video and what lies beside it.

    Raises:
        MediaError: the file is not a saved explanation of a video.
    """
    path = None if isinstance(result, VideoExplanation) else Path(result)
    facts, settings = None, ""
    if path is not None:
        facts, settings = read_json_if_valid(path.with_suffix(".json"), Facts), settings_beside(path)
    try:
        explanation, source = open_saved(result, options.source)
    except MediaError:
        explanation = open_saved(result, "unknown")[0]  # a file that is none of ours is refused again
        if options.source is not None:
            raise
        stamps: Seconds = np.unique(explanation.timeline.frame_seconds)
        videos = () if path is None else media.overlays(facts, path.parent, starts=span_of(explanation)[0])
        return Shown(explanation, stamps, videos, video_note(None, videos), facts=facts, settings=settings)
    start, end = span_of(explanation)
    with opened_source(explanation, source, progress=progress) as reader:
        stamps, can_play = drawn_seconds(reader.info, start, end), is_playable(reader.info)
        is_copied = options.proxy and not can_play
        video = media.copy(reader, stamps, end, progress=progress) if is_copied else media.source(reader.info)
        videos = () if video is None else (video,)
        if path is not None:
            videos += media.overlays(facts, path.parent, starts=float(stamps[0]))
        return Shown(explanation, stamps, videos, video_note(reader.info, videos), can_play, facts, settings)
