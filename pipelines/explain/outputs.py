"""Where results go: names, no overwriting by accident, and all files of a result at once or none.

Everything is written into a hidden folder inside the destination and moved out when it is complete, the JSON last: a
result whose JSON is there is whole. Two sources of one stem are kept apart as `film` and `film-2`. No name is longer
than a file system takes, and none holds what cannot be printed.
"""

from __future__ import annotations

import json
import os.path
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidcam.errors import EncodeError, OutputError
from vidcam.media import VideoInfo
from vidcam.system.filenames import as_text, safe_stem
from vidcam.system.signals import defer_signals
from vidcam.video.source import source_stem

LONGEST_SLUG = 80


def slug(label: str, index: int) -> str:
    """A label as part of a file name, [a-z0-9-], cut off at LONGEST_SLUG; `class-<index>` if nothing of it is left."""
    return re.sub(r"[^a-z0-9]+", "-", label.casefold()).strip("-")[:LONGEST_SLUG].rstrip("-") or f"class-{index}"


def choose_stem(folder: Path, source: Path | str, *, overwrite: bool) -> str:
    """The stem of a source's results in a folder.

    Args:
        folder: where results go.
        source: a path, or as text the name of what is no file of this machine.
        overwrite: whether results of this very source may be there already.

    Raises:
        OutputError: the folder holds results of this very source already and `overwrite` is off, or cannot be reached.
    """
    number, plain = 1, safe_stem(source_stem(str(source)))
    while True:
        stem = plain if number == 1 else f"{plain}-{number}"
        existing = folder / f"{stem}.json"
        with _writing_to(folder):
            is_free = not existing.exists()
        if is_free:
            return stem
        if _source_of(existing, source) == as_text(str(source.resolve() if isinstance(source, Path) else source)):
            if overwrite:
                return stem
            name = Path(source).name
            raise OutputError(
                f"{existing} holds results of {name} already; pass --overwrite (in Python overwrite=True) to "
                f"replace them, or choose another folder with -o"
            )
        number += 1


@contextmanager
def staging(folder: Path, stem: str, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder whose files are moved into `folder` when the block ends well, and deleted when it does not.

    Files of the stem's former result are replaced with `overwrite`; those that were not made again are deleted. Any
    other file that is in the way stays, and the result is refused. If moving fails in the middle, all is as before.

    Raises:
        OutputError: the folder cannot be made or written to, or a file is in the way.
    """
    with _writing_to(folder):
        made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    stages: list[Path] = []
    try:
        with defer_signals(), _writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            stages.append(Path(tempfile.mkdtemp(prefix=f".{stem[:40]}-", dir=folder)))
        stage = stages[0]
        with _writing_to(folder):
            (stage / "new").mkdir()
        yield stage / "new"
        former = _files_of(folder / f"{stem}.json") if overwrite else set()
        with defer_signals(), _writing_to(folder):
            _exchange(stage, folder, former)
            made.clear()
    finally:
        with defer_signals():
            _tidy_up(stages, made)


def _tidy_up(stages: Iterable[Path], made: Iterable[Path]) -> None:
    """Remove the hidden folder, and the folders that were made for a result that did not come."""
    for stage in stages:
        shutil.rmtree(stage, ignore_errors=True)
    for parent in made:
        with suppress(OSError):  # somebody else's files are in it
            parent.rmdir()


def _exchange(stage: Path, folder: Path, former: set[str]) -> None:
    """Put the new files where the former ones were; undone if it fails in the middle."""
    names = sorted((path.name for path in (stage / "new").iterdir()), key=lambda name: (name.endswith(".json"), name))
    in_the_way = [name for name in names if name not in former and (folder / name).exists()]
    if in_the_way:
        raise OutputError(
            f"{folder / in_the_way[0]} is in the way and no result of vidcam's, expected a free name; move it away, or "
            f"choose another folder with -o"
        )
    old = stage / "old"
    old.mkdir()
    try:
        for name in sorted(former):
            with suppress(FileNotFoundError):
                (folder / name).rename(old / name)
        for name in names:  # the JSON last
            (stage / "new" / name).rename(folder / name)
    except BaseException:
        for name in names:
            if not (stage / "new" / name).exists():
                (folder / name).unlink(missing_ok=True)
        for path in old.iterdir():
            path.rename(folder / path.name)
        raise


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise OutputError(
            f"{exc.filename or folder} cannot be written ({exc.strerror}), expected a folder with room; choose another "
            f"with -o"
        ) from exc


@contextmanager
def saving(path: Path) -> Iterator[Path]:
    """Name the file in the error if it cannot be saved.

    Raises:
        EncodeError: the disk is full or the like.
    """
    try:
        yield path
    except OSError as exc:
        raise EncodeError(f"{path.name} could not be written ({exc.strerror}); make room and run again") from exc


def source_of(info: VideoInfo) -> Path | str:
    """The path of a film, or as text the name of what is no file of this machine."""
    return Path(info.path) if info.is_local else info.path


def stated_path(source: Path | str, folder: Path) -> str:
    r"""The source as the JSON states it: relative to the JSON's folder; a name as it is; what is no UTF-8 as `\xNN`."""
    return as_text(relative_path(source, folder) if isinstance(source, Path) else source)


def relative_path(path: Path, folder: Path) -> str:
    """The path as the JSON states it: relative to the JSON's folder."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _source_of(document: Path, like: Path | str) -> str | None:
    """The source that a JSON states, resolved if it is compared with a path; see `stated_path`."""
    try:
        stated = str(json.loads(document.read_text("utf-8"))["source"]["path"])
        return as_text(str((document.parent / stated).resolve() if isinstance(like, Path) else stated))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _files_of(document: Path) -> set[str]:
    try:
        return {Path(name).name for name in json.loads(document.read_text("utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
