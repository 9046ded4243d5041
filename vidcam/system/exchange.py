"""Write several files into a folder, all of them or none, by one run at a time.

The files lie in a hidden folder until they are complete. It is locked as long as its process lives. So a second run for
the same destination is refused before its work, and the next run sweeps what a killed one left.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from vidcam.errors import OutputError
from vidcam.system.atomic import PART_ENDING, folder_errors, hidden_folder, hidden_prefix
from vidcam.system.signals import defer_signals

if sys.platform != "win32":  # there nothing is locked, and nothing is swept
    import fcntl

_HIDDEN = re.compile(rf"\..*\.[0-9a-f]{{16}}{re.escape(PART_ENDING)}")
"""Name of a hidden folder."""

_NAMES = "names"
"""File in a hidden folder: the names of the files that are being moved, each ended by a NUL."""


def require_free(path: Path) -> None:
    """Check that no other run is writing a destination; writes nothing.

    Raises:
        OutputError: another run is.
    """
    for _, lock in _former_claims(path):
        os.close(lock)


@contextmanager
def claimed_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `path`, and remove it at the end. No other run can have one for the same path.

    What killed runs left is removed first; files that one of them was exchanging are put back.

    Raises:
        OutputError: another run has claimed `path`, or the parent does not exist or cannot be written to.
    """
    hidden: Path | None = None
    lock: int | None = None
    try:
        with defer_signals(), folder_errors(path.parent), _locked(path.parent):
            _sweep(path)
            hidden = hidden_folder(path)
            lock = _lock(hidden)
        yield hidden
    finally:
        with defer_signals():
            if hidden is not None:
                shutil.rmtree(hidden, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def _sweep(path: Path) -> None:
    for hidden, lock in _former_claims(path):
        with suppress(FileNotFoundError):
            names = [os.fsdecode(name) for name in (hidden / _NAMES).read_bytes().split(b"\0")[:-1]]
            if names and (hidden / "new" / names[-1]).exists():  # it was killed before the last file was moved
                _undo(hidden, path.parent, names)
        shutil.rmtree(hidden, ignore_errors=True)
        os.close(lock)


def _former_claims(path: Path) -> Iterator[tuple[Path, int]]:
    """Yield the hidden folders that killed runs left, each locked by a descriptor.

    Raises:
        OutputError: a run that goes on has locked one.
    """
    prefix = hidden_prefix(path.name)
    hidden_names = re.compile(rf"{re.escape(prefix)}[0-9a-f]{{16}}{re.escape(PART_ENDING)}")
    for hidden in path.parent.iterdir() if path.parent.is_dir() and sys.platform != "win32" else ():
        if hidden_names.fullmatch(hidden.name):
            try:
                lock = _lock(hidden)
            except (FileNotFoundError, NotADirectoryError):  # that run has just ended
                continue
            if lock is None:
                raise OutputError(f"another run is writing '{path}'; wait for it, or choose another place with -o")
            yield hidden, lock


def _lock(folder: Path) -> int | None:
    """Lock a folder; return its descriptor, or None if another process has locked it."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without locks
        pass
    return descriptor


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time look for claims and make one; in a hidden folder nobody else does.

    A run that claims a place in its own hidden folder, which it has locked, would wait for itself.
    """
    if sys.platform == "win32" or _HIDDEN.fullmatch(folder.name):
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def atomic_files(folder: Path, *, last: str, former: Callable[[], Collection[str]]) -> Iterator[Path]:
    """Yield a hidden folder to fill. At the end of the block all its files are moved into `folder`, or none of them.

    Args:
        folder: the destination. It is created if it does not exist, and removed again if the block fails.
        last: name of the file that is moved last; when it is there, all files are there.
        former: returns the names of existing files that may be replaced; called at the end of the block. Those that
            have no new file are deleted. If moving fails, all of them are restored.

    Raises:
        OutputError: the folder cannot be created or written to, another run is writing the same files, or another file
            has one of the names.
    """
    with folder_errors(folder):
        created = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        with defer_signals(), folder_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with claimed_folder(folder / last) as hidden:
            with folder_errors(folder):
                (hidden / "new").mkdir()
                (hidden / "old").mkdir()
            yield hidden / "new"
            former_names = frozenset(former())
            with defer_signals(), folder_errors(folder):
                _move_files(hidden, folder, last=last, former=former_names)
                created.clear()
    finally:
        with defer_signals():
            _remove_empty(created)


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove the folders that were created for nothing."""
    for folder in folders:
        with suppress(OSError):  # another program has put files into it
            folder.rmdir()


def _move_files(hidden: Path, folder: Path, *, last: str, former: Collection[str]) -> None:
    """Replace the former files by the new ones; if this fails, restore the former files."""
    new, old = hidden / "new", hidden / "old"
    names = sorted((path.name for path in new.iterdir()), key=lambda name: (name == last, name))
    foreign = [name for name in names if name not in former and os.path.lexists(folder / name)]
    if foreign:
        raise OutputError(
            f"{folder / foreign[0]} is in the way and is not from vidcam; move it, or choose another folder with -o"
        )
    (hidden / _NAMES).write_bytes(b"".join(os.fsencode(name) + b"\0" for name in names))
    try:
        for name in sorted(former):
            with suppress(FileNotFoundError):
                (folder / name).rename(old / name)
        for name in names:
            (new / name).rename(folder / name)
    except BaseException:
        _undo(hidden, folder, names)
        raise


def _undo(hidden: Path, folder: Path, names: Sequence[str]) -> None:
    """Remove the new files that were moved, and put the former files back."""
    for name in names:
        if not (hidden / "new" / name).exists():
            (folder / name).unlink(missing_ok=True)
    for path in (hidden / "old").iterdir():
        path.rename(folder / path.name)
