"""`score`: from a set of clips to a table of faithfulness, resumable, with memory flat in the number of clips.

Clips are decoded ahead by threads and scored one after the other; their rows go into Parquet parts, and what is made
from all of them (the CSV, the summary, plots, a report) is made again from the parts whenever the set is complete.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from vidcam.cam.methods import canonical_methods
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.errors import VidcamError
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.pipelines.forward import default_batch, reshape_of, target_layers, torch_errors
from vidcam.pipelines.prepare import prepare
from vidcam.pipelines.score.clip import ClipScorer
from vidcam.pipelines.score.clips import ClipSet, read_clips
from vidcam.pipelines.score.columns import as_cell, score_columns
from vidcam.pipelines.score.content import require_unchanged
from vidcam.pipelines.score.options import CONTROLS, ScoreOptions
from vidcam.pipelines.score.plots import draw_plots
from vidcam.pipelines.score.report import report
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.rows import Row, failed_row
from vidcam.pipelines.score.samples import Failure, Sample, failure, load_sample
from vidcam.pipelines.score.sanity import sanity
from vidcam.pipelines.score.settings import MAKERS, maker_of, stated_batch_size
from vidcam.pipelines.score.store import PICTURES, Parts, open_parts
from vidcam.pipelines.score.summary import summarise
from vidcam.pipelines.score.table import ScoreTable, score_table
from vidcam.pipelines.score.worst import clear_worst, render_worst, worst_clips
from vidcam.spec import MeanCube
from vidcam.system.atomic import atomic_write
from vidcam.system.progress import Progress, silent
from vidcam.system.threads import map_ahead


@dataclass(frozen=True, slots=True, eq=False)
class ScoredClips:
    """What `score_clips` made.

    Attributes:
        summary: what stands in summary.json.
        table: every number of every clip.
        paths: the files, the summary last.
        forwards: masked clips that the model was shown in this run, and original ones.
    """

    summary: dict[str, Any]
    table: ScoreTable = field(repr=False)
    paths: tuple[Path, ...]
    forwards: tuple[int, int]

    @property
    def failed(self) -> int:
        """Clips that could not be scored."""
        return int(self.summary["failed"])


def score_clips(
    clips: Any,
    out: str | Path,
    *,
    model: str | Model = "i3d",
    device: str = "auto",
    weights: str | Path = "pretrained",
    labels: str | Path | None = None,
    mean_cube: str | Path | None = None,
    options: ScoreOptions | None = None,
    command: str = "",
    progress: Progress = silent,
) -> ScoredClips:
    """Score a set of clips; what an earlier run with the same settings has scored in that folder is not done again.

    Args:
        clips: a folder, a manifest (.csv, .jsonl, .parquet), or an iterable of paths and of mappings with `path`,
            `start`, `label`, `group`, `boxes`.
        out: folder; made if it is not there.
        model: name of a model, 'package.module:factory', or one that is loaded already.
        device: 'auto', 'cpu' or 'cuda:N'; of a model that is loaded by name.
        weights: likewise, as `load_model` takes them.
        labels: likewise.
        mean_cube: likewise.
        options: what is asked.
        command: how this was called, for the report.
        progress: called as work goes on.

    Raises:
        InputError: the set, a name or an option cannot be used, or the folder holds scores of other settings.
        RunError: writing failed; run again to go on.
    """
    folder, asked = Path(out), options or ScoreOptions()
    found = read_clips(clips, out=folder)
    if not isinstance(model, Model):
        model = load_model(model, device=device, weights=weights, labels=labels, mean_cube=mean_cube, progress=progress)
    return _Run(model, asked, found, folder, command=command, progress=progress).run()


class _Run:
    """One run over a set."""

    def __init__(
        self, model: Model, options: ScoreOptions, clips: ClipSet, out: Path, *, command: str, progress: Progress
    ) -> None:
        self._model, self._options, self._clips, self._out = model, options, clips, out
        self._command, self._progress = command, progress
        self._request = _request(model, options, None if options.overwrite else stated_batch_size(out))
        self._ready = prepare(model, self._request.layers, precision=options.precision)  # before anything is written
        self._request = replace(self._request, references=self._ready.neutral.activations)
        self._columns = score_columns(options.chosen_measures, options.thetas)
        self._scorer: ClipScorer | None = None

    def run(self) -> ScoredClips:
        """Score what is left, then answer from everything."""
        settings = self._settings()
        with open_parts(self._out, settings, self._columns, overwrite=self._options.overwrite) as parts:
            require_unchanged(parts, self._clips.entries)
            again = parts.failed() if self._options.retry_failed else {}
            works = bool(again) or parts.done < len(self._clips.entries)
            makers = parts.note_makers(maker_of(self._model) if works else None) or [maker_of(self._model)]
            if works:
                self._score(parts, again)
            return self._answer(parts, settings | {MAKERS: makers})

    def _settings(self) -> dict[str, Any]:
        """Everything that changes a number, under the names of the options."""
        options, request = self._options, self._request
        return {
            "schema": 1,
            "model": self._model.spec.name,
            "weights": self._model.weights,
            "labels": _labels_digest(self._model),
            "mean_cube": _cube_digest(self._model),
            "layer": list(request.layers),
            "fusion": request.fusion,
            "methods": list(request.methods),
            "measures": list(options.chosen_measures),
            "controls": options.controls,
            "fill": options.fill,
            "lambda": options.lam,
            "batch_size": request.batch_size,
            "forward": self._ready.forward.entry(),
            "seed": options.seed,
            "min_confidence": options.min_confidence,
            "correct_only": options.correct_only,
            "clips": f"{len(self._clips.entries)} (sha256 {self._clips.digest[:16]})",
        }

    def _score(self, parts: Parts, again: Mapping[Path, Sequence[int]]) -> None:
        """Try the clips of `again` once more, part by part, then go on behind the last part."""
        request = replace(self._request, batch_size=parts.last_batch_size or self._request.batch_size)
        model = self._ready.model
        scorer = self._scorer = ClipScorer(model, request, self._options, self._ready.neutral.sink)
        entries = self._clips.entries
        chosen = [entries[clip] for clips in again.values() for clip in clips] + list(entries[parts.done :])
        load = partial(load_sample, spec=self._model.spec)
        try:
            ahead = map_ahead(load, chosen, workers=self._options.workers)
            with Undo() as undo, undo, closing(ahead) as ready:
                preserve_model(model.module, undo)
                for path, clips in again.items():
                    parts.replace(path, {clip: self._rows(scorer, next(ready)) for clip in clips})
                    self._progress("scoring failed clips again", clips[-1] + 1, len(entries))
                for sample in ready:
                    parts.add(self._rows(scorer, sample))
                    self._progress("scoring clips", parts.done, len(entries))
        finally:  # also when interrupted: what is scored is kept
            parts.flush()

    def _rows(self, scorer: ClipScorer, sample: Sample | Failure) -> list[Row]:
        if isinstance(sample, Failure):
            return [failed_row(sample)]
        try:
            with torch_errors(self._model, scorer.forwards.batch_size):
                return scorer.score(sample)
        except VidcamError as exc:
            return [failed_row(failure(sample.entry, exc))]

    def _answer(self, parts: Parts, settings: Mapping[str, Any]) -> ScoredClips:
        self._progress("writing the table", 0, None)
        methods = (*self._request.methods, *(CONTROLS if self._options.controls else ()))
        table = score_table(parts, self._columns, methods)
        summary = self._head(settings) | summarise(table, seed=self._options.seed)
        with atomic_write(self._out / "scores.csv", sync=True) as path:
            _write_csv(path, list(self._columns), parts.rows())
        summary["sanity"] = self._sanity()
        summary["worst"] = self._worst(table)
        pictures = draw_plots(self._out, table, summary)
        for name in set(PICTURES) - set(pictures):  # of an earlier answer
            (self._out / name).unlink(missing_ok=True)
        with atomic_write(self._out / "report.md", sync=True) as path:
            path.write_text(report(summary, pictures), "utf-8")
        with atomic_write(self._out / "summary.json", sync=True) as path:
            path.write_text(json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
        names = ("scores.csv", *pictures, "report.md", "summary.json")
        scorer = self._scorer
        forwards = (scorer.forwards.forwards, scorer.originals) if scorer else (0, 0)
        return ScoredClips(summary, table, tuple(self._out / name for name in names), forwards)

    def _sanity(self) -> dict[str, Any] | None:
        """Made once for a number of clips, then read again; anew where failed clips were tried again."""
        options, stated = self._options, self._out / "scores" / "sanity.json"
        if not options.sanity:
            return None
        if stated.exists() and not options.retry_failed:
            former: dict[str, Any] = json.loads(stated.read_text("utf-8"))
            if former["asked"] == options.sanity:
                return former
        entries = self._clips.entries
        found = {"asked": options.sanity} | sanity(
            self._model, self._request, entries, count=options.sanity, seed=options.seed, progress=self._progress
        )
        with atomic_write(stated, sync=True) as path:
            path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", "utf-8")
        return found

    def _worst(self, table: ScoreTable) -> list[str]:
        chosen = worst_clips(table, self._options.render_worst)
        clear_worst(self._out / "worst")  # of an earlier answer
        if not chosen:
            return []
        return render_worst(
            self._model, chosen, self._clips, self._out / "worst", options=self._options, progress=self._progress
        )

    def _head(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **settings,
            "layer": " + ".join(self._request.layers),
            "clips": len(self._clips.entries),
            "unread_columns": list(self._clips.unread),
            "command": self._command,
            "versions": {name: settings[MAKERS][-1][name] for name in ("vidcam", "torch", "numpy", "av")},
            "device": settings[MAKERS][-1]["device"],
        }


def _request(model: Model, options: ScoreOptions, stated: int | None) -> ScoreRequest:
    """What is asked; the automatic batch size is chosen once, and is what a folder that is gone on with states."""
    layers, _ = target_layers(model, options.layers)
    methods = canonical_methods(options.methods)
    return ScoreRequest(
        methods=methods,
        lam=options.lam,
        layers=layers,
        reshape=reshape_of(model.spec),
        activation=model.spec.activation,
        fusion=options.fusion,
        fill=options.fill,
        batch_size=options.batch_size or stated or default_batch(model),
    )


def _labels_digest(model: Model) -> str:
    return f"{len(model.labels)} (sha256 {hashlib.sha256(json.dumps(model.labels).encode()).hexdigest()[:16]})"


def _cube_digest(model: Model) -> str | None:
    mean = model.spec.scaling.mean
    return f"sha256 {hashlib.sha256(mean.values.tobytes()).hexdigest()[:16]}" if isinstance(mean, MeanCube) else None


def _write_csv(path: Path, columns: list[str], rows: Iterator[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([as_cell(row[name]) for name in columns] for row in rows)
