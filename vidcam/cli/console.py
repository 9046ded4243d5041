"""What people read of a command: text and tables on standard output; sentences and a bar on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from vidcam.system.filenames import one_line
from vidcam.system.progress import Course


def print_rows(rows: Sequence[dict[str, Any]], *, as_json: bool, width: int = 200) -> None:
    """A table as wide as the terminal, or as `width` where there is none; or one JSON document."""
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
    console = Console()
    if not console.is_terminal:
        console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    print_text(capture.get().removesuffix("\n"))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " × ".join(f"{part:g}" for part in value)
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def print_text(text: str) -> None:
    """On standard output; where its encoding does not have a character, and for the bytes of a path, UTF-8."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        click.echo(text.encode("utf-8", "surrogateescape"))
    else:
        click.echo(text)


def say(text: str) -> None:
    """One line on standard error, whatever stands in the text."""
    line = one_line(text)
    click.echo(line if line.startswith(" ") else f"vidcam: {line}", err=True)


class Bar:
    """Progress with the time that is left of all passes, on a terminal's standard error, where it takes long.

    Attributes:
        progress: for pipelines; shown from two seconds on.
    """

    def __init__(self) -> None:
        self.progress = Course(self._show)
        self._shown = sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._stage = ""

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def _show(self, stage: str, done: float, total: float | None, gone: float, left: float | None) -> None:
        if not self._shown:
            return
        if stage != self._stage:
            self.clear()
            self._stage = stage
            self._open(stage, total)
        self._bar.update(self._task, completed=done, total=total, left=_left(left))
        if not self._bar.live.is_started and (gone > 2.0 or self._bar.tasks[0].elapsed > 2.0):
            self._bar.start()

    def clear(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._stage = None, ""

    def _open(self, stage: str, total: float | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        left = TextColumn("{task.fields[left]}")  # rich's own knows one pass alone
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), left)
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(stage, total=total, left="")


def _left(seconds: float | None) -> str:
    """'1:02:03 left'."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} left"
