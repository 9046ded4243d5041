"""The contact sheet of an explained film: what goes into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from vidcam.media import Seconds
from vidcam.pipelines.render.summary import moments, relative
from vidcam.pipelines.render.videos import Stills
from vidcam.render.colormap import DEFAULT_COLOURS, colour_table
from vidcam.render.sheet import Sheet, draw_sheet
from vidcam.render.strip import Strip
from vidcam.results.explanation import GUIDED
from vidcam.results.video import PER_WINDOW, Film
from vidcam.system.filenames import one_line

WINDOWS_OWN = "each window's top class"


def contact_sheet(
    film: Film,
    stills: Stills,
    document: Mapping[str, Any],
    pts_seconds: Seconds,
    *,
    colours: str = DEFAULT_COLOURS,
    span_seconds: tuple[float, float] | None = None,
) -> bytes:
    """The PNG of a film, or of a part of it.

    Args:
        film: its maps.
        stills: frames collected while drawing; their rows say which targets are shown.
        document: the film's JSON, for names, windows and audit.
        pts_seconds: (S,) the displayed frames.
        colours: name of the colour map in which the stills are drawn.
        span_seconds: the part that is shown, [start, end); None: all windows.
    """
    seconds = moments(pts_seconds)
    start, end = span_seconds or (float(film.timeline.starts[0]), float(film.timeline.ends.max()))
    windows = [
        (w["start_seconds"], w["end_seconds"], w["target_probability"])
        for w in document["windows"]
        if w["start_seconds"] < end and w["end_seconds"] > start
    ]
    strip = Strip(
        span_seconds=(start, end),
        seconds=seconds,
        evidence={
            row: relative(film.evidence(GUIDED.get(method, method), seconds, target=t))
            for row, (t, method) in stills.rows.items()
        },
        windows=windows,
    )
    targets, shown = document["targets"], dict.fromkeys(target for target, _ in stills.rows.values())
    foil = "" if targets[0]["foil"] is None else f" rather than {targets[0]['foil']}"
    sheet = Sheet(
        title=one_line(film.source),
        target=" and ".join(_name(film.labels[target]) for target in shown) + foil,
        probability=targets[0]["probability"] if len(targets) == 1 else None,
        model=film.model,
        layer=document["model"]["layer"],
        frame_seconds=np.array(stills.seconds),
        rows=stills.overlays,
        plain=stills.source,
        strip=strip,
        table=colour_table(colours),
        audit=document["audit"],
    )
    return draw_sheet(sheet)


def _name(label: str) -> str:
    return WINDOWS_OWN if label == PER_WINDOW else label
