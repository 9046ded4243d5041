"""Write files and folders completely or not at all.

Data is written under a hidden name beside the destination, and renamed when it is complete. The hidden name is random
and created with O_EXCL. So no other file or link is ever written to, and two processes do not interfere. Signals are
deferred while a file is created, renamed or removed.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from vidcam.errors import OutputError, RunError
from vidcam.system.signals import defer_signals

PART_ENDING = ".part"
"""Part of every hidden name, before the destination's own suffix."""

_ADVICE = MappingProxyType(
    {
        errno.ENOSPC: "free some disk space and run again",
        errno.EDQUOT: "free some disk space and run again",
        errno.ENOMEM: "free some memory and run again",
        errno.EMFILE: "allow more open files (ulimit -n) and run again",
        errno.ENFILE: "close some programs and run again",
    }
)

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_STEM_LENGTH, _SUFFIX_LENGTH = 40, 16  # keep hidden names within the length limit of file names


@contextmanager
def atomic_write(path: Path, *, overwrite: bool = True, sync: bool = False) -> Iterator[Path]:
    """Yield a hidden path to write to. It is renamed to `path` at the end of the block, or removed if the block fails.

    Args:
        path: the destination.
        overwrite: whether an existing file is replaced.
        sync: flush the file to the disk before it is renamed.

    Raises:
        OutputError: the destination exists or is a folder, or its folder does not exist or cannot be written to. The
            destination is checked again at the end.
        RunError: writing failed, for example because the disk is full.
    """
    require_writable(path, overwrite=overwrite)
    suffix = path.suffix.lower()[:_SUFFIX_LENGTH]
    part = path.with_name(f".{path.stem[:_STEM_LENGTH]}.{secrets.token_hex(8)}{PART_ENDING}{suffix}")
    is_made = False
    try:
        with defer_signals(), folder_errors(path.parent):
            os.close(os.open(part, _FLAGS, 0o666))
            is_made = True
        with disk_errors(path):
            yield part
            with defer_signals():
                if sync:
                    _sync(part)
                require_writable(path, overwrite=overwrite)
                part.replace(path)
    finally:
        if is_made:
            with defer_signals(), suppress(OSError):
                part.unlink(missing_ok=True)


def hidden_prefix(name: str) -> str:
    """Return what the names of all hidden folders for a destination begin with; a long name is shortened."""
    if len(name) > _STEM_LENGTH:
        name = f"{name[:_STEM_LENGTH]}-{zlib.crc32(os.fsencode(name)):08x}"
    return f".{name}."


def hidden_folder(path: Path) -> Path:
    """Create a hidden folder beside `path`, with the default permissions. Only the parent of `path` must exist.

    Raises:
        OutputError: the parent does not exist or cannot be written to.
    """
    _require_parent(path)
    folder = path.parent / f"{hidden_prefix(path.name)}{secrets.token_hex(8)}{PART_ENDING}"
    with folder_errors(path.parent):
        folder.mkdir()
    return folder


def replace_folder(stage: Path, path: Path) -> None:
    """Rename the folder `stage` to `path`, and remove a folder that was there. The caller defers signals.

    Raises:
        OutputError: the parent cannot be written to.
        OSError: a folder cannot be renamed; the former folder is restored.
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
            aside.rmdir()  # fails if the former folder is still in it, which must not be removed
        raise
    shutil.rmtree(aside, ignore_errors=True)


def require_writable(path: Path, *, overwrite: bool) -> None:
    """Check that a file may be written at `path`, without writing anything.

    Raises:
        OutputError: a file exists and `overwrite` is false, `path` is no regular file, or its folder does not exist.
    """
    if path.is_dir():
        raise OutputError(f"'{path}' is a folder; pass the name of a file to write")
    if path.exists() and not path.is_file():  # renaming a file to /dev/null, for example, would replace the device
        raise OutputError(f"'{path}' is a pipe or a device; pass the name of a file to write")
    if os.path.lexists(path) and not overwrite:  # lexists also finds a broken link
        raise OutputError(f"'{path}' exists already; pass --overwrite (in Python overwrite=True) to replace it")
    _require_parent(path)


def _require_parent(path: Path) -> None:
    if not path.parent.is_dir():
        raise OutputError(f"the folder '{path.parent}' does not exist; create it")


@contextmanager
def folder_errors(folder: Path) -> Iterator[None]:
    """Turn system errors inside the block into an error that names the folder.

    Raises:
        OutputError: the folder cannot be created or written to.
    """
    try:
        yield
    except OSError as exc:
        advice = advice_for(exc, "choose another folder with -o")
        raise OutputError(f"{folder} cannot be written ({exc.strerror or exc}); {advice}") from exc


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn system errors inside the block into an error that names the file.

    Raises:
        RunError: the file cannot be written, for example because the disk is full.
    """
    try:
        yield
    except OSError as exc:
        advice = advice_for(exc, "check the disk and run again")
        raise RunError(f"'{path.name}' cannot be written ({exc.strerror or exc}); {advice}") from exc


def advice_for(error: OSError, default: str) -> str:
    """Return what to do about a system error; `default` if its number does not tell."""
    return _ADVICE.get(error.errno or 0, default)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
