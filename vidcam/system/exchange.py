"""Write several files into a folder, all of them or none, by one run at a time.

The files lie in a hidden folder until they are complete. It is locked as long as its process lives. So a second run for
the same destination is refused before its work, and the next run sweeps what a killed one left. Where the system or the
file system has no locks, nothing is refused and nothing is swept.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from vidcam.errors import OutputError
from vidcam.system.atomic import (
    PART_ENDING,
    disk_errors,
    folder_errors,
    hidden_folder,
    hidden_prefix,
    replace_folder,
    require_writable,
)
from vidcam.system.signals import defer_signals

if sys.platform != "win32":
    import fcntl

_HIDDEN = re.compile(rf"\..*\.[0-9a-f]{{16}}{re.escape(PART_ENDING)}")
"""Name of a hidden folder."""

_NAMES = "names"
"""File in a hidden folder: the names of the files that are being moved, each ended by a NUL."""

_MOST_SECONDS = 5.0
"""A run looks for claims in milliseconds. A folder that is locked for longer is locked by another program: flock(1)."""

_REMOVAL_DESCRIPTORS = 4
"""Open files that removing a hidden folder takes; they are held until then, in case a run has used up all others."""


def require_free(path: Path) -> None:
    """Check that no other run is writing a destination; writes nothing.

    Raises:
        OutputError: another run is.
    """
    for _, lock in _former_claims(path):
        _unlock(lock)


@contextmanager
def claimed_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `path`, and remove it at the end. No other run can have one for the same path.

    What killed runs left is removed first; files that one of them was exchanging are put back.

    Raises:
        OutputError: another run has claimed `path`, or the parent does not exist or cannot be written to.
    """
    hidden: Path | None = None
    lock: int | None = None
    reserve: list[int] = []
    try:
        with defer_signals(), folder_errors(path.parent), _locked(path.parent):
            _sweep(path)
            reserve += (os.open(os.devnull, os.O_RDONLY) for _ in range(_REMOVAL_DESCRIPTORS))
            hidden = hidden_folder(path)
            with suppress(OSError):  # without a lock, nobody sweeps it
                lock = _lock(hidden)
        yield hidden
    finally:
        with defer_signals():
            for descriptor in reserve:
                os.close(descriptor)
            if hidden is not None:
                shutil.rmtree(hidden, ignore_errors=True)
            if lock is not None:
                _unlock(lock)


@contextmanager
def claimed_path(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a hidden place for a file or folder of the same name. It is moved to `path` at the end of the block.

    The caller checks first whether an existing folder may be replaced.

    Raises:
        OutputError: another run has claimed `path`, it exists and `overwrite` is false, or it cannot be written.
        RunError: moving failed.
    """
    with claimed_folder(path) as hidden:
        yield (new := hidden / path.name)
        with defer_signals(), disk_errors(path):
            if not new.is_dir():
                require_writable(path, overwrite=overwrite)
                new.replace(path)
            elif overwrite or not os.path.lexists(path):
                replace_folder(new, path)
            else:
                raise OutputError(f"'{path}' exists already; choose another folder, or delete it")


def _sweep(path: Path) -> None:
    for hidden, lock in _former_claims(path):
        with suppress(FileNotFoundError):
            names = [os.fsdecode(name) for name in (hidden / _NAMES).read_bytes().split(b"\0")[:-1]]
            is_own = all(name == Path(name).name for name in names) and not (hidden / "old").is_symlink()
            if names and is_own and (hidden / "new" / names[-1]).exists():  # it was killed before the last move
                _undo(hidden, path.parent, names)
        shutil.rmtree(hidden, ignore_errors=True)
        _unlock(lock)


def _former_claims(path: Path) -> Iterator[tuple[Path, int]]:
    """Yield the hidden folders that killed runs left, each locked by a descriptor.

    Raises:
        OutputError: a run that goes on has locked one.
    """
    prefix = hidden_prefix(path.name)
    hidden_names = re.compile(rf"{re.escape(prefix)}[0-9a-f]{{16}}{re.escape(PART_ENDING)}")
    for hidden in path.parent.iterdir() if path.parent.is_dir() else ():
        if hidden_names.fullmatch(hidden.name) and not hidden.is_symlink():
            try:
                yield hidden, _lock(hidden)
            except BlockingIOError as exc:
                raise OutputError(
                    f"another run is writing '{path}'; wait for it, or choose another place with -o"
                ) from exc
            except OSError:  # that run has just ended, it is no folder, or there are no locks
                continue


def _lock(folder: Path) -> int:
    """Lock a folder, and return its descriptor for `_unlock`.

    Raises:
        BlockingIOError: another process has locked it.
        OSError: it is no folder or cannot be opened, or the file system has no locks.
    """
    if sys.platform == "win32":
        raise OSError("folders cannot be locked")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _unlock(descriptor: int) -> None:
    """Unlock a folder, also if a forked process has inherited the descriptor."""
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time look for claims and make one, but do not wait for ever.

    In a hidden folder nobody else makes a claim. Its run has locked it, and would wait for itself.
    """
    lock, end = None, time.monotonic() + (0.0 if _HIDDEN.fullmatch(folder.name) else _MOST_SECONDS)
    while lock is None and time.monotonic() < end:
        try:
            lock = _lock(folder)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:  # there are no locks
            break
    try:
        yield
    finally:
        if lock is not None:
            _unlock(lock)


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
    """Take back the new files that were moved, then put the former files back. It may be killed, and done again."""
    for name in names:
        if not (hidden / "new" / name).exists():
            with suppress(FileNotFoundError):
                (folder / name).rename(hidden / "new" / name)
    for path in (hidden / "old").iterdir():
        path.rename(folder / path.name)
