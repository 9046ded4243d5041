"""Draw clips of a scored set: those that a condition on scores.csv chooses, or those with the largest drop."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from vidcam.arguments import require_range
from vidcam.errors import InputError, OutputError
from vidcam.foreign import first_line
from vidcam.models.registry import load_model
from vidcam.pipelines.run_file import PATH_KEYS, WEIGHTS_NAMES
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.filters import parse_filter
from vidcam.pipelines.score.options import CONTROLS, ScoreOptions
from vidcam.pipelines.score.request import resolve
from vidcam.pipelines.score.scored_set import Clip, ScoredSet, former_set, read_scored_set
from vidcam.pipelines.score.settings import set_digest
from vidcam.pipelines.score.worst import WorstClip, render_worst
from vidcam.system.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class DrawnClips:
    """What was drawn.

    Attributes:
        folder: it has one numbered folder for each clip.
        lines: one line of Markdown for each clip: its name with a link to its contact sheet, or why there is none.
    """

    folder: Path
    lines: tuple[str, ...]


def chosen_clips(scored: ScoredSet, condition: str | None, worst: int | None) -> list[WorstClip]:
    """Choose clips of a scored set; a clip is chosen if the condition holds for one of its rows.

    Args:
        scored: the set.
        condition: see `filters`; None: every scored clip.
        worst: number of clips with the largest mean drop over the methods, the largest first; None: all, in the set's
            order.

    Raises:
        InputError: the condition is none, or no clip fulfils it.
    """
    holds = parse_filter(condition, scored.columns) if condition is not None else lambda _: True
    clips = [clip for clip in scored.scored if any(map(holds, scored.rows[clip]))]
    if not clips:
        raise InputError(f"--from-scores {condition!r}: none of the {len(scored.scored)} scored clips fulfils it")
    if worst is not None:
        methods = [name for name in scored.summary.methods if name not in CONTROLS]
        drops = np.mean([scored.values(clips, method, "drop") for method in methods], axis=0)
        clips = [clips[index] for index in np.argsort(-drops, kind="stable")[:worst].tolist()]
    return [_shown(scored, clip) for clip in clips]


def _shown(scored: ScoredSet, clip: Clip) -> WorstClip:
    row = scored.rows[clip][0]
    return WorstClip(int(row["clip"]), row["path"], float(row["start"]), row["class"], int(row["windows"]))


def draw_clips(
    folder: Path,
    out: Path,
    *,
    condition: str | None = None,
    worst: int | None = None,
    clips: Path | None = None,
    methods: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress = silent,
) -> DrawnClips:
    """Explain clips of a scored set again and draw them, each into its own numbered folder.

    Args:
        folder: results of `vidcam score`.
        out: folder for the videos, sheets and pages.
        condition: which clips, see `filters`; None: all.
        worst: at most so many, those with the largest mean drop.
        clips: the set; None: where it was when it was scored.
        methods: maps to draw; none: those of the run.
        overwrite: draw into a folder that is not empty; its numbered folders are deleted.
        progress: called as work goes on.

    Raises:
        InputError: the folder, the condition or the set cannot be used.
        OutputError: `out` is not empty.
    """
    require_range("worst", worst, 1)
    scored = read_scored_set(folder)
    chosen = chosen_clips(scored, condition, worst)
    settings = _run_settings(folder)
    clip_set = read_clips(clips if clips is not None else former_set(folder), out=out, addresses=True)
    if set_digest(clip_set) != scored.summary.settings.clips:
        raise InputError(f"{folder} has scores of another set; pass the set that was scored with --clips")
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not overwrite:
        raise OutputError(f"{out} is not empty; choose another folder (-o), or pass --overwrite")
    names = {field.name for field in fields(ScoreOptions)}
    options = ScoreOptions(**{name: value for name, value in settings.items() if name in names})
    options = replace(options, methods=tuple(methods) or options.methods, maps=(), overwrite=True)
    files = {name: settings[name] for name in (*PATH_KEYS, "device") if name in settings}
    model = load_model(settings["model"], progress=progress, **files)
    request, prepared = resolve(model, options)
    return DrawnClips(out, render_worst(prepared, chosen, clip_set, out, request=request, progress=progress))


def _run_settings(folder: Path) -> dict[str, Any]:
    """Return what run.toml says, with paths as seen from here."""
    path = folder / "run.toml"
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise InputError(f"{path} is missing; a run with a named model writes it: vidcam score -o {folder}") from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise InputError(f"{path} cannot be read ({first_line(exc)})") from exc
    if not isinstance(settings.get("model"), str):
        raise InputError(f"{path} names no model")
    for name in PATH_KEYS:
        if settings.get(name, "pretrained") not in WEIGHTS_NAMES:
            settings[name] = folder / str(settings[name])
    return settings
