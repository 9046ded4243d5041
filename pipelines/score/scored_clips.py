"""The result of scoring a set of clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vidcam.pipelines.score.summary import Summary
from vidcam.pipelines.score.table import ScoreTable


@dataclass(frozen=True, slots=True, eq=False)
class ScoredClips:
    """The result of `score_clips`.

    Attributes:
        summary: means, tests and settings, as in summary.json.
        table: the scores of each clip.
        paths: the written files, summary.json last.
        forwards: number of perturbed clips and of original clips that the model ran on, in this run.
    """

    summary: Summary
    table: ScoreTable = field(repr=False)
    paths: tuple[Path, ...]
    forwards: tuple[int, int]

    def __repr__(self) -> str:
        return f"ScoredClips({self.summary!r}; {len(self.paths)} files in {str(self.paths[-1].parent)!r})"

    @property
    def failed(self) -> int:
        """Number of clips that could not be scored."""
        return self.summary.failed
