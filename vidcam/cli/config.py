"""`--config FILE.toml`: options out of a file; those of the command line win."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from vidcam.cli.help import SectionOption
from vidcam.errors import InputError, name_not_found

_NOT_IN_FILE = ("out", "as_json", "config", "help", "truth", "only_wrong", "against")
_LIST_KEYS = ("outputs", "measures")
_NAMES_OF_WEIGHTS = ("pretrained", "random")


def config_option(section: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option itself; it is read before all others and becomes no argument of the command."""
    return click.option(
        "--config",
        cls=SectionOption,
        section=section,
        metavar="FILE.toml",
        type=click.Path(path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_use_file,
        help="Take options from a file; those on the command line win.",
    )


def _use_file(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is not None and not context.resilient_parsing:
        context.default_map = _values(path, context.command)


def _values(path: Path, command: click.Command) -> dict[str, Any]:
    """The file's values by parameter.

    Raises:
        InputError: the file cannot be read, is no TOML, or has an unknown key or a value of another kind.
    """
    options = {
        parameter.name: parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name not in _NOT_IN_FILE
    }
    values = {}
    for key, value in _read(path).items():
        option = options.get(key)
        if option is None:
            known = [name for name in options if name]
            raise name_not_found(f"--config {path}: key", key, known, f"`vidcam {command.name} --help` lists all")
        values[key] = _checked(path, key, value, option)
    return values


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise InputError(f"--config {path} cannot be read ({exc.strerror or exc})") from exc
    except (ValueError, RecursionError) as exc:  # no UTF-8, or no TOML
        raise InputError(f"--config {path} is no TOML file ({exc})") from exc


def _checked(path: Path, key: str, value: Any, option: click.Option) -> Any:
    """The value as click expects it: a list for an option that is repeatable, a path seen from here."""
    values = value if isinstance(value, list) else [value]
    expected = bool if option.is_flag else str | int | float
    is_one = option.multiple or key in _LIST_KEYS or not isinstance(value, list)
    if not is_one or not all(isinstance(v, expected) and isinstance(v, bool) == option.is_flag for v in values):
        kind = "true or false" if option.is_flag else "text or a number"
        raise InputError(f"--config {path}: {key} is {value!r}, expected {kind}")
    if isinstance(option.type, click.Path) and value not in _NAMES_OF_WEIGHTS:
        values = [str(path.parent / str(v)) for v in values]
    if option.multiple:
        return list(map(str, values))
    return ",".join(map(str, values)) if isinstance(value, list) else values[0]
