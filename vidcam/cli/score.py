"""`vidcam score`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcam.cli.console import Bar, print_rows, print_text, say
from vidcam.cli.exit_codes import DONE, FAILED
from vidcam.cli.help import SectionCommand, require_only
from vidcam.cli.options import given_options, score_arguments
from vidcam.system.filenames import as_text
from vidcam.system.signals import loading

if TYPE_CHECKING:
    from vidcam.pipelines.score.scored_set import ScoredSet
    from vidcam.pipelines.score.summary import Summary

_MOST_FAILURES = 10
"""Failed clips that are named on standard error; scores.csv has all."""


@click.command(cls=SectionCommand, short_help="Score how faithful the maps of a set of clips are.")
@score_arguments
def score(
    clips: tuple[Path, ...],
    out: Path,
    model: str,
    device: str,
    *,
    against: tuple[Path, ...],
    as_json: bool,
    merge: bool,
    **values: Any,
) -> int:
    """Score how faithful the maps of a set of clips are. The same command resumes an interrupted run.

    \b
    vidcam score clips/ -o out
    vidcam score manifest.csv -o out --measures all --method gradcam,gradcam++ --sanity 4
    vidcam score manifest.csv -o shard3 --shard 3/16
    vidcam score --merge shard* -o out
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    if merge:
        return _merge(clips, out, overwrite=bool(values["overwrite"]), as_json=as_json)
    if len(clips) > 1:
        raise click.UsageError(f"{len(clips)} sets are named, {clips[0]} first; score one, or pass --merge for shards")
    if values["shard"] and against:
        raise click.UsageError("--against compares whole sets; leave it out with --shard")
    with loading():
        from vidcam.pipelines.score.options import ScoreOptions
        from vidcam.pipelines.score.run import score_set
        from vidcam.pipelines.score.scored_set import read_scored_set

    files = {name: values.pop(name) for name in ("weights", "labels", "mean_cube")}
    values["batch_size"] = _batch_size(values["batch_size"])
    options = ScoreOptions(**given_options(values))
    others = [read_scored_set(folder) for folder in against]
    with Bar() as bar:
        result = score_set(
            clips[0], out, options, model=model, device=device, command=_command(), progress=bar.progress, **files
        )
    _print_scores(result.summary, [str(path) for path in result.paths], as_json=as_json)
    if options.shard:
        say("  when all shards are done: vidcam score --merge FOLDER… -o FOLDER")
    if others:
        _compare(out, others, is_quiet=as_json)
    return FAILED if result.failed else DONE


def _compare(out: Path, others: Sequence[ScoredSet], *, is_quiet: bool) -> None:
    """Compare the run with others; print the sentences on standard output."""
    from vidcam.pipelines.score.against_report import run_rows, sentences, write_comparison

    compared, paths = write_comparison(out, others)
    if not is_quiet:
        print_text("")
        print_rows(run_rows(compared), as_json=False)
        for sentence in sentences(compared):
            print_text(sentence)
    say(f"  wrote {', '.join(map(str, paths))}")


def _merge(folders: Sequence[Path], out: Path, *, overwrite: bool, as_json: bool) -> int:
    require_only({"clips", "out", "overwrite", "as_json", "merge"}, "--merge, which scores nothing")
    with loading():
        from vidcam.pipelines.score.merge import merge_shards

    with Bar() as bar:
        merged = merge_shards(folders, out, overwrite=overwrite, command=_command(), progress=bar.progress)
    _print_scores(merged.scored.summary, [str(path) for path in merged.scored.paths], as_json=as_json)
    for note in merged.notes:
        say(f"  {note}")
    return FAILED if merged.scored.failed else DONE


def _batch_size(text: str | int | None) -> int | None:
    if text is None or text == "auto":
        return None
    if not re.fullmatch(r"\d{1,9}", str(text)):
        raise click.BadParameter(f"--batch-size is {text!r}; expected auto or a whole number such as 8")
    return int(text)


def _command() -> str:
    """The command line, for the report."""
    arguments: Sequence[str] = click.get_current_context().obj
    return shlex.join(["vidcam", *map(as_text, arguments)])


def _print_scores(summary: Summary, paths: Sequence[str], *, as_json: bool) -> None:
    """Print the table on standard output, and remarks on standard error."""
    from vidcam.pipelines.score.conclusions import accuracy_text, headline, notes, ranking_rows
    from vidcam.pipelines.score.report import equal_area_rows, method_rows, pair_rows
    from vidcam.system.json_files import to_json

    if as_json:
        print_text(to_json(summary))
        return
    for sentence in filter(None, (headline(summary), accuracy_text(summary))):
        print_text(sentence.replace("`", ""))
    tables = [ranking_rows(summary), method_rows(summary), equal_area_rows(summary), pair_rows(summary)]
    for rows in filter(None, tables):
        print_text("")
        print_rows(rows, as_json=False)
    left_out = f", {summary.left_out} left out" * bool(summary.left_out)
    say(f"{summary.n} of {summary.clips} clips scored, {summary.failed} failed{left_out}")
    for failure in summary.failures[:_MOST_FAILURES]:
        say(f"  {failure.path}: {failure.reason}")
    for sentence in notes(summary):
        say(f"  {sentence}".replace("`", ""))
    say(f"  wrote {', '.join(paths)}")
