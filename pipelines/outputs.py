"""Where results go: names, no overwriting by accident, and all files of a result at once or none.

Everything is written into a hidden folder inside the destination and moved out when it is complete, the JSON last: a
result whose JSON is there is whole. Two sources of one stem are kept apart as `film` and `film-2`.
"""

from __future__ import annotations

import json
import os.path
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidcam.errors import OutputError


def slug(label: str, index: int) -> str:
    """A label as part of a file name, [a-z0-9-]; `class-<index>` if nothing of it is left."""
    return re.sub(r"[^a-z0-9]+", "-", label.casefold()).strip("-") or f"class-{index}"


def prepare_folder(folder: Path) -> None:
    """Make the destination.

    Raises:
        OutputError: it, or a part of its path, is a regular file, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(
            f"{folder} cannot be made ({exc.strerror}), expected a folder; choose another with -o"
        ) from exc


def choose_stem(folder: Path, source: Path, *, overwrite: bool) -> str:
    """The stem of a source's results in a folder.

    Raises:
        OutputError: the folder holds results of this very source already and `overwrite` is off.
    """
    number = 1
    while True:
        stem = source.stem if number == 1 else f"{source.stem}-{number}"
        existing = folder / f"{stem}.json"
        if not existing.exists():
            return stem
        if _source_of(existing) == source.resolve():
            if overwrite:
                return stem
            raise OutputError(f"{existing} holds results of {source.name} already; pass --overwrite to replace them")
        number += 1


@contextmanager
def staging(folder: Path, stem: str, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder whose files are moved into `folder` when the block ends well, and deleted when it does not.

    With `overwrite`, files that the stem's former JSON names and that were not made again are deleted.
    """
    existed = folder.exists()
    prepare_folder(folder)
    stage = Path(tempfile.mkdtemp(prefix=f".{stem[:40]}-", dir=folder))
    try:
        yield stage
        former = _files_of(folder / f"{stem}.json") if overwrite else set()
        names = {path.name for path in stage.iterdir()}
        for name in sorted(names, key=lambda name: (name == f"{stem}.json", name)):  # the JSON last
            (stage / name).replace(folder / name)
        for name in former - names:
            (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        if not existed and not any(folder.iterdir()):
            folder.rmdir()


def relative_path(path: Path, folder: Path) -> str:
    """The path as the JSON states it: relative to the JSON's folder."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _source_of(document: Path) -> Path | None:
    try:
        source = str(json.loads(document.read_text("utf-8"))["source"]["path"])
        return (document.parent / source).resolve()
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _files_of(document: Path) -> set[str]:
    try:
        return {Path(name).name for name in json.loads(document.read_text("utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
