"""`vidcam models`, `layers` and `labels`: what can be named elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from vidcam.cli.completion import complete_model
from vidcam.cli.console import print_rows, say
from vidcam.cli.documents import model_row
from vidcam.cli.options import JSON
from vidcam.errors import InputError
from vidcam.system.signals import loading

_MODEL_COLUMNS = {
    "name": "name",
    "task": "task",
    "input": "input",
    "fps": "fps",
    "classes": "classes",
    "weights": "weights",
    "licence": "licence",
    "download_megabytes": "MB",
    "cached": "cached",
}
"""Key of a model's row → title of its column; `--json` has more keys."""


@click.command(short_help="List the models.")
@JSON
def models(*, as_json: bool) -> None:
    """List the built-in models."""
    with loading():
        from vidcam.models.prefixes import PREFIXES
        from vidcam.models.registry import model_entries
        from vidcam.system.json_files import as_plain

    rows = [as_plain(model_row(entry)) for entry in model_entries()]
    shown = rows if as_json else [{title: row[name] for name, title in _MODEL_COLUMNS.items()} for row in rows]
    print_rows(shown, as_json=as_json, width=120)
    say("also, by the name in another package:")
    for prefix in PREFIXES.values():
        say(f"  {prefix.form}: {prefix.models}")
    say("  package.module:factory: your own network")


@click.command(short_help="List the layers of a model.")
@click.argument("model", shell_complete=complete_model)
@click.option("--all", "every", is_flag=True, help="Also list layers inside blocks.")
@JSON
def layers(model: str, *, every: bool, as_json: bool) -> None:
    """List the layers of MODEL that can carry a map: name, grid, stride in frames and pixels."""
    with loading():
        from vidcam.pipelines.layers import layer_rows

    print_rows(layer_rows(model, every=every), as_json=as_json)


@click.command(short_help="List the classes of a model.")
@click.argument("model", shell_complete=complete_model)
@click.option("--filter", "text", default="", metavar="TEXT", help="List only labels that contain the text.")
@click.option("--labels", "file", type=click.Path(path_type=Path), metavar="FILE", help="File with one label per line.")
@JSON
def labels(model: str, text: str, file: Path | None, *, as_json: bool) -> None:
    """List the classes of MODEL: index and label. `vidcam explain --target` takes either.

    \b
    vidcam labels i3d --filter guitar
    """  # noqa: D301 – click reads the \b as 'do not wrap'
    with loading():
        from vidcam.models.registry import labels_of, load_model

    names = labels_of(model, labels=file)
    if names is None:  # only the user's own factory knows them
        names = load_model(model, device="cpu", labels=file).labels
    rows = [{"index": i, "label": name} for i, name in enumerate(names) if text.casefold() in name.casefold()]
    if not rows:
        raise InputError(f"--filter {text!r} is in none of the {len(names)} labels of {model!r}")
    print_rows(rows, as_json=as_json)
