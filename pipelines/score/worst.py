"""Overlay videos of the clips with the largest mean drop."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import quote

import numpy as np

from vidcam.cam.request import MapRequest
from vidcam.errors import VidcamError
from vidcam.pipelines.audit import weights_sentence
from vidcam.pipelines.explain.explainer import explain_prepared
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.forward import Prepared
from vidcam.pipelines.score.clips import ClipSet
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.table import ScoreTable
from vidcam.system.filenames import markdown_text
from vidcam.system.progress import Progress


@dataclass(frozen=True, slots=True)
class WorstClip:
    """A scored clip that is drawn.

    Attributes:
        clip: index in the set.
        name: path as in the manifest.
        start_seconds: start of the first window.
        label: label of the explained class.
        windows: number of scored windows; of a clip with several, the whole video is drawn.
    """

    clip: int
    name: str
    start_seconds: float
    label: str
    windows: int


def worst_clips(table: ScoreTable, count: int) -> list[WorstClip]:
    """Return the clips with the largest mean drop over the methods, the largest first; ties in the set's order."""
    methods = [method for method in table.methods if method not in CONTROLS]
    if not table.n or not count:
        return []
    mean = np.mean([table.values(method, "drop") for method in methods], axis=0)
    worst = np.argsort(-mean, kind="stable")[:count].tolist()
    clips, starts = table.clips, table.values(methods[0], "start")
    return [
        WorstClip(
            clips.clip[index],
            clips.path[index],
            float(starts[index]),
            clips.class_label[index],
            clips.windows[index],
        )
        for index in worst
    ]


def pages_of(worst: Sequence[WorstClip], folder: Path) -> dict[int, str]:
    """Return clip → address of its page, relative to the folder of the results, where there is one."""
    pages = {}
    for number, clip in enumerate(worst, start=1):
        for path in sorted((folder / "worst" / str(number)).glob("*.html")):
            pages[clip.clip] = f"worst/{number}/{quote(path.name)}"
    return pages


def render_worst(
    prepared: Prepared,
    worst: Sequence[WorstClip],
    clips: ClipSet,
    out: Path,
    *,
    request: ScoreRequest,
    progress: Progress,
) -> tuple[str, ...]:
    """Explain the scored windows of some clips, each into its own numbered folder.

    Numbered folders of an earlier run are deleted first; other files in `out` are kept. A clip that cannot be explained
    has no folder.

    Returns:
        One line per clip: its name with a link to its contact sheet, or the reason why there is none.
    """
    for folder in out.glob("[0-9]*"):
        if folder.name.isdecimal() and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # missing, or not empty
        out.rmdir()
    lines = []
    for number, clip in enumerate(worst, start=1):
        source, window = clips.entries[clip.clip].source, _window_request(request, prepared, clip)
        try:
            explained = explain_prepared(source, out / str(number), prepared, window, progress=progress)
        except VidcamError as exc:
            lines.append(f"{markdown_text(clip.name)}: not rendered ({markdown_text(str(exc))})")
            continue
        sheet = next((path.name for path in explained.paths if path.suffix == ".png"), "")
        link, what = f"{out.name}/{number}/{sheet}", markdown_text(f"{clip.name}, {clip.label!r}")
        lines.append(f"{what} from {clip.start_seconds:.2f} s: [{markdown_text(link)}]({quote(link)})")
        progress("rendering the worst clips", number, len(worst))
    return tuple(lines)


def _window_request(request: ScoreRequest, prepared: Prepared, clip: WorstClip) -> ExplainRequest:
    """Request the scored maps, for the window and the class of a clip."""
    model = prepared.original
    maps = {field.name: getattr(request, field.name) for field in fields(MapRequest)}
    return ExplainRequest(
        **maps,
        targets=(model.label_index(clip.label),),
        fill="black" if request.fill == "infill" else request.fill,  # videos are drawn without the model
        batch_size=prepared.default_batch,
        precision=request.precision,
        outputs=("overlay", "sheet", "report"),
        at=clip.start_seconds if clip.windows == 1 else None,
        overwrite=True,
        notes=tuple(filter(None, [weights_sentence(model.weights)])),
    )
