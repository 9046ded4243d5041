"""Score a set of clips. A run can be interrupted and resumed, and its memory does not grow with the number of clips.

Threads decode the clips ahead, and the clips are scored one after the other. Their rows are written to Parquet parts.
The CSV, the summary, the plots and the report are made from the parts at the end of each run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vidcam.cam.fusion import Fusion
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.request import DEFAULT_BUDGET, Fine
from vidcam.errors import VidcamError
from vidcam.fill import ScoreFill
from vidcam.models.model import Model, Precision
from vidcam.models.registry import list_models, load_model
from vidcam.pipelines.forward import Prepared, torch_errors
from vidcam.pipelines.report.scored import scored_page
from vidcam.pipelines.run_file import named_model, run_settings, write_run_file
from vidcam.pipelines.score.clip import ClipScorer
from vidcam.pipelines.score.clips import ClipSet, read_clips
from vidcam.pipelines.score.columns import Row, score_columns, write_csv
from vidcam.pipelines.score.foreign_maps import foreign_maps
from vidcam.pipelines.score.grid import play_grid
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.plots import draw_plots
from vidcam.pipelines.score.report import report
from vidcam.pipelines.score.request import ScoreRequest, resolve
from vidcam.pipelines.score.rows import failed_row
from vidcam.pipelines.score.samples import Failure, Sample, failure, load_sample, require_any_video
from vidcam.pipelines.score.sanity import former_sanity, sanity
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.settings import PartialSettings, complete_settings, partial_settings, provenance_of
from vidcam.pipelines.score.store import PLOT_FILES, ResultStore, check_folder, open_store
from vidcam.pipelines.score.summarise import summarise
from vidcam.pipelines.score.summary import GridResult, Sanity
from vidcam.pipelines.score.table import ScoreTable, score_table
from vidcam.pipelines.score.worst import pages_of, render_worst, worst_clips
from vidcam.results.explanation import MASKED
from vidcam.system.atomic import atomic_write
from vidcam.system.json_files import write_json
from vidcam.system.progress import Progress, part_of, progress_or_default, silent
from vidcam.system.threads import map_in_threads

SCORING = "scoring clips"
"""Name of the main stage in the progress display."""

RUN_FILE = "run.toml"
"""The settings of the run, see `run_file`."""


def score_clips(
    clips: Any,
    out: str | Path,
    *,
    model: str | Model = "i3d",
    weights: str | Path = "pretrained",
    labels: str | Path | None = None,
    mean_cube: str | Path | None = None,
    device: str = "auto",
    methods: str | Sequence[str] | None = None,
    measures: str | Sequence[str] = "default",
    controls: bool = True,
    maps: str | Path | Sequence[str | Path] = (),
    fill: ScoreFill = "black",
    layer: str | Sequence[str] | None = None,
    axes: str | None = None,
    fusion: Fusion | None = None,
    score_scale: float = 1.0,
    steps: int | None = None,
    fine: Fine = "pooled",
    budget: int = DEFAULT_BUDGET,
    batch_size: int | None = None,
    precision: Precision = "float32",
    workers: int = 2,
    seed: int = 0,
    min_confidence: float = 0.0,
    correct_only: bool = False,
    label_in_top: int | None = None,
    sanity: int = 0,
    render_worst: int = 0,
    addresses: bool = False,
    retry_failed: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ScoredClips:
    """Score a set of clips. A run with the same settings in the same folder resumes after the last complete part.

    The clips and the folder are checked before a model is loaded or downloaded.

    Args:
        clips: a folder, a manifest (.csv, .jsonl, .parquet), images with boxes (a Pascal VOC folder or a list in it,
            COCO's .json), or an iterable of paths and of mappings with `path`, `start`, `label`, `group`, `boxes`.
        out: folder of the results; created if needed.
        model: name of a model, 'package.module:factory', or a `Model`.
        weights: as in `load_model`; only if `model` is a name.
        labels: as in `load_model`; only if `model` is a name.
        mean_cube: as in `load_model`; only if `model` is a name.
        device: 'auto', 'cpu', 'cuda:N', 'mps' or 'xpu:N'; only if `model` is a name.
        methods: one name or several; guided methods cannot be scored. None: `gradcam`, `gradcam+`, `neutral-gradcam`,
            and `gradcam++`; on a transformer `token-lrp` instead of the last one, and alone if its layer is not known.
        measures: `default`, `all`, or some of `drop` (with increase, win and area; always measured), `relative` (also
            for the maps of the probability's gradient), `retention` (θ = 0.25, 0.5, 0.75), `curve` (θ in eleven
            steps), `insertion-deletion` (by voxels and by frames), `localization` (for clips with boxes), `time`
            (frames frozen, shuffled, reversed), `fills` (retention at θ = 0.5 with every
            fill), `grid` (pairs of clips in one input; needs labels).
        controls: whether the baseline maps are scored too: `random`, `centre`, `frame-difference` and `uniform`.
        maps: folders with maps of other tools, one `.npy` or `.npz` for each clip; see `foreign_maps`.
        fill: what hidden pixels become: `black`, `mean`, `blur`, `frame-mean` or `infill`.
        layer: dotted name, or several names whose maps are fused. None: the model's default.
        axes: order of the axes in the clips that the model takes, such as 'NTCHW'. None: that of its spec.
        fusion: `mean`, `max` or `sum` of several layers' maps; None: `sum` for parallel branches, else `mean`.
        score_scale: λ of EQ 12 for gradcam++, at least 0.
        steps: points of the path of fine maps, as in `vidcam.explain`.
        fine: grid of fine maps, `pooled` or `full`, as in `vidcam.explain`.
        budget: most forward passes of `occlusion`, and of `rise`, for each clip and explained class.
        batch_size: perturbed clips per forward pass. None: chosen for the device.
        precision: precision of the network except its classifier: `float32` (exact), `bf16`, or `fp16` on CUDA.
        workers: number of threads that decode ahead.
        seed: seed of ties, controls, shuffles and intervals.
        min_confidence: leave out clips whose class has a lower probability (EQ 4).
        correct_only: leave out clips whose top class is not their label.
        label_in_top: N > 0: explain each clip's label, and leave out the clip if that is not among the N most probable
            classes. 0: explain the predicted class. None: 5 for sets in the formats of Pascal VOC and COCO, else 0.
        sanity: number of clips, from the first on, whose maps are compared with maps of random weights.
        render_worst: number of clips with the largest mean drop that get overlay videos.
        addresses: read addresses that a manifest names; those of an iterable are read anyway.
        retry_failed: score the clips again that failed in an earlier run.
        overwrite: replace existing results, whatever their settings.
        progress: called after each clip. None: a bar in notebooks.

    Raises:
        InputError: a clip set, name or option is invalid, no clip can be opened, or the folder has scores with other
            settings.
        RunError: writing failed; the same call resumes the run.
    """
    options = ScoreOptions(
        methods=methods,
        measures=measures,
        controls=controls,
        maps=maps,
        fill=fill,
        layer=layer,
        axes=axes,
        fusion=fusion,
        score_scale=score_scale,
        steps=steps,
        fine=fine,
        budget=budget,
        batch_size=batch_size,
        precision=precision,
        workers=workers,
        seed=seed,
        min_confidence=min_confidence,
        correct_only=correct_only,
        label_in_top=label_in_top,
        sanity=sanity,
        render_worst=render_worst,
        addresses=addresses,
        retry_failed=retry_failed,
        overwrite=overwrite,
    )
    return score_set(
        clips,
        Path(out),
        options,
        model=model,
        device=device,
        weights=weights,
        labels=labels,
        mean_cube=mean_cube,
        progress=progress_or_default(progress),
    )


def score_set(
    clips: Any,
    folder: Path,
    options: ScoreOptions,
    *,
    model: str | Model = "i3d",
    weights: str | Path = "pretrained",
    labels: str | Path | None = None,
    mean_cube: str | Path | None = None,
    device: str = "auto",
    command: str = "",
    progress: Progress = silent,
) -> ScoredClips:
    """Score a set of clips; arguments and errors as in `score_clips`. The report quotes `command`."""
    clip_set = read_clips(clips, out=folder, addresses=options.addresses)
    if options.label_in_top is None:
        options = replace(options, label_in_top=clip_set.label_in_top)
    name = model.spec.name if isinstance(model, Model) else model if model in list_models() else None
    maps = foreign_maps(options.map_folders, clip_set.entries)
    settings = partial_settings(options, clip_set, model=name, maps=maps)
    former = check_folder(folder, settings, overwrite=options.overwrite)
    if former is None:  # a run can be resumed without its videos
        require_any_video(clip_set.entries)
    named = None
    if not isinstance(model, Model):
        named = named_model(model, weights=weights, labels=labels, mean_cube=mean_cube)
        model = load_model(model, device=device, weights=weights, labels=labels, mean_cube=mean_cube, progress=progress)
    request, prepared = resolve(model, options, None if former is None else former.batch_size, maps=maps)
    result = _Run(prepared, request, settings, clip_set, folder, command=command, progress=progress).run()
    if named is None:
        return result
    resolved = {
        "device": str(model.device),
        "methods": request.methods,
        "measures": request.measures,
        "batch_size": request.batch_size,
    }
    path = folder / RUN_FILE
    run = run_settings(options, named, resolved=resolved)
    write_run_file(path, run, command=f"vidcam score CLIPS -o FOLDER --config {RUN_FILE}")
    return replace(result, paths=(*result.paths[:-1], path, result.paths[-1]))


class _Run:
    """One scoring run."""

    def __init__(
        self,
        prepared: Prepared,
        request: ScoreRequest,
        settings: PartialSettings,
        clips: ClipSet,
        out: Path,
        *,
        command: str,
        progress: Progress,
    ) -> None:
        self._model, self._clips, self._out = prepared.original, clips, out
        self._command, self._progress = command, progress
        self._prepared, self._request = prepared, request
        # relevance finds its own layer, which the baseline tells
        stated = request if request.layers else replace(request, layers=prepared.baseline.layers)
        self._settings = complete_settings(settings, stated, prepared.original, prepared.forward)
        self._columns = score_columns(request.measures, request.thetas, label_in_top=request.label_in_top)
        self._scorer: ClipScorer | None = None

    def run(self) -> ScoredClips:
        """Score the remaining clips, then write all results."""
        with open_store(self._out, self._settings, self._columns, overwrite=self._request.overwrite) as store:
            store.require_whole(self._clips.entries, self._request.row_names)
            store.require_unchanged(self._clips.entries)
            failed = store.failed() if self._request.retry_failed else {}
            has_work = bool(failed) or store.done < len(self._clips.entries)
            if has_work or not store.settings.provenance:
                store.record_provenance(provenance_of(self._model))
            if has_work:
                self._score(store, failed)
            return self._write_results(store)

    def _score(self, store: ResultStore, failed: Mapping[Path, Sequence[int]]) -> None:
        """Score the failed clips again, part by part, then the clips after the last part."""
        request = replace(self._request, batch_size=store.last_batch_size or self._request.batch_size)
        model = self._prepared.model
        scorer = self._scorer = ClipScorer(model, request, self._prepared.baseline.artifact)
        entries = self._clips.entries
        remaining = [entries[clip] for clips in failed.values() for clip in clips] + list(entries[store.done :])
        load = partial(load_sample, spec=self._model.spec, device=self._model.device)
        try:
            decoded = map_in_threads(load, remaining, workers=request.workers)
            with Undo() as undo, undo, closing(decoded) as samples:
                preserve_model(model.module, undo)
                for path, clips in failed.items():
                    store.replace(path, {clip: self._rows(scorer, next(samples)) for clip in clips})
                    self._progress("scoring failed clips again", clips[-1] + 1, len(entries))
                for sample in samples:
                    store.add(self._rows(scorer, sample, self._part(store.done)))
                    self._progress(SCORING, store.done, len(entries))
        finally:  # also after an interrupt: scored clips are kept
            store.flush()

    def _part(self, done: int) -> Progress:
        """Return what reports the maps of a clip that take many forward passes, as parts of the clip."""
        parts = max(1, sum(name in MASKED for name in self._request.methods))
        return part_of(self._progress, SCORING, done, len(self._clips.entries), parts=parts)

    def _rows(self, scorer: ClipScorer, sample: Sample | Failure, progress: Progress = silent) -> list[Row]:
        if isinstance(sample, Failure):
            return [failed_row(sample)]
        try:
            with torch_errors(self._model, scorer.forwards.batch_size):
                return scorer.score(sample, progress)
        except VidcamError as exc:
            return [failed_row(failure(sample.entry, exc))]

    def _write_results(self, store: ResultStore) -> ScoredClips:
        self._progress("writing the table", 0, None)
        table = score_table(store, self._columns, self._request.row_names)
        write_csv(self._out / "scores.csv", self._columns, store.rows())
        shown = worst_clips(table, self._request.render_worst)
        worst = render_worst(
            self._prepared,
            shown,
            self._clips,
            self._out / "worst",
            request=self._request,
            progress=self._progress,
        )
        summary = summarise(
            table,
            store.settings,
            command=self._command,
            ignored_columns=self._clips.ignored_columns,
            sanity=self._sanity(),
            grid=self._grid(table),
            worst=worst,
        )
        plots = draw_plots(self._out, table, summary)
        for name in set(PLOT_FILES) - set(plots):  # from an earlier run
            (self._out / name).unlink(missing_ok=True)
        with atomic_write(self._out / "report.md", sync=True) as path:
            path.write_text(report(summary, plots), "utf-8")
        with atomic_write(self._out / "report.html", sync=True) as path:
            path.write_text(scored_page(summary, store.rows(), pages_of(shown, self._out)), "utf-8")
        write_json(self._out / "summary.json", summary, sync=True)
        names = ("scores.csv", *plots, "report.md", "report.html", "summary.json")
        scorer = self._scorer
        forwards = (scorer.forwards.forwards, scorer.originals) if scorer else (0, 0)
        return ScoredClips(summary, table, tuple(self._out / name for name in names), forwards)

    def _grid(self, table: ScoreTable) -> GridResult | None:
        if "grid" not in self._request.measures:
            return None
        path, entries = self._out / "scores" / "grid.json", self._clips.entries
        return play_grid(self._prepared.model, self._request, entries, table, path, progress=self._progress)

    def _sanity(self) -> Sanity | None:
        """Return the sanity checks, if possible those of an earlier run with the same number of clips."""
        request, path = self._request, self._out / "scores" / "sanity.json"
        if not request.sanity:
            return None
        former = None if request.retry_failed else former_sanity(path)
        if former is not None and (former.requested_clips, set(former.cascading)) == (
            request.sanity,
            set(request.methods),
        ):
            return former
        checks = sanity(self._model, request, self._clips.entries, progress=self._progress)
        write_json(path, checks, sync=True)
        return checks
