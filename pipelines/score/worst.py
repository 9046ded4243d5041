"""Overlay videos of the clips that were explained worst: what a table of means does not show."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from vidcam.cam.request import MapRequest
from vidcam.errors import VidcamError
from vidcam.models.model import Model
from vidcam.pipelines.audit import weights_sentence
from vidcam.pipelines.explain.explainer import explain_prepared
from vidcam.pipelines.explain.request import ExplainRequest
from vidcam.pipelines.forward import Prepared, default_batch
from vidcam.pipelines.score.clips import ClipSet
from vidcam.pipelines.score.options import CONTROLS
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.table import ScoreTable
from vidcam.system.progress import Progress


@dataclass(frozen=True, slots=True)
class Worst:
    """A clip with a large mean drop over the methods.

    Attributes:
        clip: its place in the set.
        name: what it is called.
        start_seconds: of its window.
        label: the explained class.
    """

    clip: int
    name: str
    start_seconds: float
    label: str


def worst_clips(table: ScoreTable, count: int) -> list[Worst]:
    """The clips with the largest mean drop over the methods, the worst first; of equal ones the earlier."""
    own = [method for method in table.methods if method not in CONTROLS]
    if not table.n or not count:
        return []
    mean = np.mean([table.values(method, "drop") for method in own], axis=0)
    chosen = np.argsort(-mean, kind="stable")[:count].tolist()
    facts, starts = table.facts, table.values(own[0], "start")
    return [
        Worst(facts.clip[place], facts.path[place], float(starts[place]), facts.explained[place]) for place in chosen
    ]


def render_worst(
    ready: Prepared,
    chosen: Sequence[Worst],
    clips: ClipSet,
    out: Path,
    *,
    request: ScoreRequest,
    progress: Progress,
) -> tuple[str, ...]:
    """Explain the windows that were scored, each into a folder of its own; what cannot be written is left out.

    Overlays of an earlier run are deleted first: folders of numbers; what else lies there is somebody's.

    Several windows of one video may be among them, and would have the same names.

    Args:
        ready: the model as it was prepared for scoring.
        chosen: the worst first.
        clips: the set.
        out: folder of the overlays.
        request: of the scoring run, with its baseline activations.
        progress: called after every clip.

    Returns:
        One line a clip: its name, and where its overlays are or why there are none.
    """
    for folder in out.glob("[0-9]*"):
        if folder.name.isdecimal() and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # not there, or not empty
        out.rmdir()
    lines = []
    for place, worst in enumerate(chosen, start=1):
        source, window = clips.entries[worst.clip].source, _window_request(request, ready.given, worst)
        try:
            made = explain_prepared(source, out / str(place), ready, window, progress=progress)
        except VidcamError as exc:
            lines.append(f"{worst.name}: not rendered ({exc})")
            continue
        sheet = next((path.name for path in made.paths if path.suffix == ".png"), "")
        link = f"{out.name}/{place}/{sheet}"
        lines.append(f"{worst.name}, {worst.label!r} from {worst.start_seconds:.2f} s: [{link}]({link})")
        progress("rendering the worst clips", place, len(chosen))
    return tuple(lines)


def _window_request(request: ScoreRequest, model: Model, worst: Worst) -> ExplainRequest:
    """The maps that were scored, for one window and class."""
    maps = {field.name: getattr(request, field.name) for field in fields(MapRequest)}
    return ExplainRequest(
        **maps,
        targets=(model.label_index(worst.label),),
        fill=request.fill,
        batch_size=default_batch(model),
        precision=request.precision,
        outputs=("overlay", "sheet"),
        at=worst.start_seconds,
        overwrite=True,
        notes=tuple(filter(None, [weights_sentence(model.weights)])),
    )
