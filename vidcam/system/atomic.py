"""Files and folders that are whole or not there at all.

What is written goes under a hidden name beside the destination and is renamed when it is complete. The hidden name is
random and made with O_EXCL: no file or link of somebody else's is written to, and two processes do not meet. Signals
wait while something is made, renamed or removed.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vidcam.errors import OutputError, RunError
from vidcam.system.signals import defer_signals

HIDDEN_ENDING = ".part"
"""Ends the hidden name, before the destination's own suffix."""

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_STEM_LENGTH, _SUFFIX_LENGTH = 40, 16  # a long name with the addition could exceed what a file name may hold


class AtomicFile:
    """A hidden, empty file beside `path` that takes its place by `commit` or goes away by `discard`.

    Args:
        path: the destination.
        overwrite: whether a file may be there already.

    Attributes:
        part: where to write.

    Raises:
        OutputError: the destination exists or is a folder, its folder does not exist, or it cannot be written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = True) -> None:
        require_free(path, overwrite=overwrite)
        self.path, self._overwrite = path, overwrite
        suffix = path.suffix.lower()[:_SUFFIX_LENGTH]
        self.part = path.with_name(f".{path.stem[:_STEM_LENGTH]}.{secrets.token_hex(8)}{HIDDEN_ENDING}{suffix}")
        with writing_into(path.parent):
            os.close(os.open(self.part, _FLAGS, 0o666))

    def commit(self, *, sync: bool = False) -> None:
        """Give the file its name.

        Args:
            sync: bring it to the disk first, so that it survives a crash of the machine.

        Raises:
            OutputError: another file took the name meanwhile, and must not be replaced.
            OSError: it cannot be renamed.
        """
        with defer_signals():
            if sync:
                _sync(self.part)
            require_free(self.path, overwrite=self._overwrite)
            self.part.replace(self.path)

    def discard(self) -> None:
        """Remove what was written; nothing happens after `commit`."""
        with defer_signals(), suppress(OSError):
            self.part.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: Path, *, overwrite: bool = True, sync: bool = False) -> Iterator[Path]:
    """A path to write to; it becomes `path` when the block ends well and is removed when it does not.

    Args:
        path: the destination.
        overwrite: whether a file may be there already.
        sync: bring the file to the disk before it gets its name.

    Raises:
        OutputError: the destination exists or is a folder, or its folder does not exist or cannot be written to.
        RunError: writing failed in the middle; the disk is full or the like.
    """
    file: AtomicFile | None = None
    try:
        with defer_signals():
            file = AtomicFile(path, overwrite=overwrite)
        with disk_errors(path):
            yield file.part
            file.commit(sync=sync)
    finally:
        if file is not None:
            file.discard()


def hidden_folder(path: Path) -> Path:
    """Make a hidden folder beside `path`; `path` need not exist, its parent must.

    The folder has the rights that the user's other new folders have.

    Raises:
        OutputError: the parent does not exist or cannot be written to.
    """
    _require_parent(path)
    folder = path.parent / f".{path.name[:_STEM_LENGTH]}.{secrets.token_hex(8)}{HIDDEN_ENDING}"
    with writing_into(path.parent):
        folder.mkdir()
    return folder


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A hidden folder to fill; it becomes `path` when the block ends well and is removed when it does not.

    A folder that is there is replaced: ask before whether it may be.

    Raises:
        OutputError: the parent does not exist or cannot be written to.
        RunError: writing failed in the middle.
    """
    stage: Path | None = None
    try:
        with defer_signals():
            stage = hidden_folder(path)
        with disk_errors(path):
            yield stage
            with defer_signals():
                replace_folder(stage, path)
    finally:
        if stage is not None:
            with defer_signals():
                shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def atomic_files(folder: Path, *, last: str, former: Callable[[], Collection[str]]) -> Iterator[Path]:
    """A hidden folder to fill; all its files are moved into `folder` when the block ends well, or none of them.

    Args:
        folder: the destination; made if it is not there, and removed again if nothing comes.
        last: name of the file that is moved last: once it is there, all are.
        former: asked when the block has ended for the names of the files that may be replaced; those of them that were
            not made again are deleted. If moving fails in the middle, they are where they were.

    Raises:
        OutputError: the folder cannot be made or written to, or another file is in the way.
    """
    with writing_into(folder):
        made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    hidden: Path | None = None
    try:
        with defer_signals(), writing_into(folder):
            folder.mkdir(parents=True, exist_ok=True)
            hidden = hidden_folder(folder / last)
        new, old = hidden / "new", hidden / "old"
        with writing_into(folder):
            new.mkdir()
            old.mkdir()
        yield new
        replaced = frozenset(former())
        with defer_signals(), writing_into(folder):
            _exchange(new, old, folder, last=last, former=replaced)
            made.clear()
    finally:
        with defer_signals():
            _tidy_up(hidden, made)


def _tidy_up(hidden: Path | None, made: Iterable[Path]) -> None:
    """Remove the hidden folder, and the folders that were made for files that did not come."""
    if hidden is not None:
        shutil.rmtree(hidden, ignore_errors=True)
    for parent in made:
        with suppress(OSError):  # somebody else's files are in it
            parent.rmdir()


def _exchange(new: Path, old: Path, folder: Path, *, last: str, former: Collection[str]) -> None:
    """Put the new files where the former ones were; undone if it fails in the middle."""
    names = sorted((path.name for path in new.iterdir()), key=lambda name: (name == last, name))
    in_the_way = [name for name in names if name not in former and os.path.lexists(folder / name)]
    if in_the_way:
        raise OutputError(
            f"{folder / in_the_way[0]} is in the way and no result of vidcam's, expected a free name; move it away, or "
            f"choose another folder with -o"
        )
    try:
        for name in sorted(former):
            with suppress(FileNotFoundError):
                (folder / name).rename(old / name)
        for name in names:
            (new / name).rename(folder / name)
    except BaseException:
        for name in names:
            if not (new / name).exists():
                (folder / name).unlink(missing_ok=True)
        for path in old.iterdir():
            path.rename(folder / path.name)
        raise


def replace_folder(stage: Path, path: Path) -> None:
    """Put a folder in the place of another, or of none; signals must wait meanwhile.

    Raises:
        OutputError: the parent cannot be written to.
        OSError: a folder cannot be renamed; the former one is in its place again.
    """
    if not os.path.lexists(path):
        stage.rename(path)
        return
    aside = hidden_folder(path)
    former = aside / "former"
    try:
        path.rename(former)
        try:
            stage.rename(path)
        except BaseException:
            former.rename(path)
            raise
    except BaseException:
        with suppress(OSError):
            aside.rmdir()  # not with what is in it: that would be the former folder
        raise
    shutil.rmtree(aside, ignore_errors=True)


def require_free(path: Path, *, overwrite: bool) -> None:
    """Check that a file can be written at `path`, without touching anything.

    Raises:
        OutputError: it exists or is no regular file, or its folder does not exist.
    """
    if path.is_dir():
        raise OutputError(f"'{path}' is a folder; expected the name of a file to write; add one")
    if path.exists() and not path.is_file():  # a file under its name would replace it, /dev/null for one
        raise OutputError(f"'{path}' is a pipe or a device; expected the name of a file to write; choose another")
    if os.path.lexists(path) and not overwrite:  # also a link that leads nowhere
        raise OutputError(
            f"'{path}' exists already; expected a new name; pass --overwrite (in Python overwrite=True) to replace it"
        )
    _require_parent(path)


def _require_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"the folder '{path.parent}' does not exist; expected one to write into; create it")


@contextmanager
def writing_into(folder: Path) -> Iterator[None]:
    """Name the folder in the error if the block cannot make it or write into it.

    Raises:
        OutputError: it cannot.
    """
    try:
        yield
    except OSError as exc:
        raise OutputError(
            f"{folder} cannot be written ({exc.strerror or exc}), expected a folder with room; choose another with -o"
        ) from exc


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Name the file in the error if the block cannot write it.

    Raises:
        RunError: the disk is full or the like.
    """
    try:
        yield
    except OSError as exc:
        raise RunError(
            f"'{path.name}' could not be written ({exc.strerror or exc}); make room and run again; "
            f"what is there is kept"
        ) from exc


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
