"""Files and folders that are whole or not there at all.

What is written goes under a hidden name beside the destination and is renamed when it is complete. The hidden name is
random and made with O_EXCL: no file or link of somebody else's is written to, and two processes do not meet. Signals
wait while something is made, renamed or removed.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
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
        try:
            os.close(os.open(self.part, _FLAGS, 0o666))
        except OSError as exc:
            raise cannot_write(path.parent, exc) from exc

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
    try:
        folder.mkdir()
    except OSError as exc:
        raise cannot_write(path.parent, exc) from exc
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


def replace_folder(stage: Path, path: Path) -> None:
    """Put a folder in the place of another, or of none; signals must wait meanwhile.

    Raises:
        OutputError: the parent cannot be written to.
        OSError: a folder cannot be renamed; the former one is in its place again.
    """
    if not path.exists():
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
    if path.exists() and not overwrite:
        raise OutputError(f"'{path}' exists already; expected a new name; pass overwrite to replace it")
    _require_parent(path)


def _require_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"the folder '{path.parent}' does not exist; expected one to write into; create it")


def cannot_write(folder: Path, error: OSError) -> OutputError:
    """The error of a folder into which nothing can be written."""
    return OutputError(
        f"nothing can be written into '{folder}' ({error.strerror or error}); expected a writable folder; "
        f"choose another with -o"
    )


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
            f"'{path}' could not be written ({exc.strerror or exc}); make room and run again, what is there is kept"
        ) from exc


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
