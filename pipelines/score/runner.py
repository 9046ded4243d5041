"""Run the scoring of a set: the clips that are not scored yet, then the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from vidcam.pipelines.forward import Prepared
from vidcam.pipelines.report.video_folders import VideoFolders
from vidcam.pipelines.score.clips import ClipSet
from vidcam.pipelines.score.columns import score_columns
from vidcam.pipelines.score.grid import play_grid
from vidcam.pipelines.score.local import SCORING, LocalEngine
from vidcam.pipelines.score.ray_engine import RayEngine
from vidcam.pipelines.score.ray_worker import WorkerSetup
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.results import ModelResults, Overlays, RunFacts, write_results
from vidcam.pipelines.score.sanity import sanity
from vidcam.pipelines.score.sanity_figures import Sanity
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.settings import PartialSettings, complete_settings, provenance_of
from vidcam.pipelines.score.shards import ShardRecord, write_record
from vidcam.pipelines.score.store import ResultStore, open_store
from vidcam.pipelines.score.summarise import summarise
from vidcam.pipelines.score.summary import GridResult
from vidcam.pipelines.score.table import ScoreTable, score_table
from vidcam.pipelines.score.worst import pages_of, render_worst, worst_clips
from vidcam.system.json_files import read_json_if_valid, write_json
from vidcam.system.progress import Progress

Engine = LocalEngine | RayEngine


class Runner:
    """One scoring run: makes the rows that are missing, then the results."""

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
        self._span = request.clips_of(len(clips.entries))
        own = (entry.source for entry in clips.entries[self._span.start : self._span.stop])
        self._folders = VideoFolders.of(own, out, first=self._span.start)
        self._forwards = (0, 0)

    def run(self, setup: Callable[..., WorkerSetup]) -> ScoredClips:
        """Score the remaining clips, then write all results; `setup` makes what workers of a cluster need."""
        overwrite, first = self._request.overwrite, self._span.start
        with open_store(self._out, self._settings, self._columns, overwrite=overwrite, first=first) as store:
            if (shard := self._request.shard) is not None:
                names, ignored = self._request.row_names, self._clips.ignored_columns
                write_record(self._out, ShardRecord(shard, len(self._clips.entries), names, ignored, self._folders))
            store.require_whole(self._clips.entries, self._request.row_names)
            store.require_unchanged(self._clips.entries)
            failed = store.failed() if self._request.retry_failed else {}
            has_work = bool(failed) or store.done < self._span.stop
            if has_work or not store.settings.provenance:
                store.record_provenance(provenance_of(self._model))
            if has_work:
                self._score(store, failed, self._engine(store, setup))
            return self._write_results(store)

    def _engine(self, store: ResultStore, setup: Callable[..., WorkerSetup]) -> Engine:
        request = replace(self._request, batch_size=store.last_batch_size or self._request.batch_size)
        if request.engine == "local":
            return LocalEngine(self._prepared, request, clips=len(self._clips.entries), progress=self._progress)
        ready = setup(request.batch_size, store.settings.threads, request.maps, store.schema, Path.cwd())
        return RayEngine(ready, is_gpu=self._model.device.type != "cpu")

    def _score(self, store: ResultStore, failed: Mapping[Path, Sequence[int]], engine: Engine) -> None:
        """Score the failed clips again, part by part, then the clips after the last part."""
        entries = self._clips.entries
        remaining = [entries[clip] for clips in failed.values() for clip in clips]
        remaining += entries[store.done : self._span.stop]
        try:
            with closing(engine.rows(remaining)) as rows:
                for path, clips in failed.items():
                    store.replace(path, {clip: next(rows) for clip in clips})
                    self._progress("scoring failed clips again", clips[-1] + 1, len(entries))
                for of_clip in rows:
                    store.add(of_clip)
                    self._progress(SCORING, store.done, len(entries))
        finally:  # also after an interrupt: scored clips are kept
            store.flush()
            self._forwards = engine.forwards

    def _write_results(self, store: ResultStore) -> ScoredClips:
        if self._request.shard is not None:
            table = score_table(store, self._columns, self._request.row_names)
            summary = summarise(table, store.settings, command=self._command)
            return ScoredClips(summary, table, (self._out / "scores",), self._forwards)
        facts = RunFacts(
            columns=self._columns,
            row_names=self._request.row_names,
            ignored_columns=self._clips.ignored_columns,
            command=self._command,
            folders=self._folders,
        )
        of_model = ModelResults(sanity=self._sanity, grid=self._grid, worst=self._worst)
        result = write_results(self._out, store, facts, of_model=of_model, progress=self._progress)
        return replace(result, forwards=self._forwards)

    def _worst(self, table: ScoreTable) -> Overlays:
        shown = worst_clips(table, self._request.render_worst)
        lines = render_worst(
            self._prepared,
            shown,
            self._clips,
            self._out / "worst",
            request=self._request,
            progress=self._progress,
        )
        return lines, pages_of(shown, self._out)

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
        former = None if request.retry_failed else read_json_if_valid(path, Sanity)
        if former is not None and (former.requested_clips, set(former.cascading)) == (
            request.sanity,
            set(request.methods),
        ):
            return former
        checks = sanity(self._model, request, self._clips.entries, progress=self._progress)
        write_json(path, checks, sync=True)
        return checks
