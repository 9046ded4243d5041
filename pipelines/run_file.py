"""The settings of a run as a TOML file beside its result: `--config` repeats the run with it.

A key is the name of a keyword of `explain_video` or `score_clips`. Paths are relative to the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidcam import __version__
from vidcam.system.atomic import atomic_write
from vidcam.system.filenames import as_text, relative_path
from vidcam.system.json_files import as_plain

PATH_KEYS = ("weights", "labels", "mean_cube")
"""Keys whose value is the path of a file; of `weights` unless it is one of WEIGHTS_NAMES."""

WEIGHTS_NAMES = ("pretrained", "random")

_OF_ONE_RUN = ("overwrite", "retry_failed")
"""Options that say nothing about the result."""

_HEAD = "# vidcam "


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedModel:
    """A model as it is named on the command line; the fields are keywords of `load_model`."""

    model: str
    weights: str | Path = "pretrained"
    labels: str | Path | None = None
    mean_cube: str | Path | None = None


def named_model(model: str, *, weights: str | Path, labels: object, mean_cube: str | Path | None) -> NamedModel | None:
    """The model's name with its files; None where the labels are no file, so that the command line cannot name them."""
    if labels is not None and not isinstance(labels, str | Path):
        return None
    return NamedModel(model=model, weights=weights, labels=labels, mean_cube=mean_cube)


def run_settings(options: Any, named: NamedModel, *, resolved: Mapping[str, object]) -> dict[str, object]:
    """Settings that repeat a run, by key.

    Args:
        options: dataclass of the run's options.
        named: the model.
        resolved: values that were chosen for the user; they replace those of the options.
    """
    settings = {field.name: getattr(part, field.name) for part in (named, options) for field in fields(part)}
    settings |= resolved
    return {name: value for name, value in settings.items() if name not in _OF_ONE_RUN and value not in (None, ())}


def run_file_text(settings: Mapping[str, object], folder: Path, *, command: str) -> str:
    """The settings as TOML.

    Args:
        settings: by key, as from `run_settings`.
        folder: where the file will lie.
        command: that repeats the run, for the comment at the top.
    """
    import tomli_w

    values = {name: _value(name, value, folder) for name, value in settings.items()}
    return f"{_HEAD}{__version__}; repeat with: {command}\n{tomli_w.dumps(values)}"


def write_run_file(path: Path, settings: Mapping[str, object], *, command: str) -> None:
    """Write the settings to a file. A file that vidcam did not write stays as it is.

    Raises:
        OutputError: the folder cannot be written to.
        RunError: the disk is full or the like.
    """
    if path.is_file() and not path.read_bytes().startswith(_HEAD.encode()):
        return
    text = run_file_text(settings, path.parent, command=command)
    with atomic_write(path) as part:
        part.write_text(text, "utf-8")


def _value(name: str, value: object, folder: Path) -> object:
    if name in PATH_KEYS and value not in WEIGHTS_NAMES:
        return as_text(relative_path(Path(str(value)), folder))
    if isinstance(value, tuple) and any(isinstance(part, Path) for part in value):
        return [as_text(relative_path(Path(part), folder)) for part in value]
    if isinstance(value, Fraction):  # TOML has no fractions
        return int(value) if value.denominator == 1 else str(value)
    return as_plain(value)
