"""Write the results of a run from its parts: the table, the summary, the plots and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidcam.pipelines.report.scored import READ, scored_page
from vidcam.pipelines.report.video_folders import VideoFolders
from vidcam.pipelines.score.columns import Columns, write_csv
from vidcam.pipelines.score.plots import draw_plots
from vidcam.pipelines.score.report import report
from vidcam.pipelines.score.sanity_figures import Sanity
from vidcam.pipelines.score.scored_clips import ScoredClips
from vidcam.pipelines.score.store import PLOT_FILES, ResultStore
from vidcam.pipelines.score.summarise import summarise
from vidcam.pipelines.score.summary import GridResult
from vidcam.pipelines.score.table import ScoreTable, score_table
from vidcam.system.atomic import atomic_write
from vidcam.system.json_files import write_json
from vidcam.system.progress import Progress

Overlays = tuple[tuple[str, ...], Mapping[int, str]]
"""A line about each rendered clip, and clip → address of its page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResults:
    """Results that need the model; without one there are none.

    Attributes:
        sanity: makes the sanity checks.
        grid: plays the grid pointing game.
        worst: renders the worst clips.
    """

    sanity: Callable[[], Sanity | None] = lambda: None
    grid: Callable[[ScoreTable], GridResult | None] = lambda _table: None
    worst: Callable[[ScoreTable], Overlays] = lambda _table: ((), {})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the results say besides the rows.

    Attributes:
        columns: columns of the table.
        row_names: names of the rows of each clip.
        ignored_columns: columns of the manifest that have no meaning here.
        command: the command line, for the report.
        folders: where the videos lie.
    """

    columns: Columns
    row_names: tuple[str, ...]
    ignored_columns: tuple[str, ...]
    command: str
    folders: VideoFolders


def write_results(
    out: Path, store: ResultStore, facts: RunFacts, *, of_model: ModelResults, progress: Progress
) -> ScoredClips:
    """Write all results into a folder.

    Args:
        out: the folder.
        store: the rows of all clips.
        facts: what the results say besides the rows.
        of_model: makes the results that need the model.
        progress: called at the start.
    """
    progress("writing the table", 0, None)
    table = score_table(store, facts.columns, facts.row_names)
    write_csv(out / "scores.csv", facts.columns, store.rows())
    worst, pages = of_model.worst(table)
    summary = summarise(
        table,
        store.settings,
        command=facts.command,
        ignored_columns=facts.ignored_columns,
        sanity=of_model.sanity(),
        grid=of_model.grid(table),
        worst=worst,
    )
    plots = draw_plots(out, table, summary)
    for name in set(PLOT_FILES) - set(plots):  # from an earlier run
        (out / name).unlink(missing_ok=True)
    with atomic_write(out / "report.md", sync=True) as path:
        path.write_text(report(summary, plots), "utf-8")
    with atomic_write(out / "report.html", sync=True) as path:
        path.write_text(scored_page(summary, store.rows(READ), pages, folders=facts.folders), "utf-8")
    write_json(out / "summary.json", summary, sync=True)
    names = ("scores.csv", *plots, "report.md", "report.html", "summary.json")
    return ScoredClips(summary, table, tuple(out / name for name in names), (0, 0))
