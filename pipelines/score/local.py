"""Score clips in this process: threads decode ahead, and the clips are scored one after the other."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial

from vidcam.cam.preserve import Undo, preserve_model
from vidcam.errors import VidcamError
from vidcam.pipelines.forward import Prepared, torch_errors
from vidcam.pipelines.score.clip import ClipScorer
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.columns import Row
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.rows import failed_row
from vidcam.pipelines.score.samples import Failure, Windows, failure, load_windows
from vidcam.results.explanation import MASKED
from vidcam.system.progress import Progress, StageTimer, part_of, silent
from vidcam.system.threads import map_in_threads

SCORING = "scoring clips"
"""Name of the main stage in the progress display."""


class LocalEngine:
    """Scores clips with one prepared model.

    Attributes:
        timer: seconds of "scoring", and of "waiting" for the next decoded clip.
    """

    def __init__(self, prepared: Prepared, request: ScoreRequest, *, clips: int, progress: Progress = silent) -> None:
        """Make the engine; `clips` is the number of clips of the set, for the progress."""
        self._prepared, self._request = prepared, request
        self._clips, self._progress = clips, progress
        self._scorer = ClipScorer(prepared.model, request, prepared.baseline.artifact)
        self.timer = StageTimer()

    @property
    def forwards(self) -> tuple[int, int]:
        """Number of perturbed clips and of original clips that the model ran on."""
        return self._scorer.forwards.forwards, self._scorer.originals

    def rows(self, entries: Sequence[Entry]) -> Generator[list[Row], None, None]:
        """Yield the rows of each clip, in order. The model is as it was when the generator is closed."""
        model = self._prepared.original
        load = partial(load_windows, spec=model.spec, device=model.device, choice=self._request.windows)
        decoded = map_in_threads(load, entries, workers=self._request.workers)
        with Undo() as undo, undo, closing(self.timer.timed("waiting", decoded)) as samples:
            preserve_model(self._prepared.model.module, undo)
            for windows in samples:
                with self.timer.stage("scoring"):
                    rows = self._rows(windows)
                yield rows

    def _rows(self, windows: Windows | Failure) -> list[Row]:
        if isinstance(windows, Failure):
            return [failed_row(windows)]
        entry = next(iter(windows)).entry
        try:
            with torch_errors(self._prepared.original, self._scorer.forwards.batch_size):
                return self._scorer.score(windows, self._part(entry.index))
        except VidcamError as exc:
            return [failed_row(failure(entry, exc))]

    def _part(self, index: int) -> Progress:
        """Return what reports the maps of a clip that take many forward passes, as parts of the clip."""
        parts = max(1, sum(name in MASKED for name in self._request.methods))
        return part_of(self._progress, SCORING, index, self._clips, parts=parts)
