"""Text and tables on standard output; messages and a progress bar on standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from vidcam.system.filenames import one_line

SHOWN_AFTER_SECONDS = 2.0


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool, width: int = 200, to_error: bool = False) -> None:
    """Print rows as a table, or as one JSON document.

    Without a terminal, the table is `width` columns wide. With `to_error` it goes to standard error.
    """
    if as_json:
        print_text(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in rows[0]))
    console = Console(stderr=to_error, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(width=width, stderr=to_error, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table)
    text = capture.get().removesuffix("\n")
    if to_error:
        click.echo(text, err=True)
    else:
        _write(text)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " × ".join(f"{part:g}" for part in value)
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else one_line(str(value))


def print_text(text: str) -> None:
    """Print on standard output. A terminal is shown no control characters; a file or pipe gets the text as it is."""
    _write("\n".join(map(one_line, text.split("\n"))) if sys.stdout.isatty() else text)


def _write(text: str) -> None:
    """Write on standard output; in UTF-8 what its encoding does not have, and the bytes of a path."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        click.echo(text.encode("utf-8", "surrogateescape"))
    else:
        click.echo(text)


def say(text: str) -> None:
    """Print one line on standard error."""
    line = one_line(text)
    click.echo(line if line.startswith(" ") else f"vidcam: {line}", err=True)


class Bar:
    """Progress bar of the running stage, on a terminal's standard error.

    It appears once work has taken SHOWN_AFTER_SECONDS.
    """

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._stage = ""
        self._began: float | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def progress(self, stage: str, done: float, total: float | None) -> None:
        """Show progress; a callback for pipelines."""
        if not self._is_terminal:
            return
        if self._began is None:
            self._began = time.monotonic()
        if stage != self._stage:
            self._end_stage()
            self._begin_stage(stage, total)
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        if not self._bar.live.is_started and time.monotonic() - self._began > SHOWN_AFTER_SECONDS:
            self._bar.start()

    def clear(self) -> None:
        """Hide the bar until other work has taken SHOWN_AFTER_SECONDS."""
        self._end_stage()
        self._began = None

    def _begin_stage(self, stage: str, total: float | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        name = TextColumn("{task.description}", markup=False)  # a file's name may hold brackets
        columns = (name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._bar.add_task(stage, total=total)
        self._stage = stage

    def _end_stage(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._stage = None, ""
