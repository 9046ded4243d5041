"""What a video may be given as: a path, an open binary file, or an address that fsspec knows.

Decoders go back and forth, several at once, and sound is read beside the pictures; so what is no local file is copied
into a temporary one first. The copy lives as long as the reader.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias
from urllib.parse import urlsplit

from vidcam.errors import MediaError

Source: TypeAlias = "str | os.PathLike[str] | BinaryIO"

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*(::|://)", re.IGNORECASE)
_STREAM_NAME = "stream"


@dataclass(frozen=True, slots=True)
class Located:
    """A source as a local path.

    Attributes:
        path: a file or a folder.
        name: what users call it.
        is_local: whether `name` is that path; otherwise it is a copy.
        release: deletes the copy.
    """

    path: str
    name: str
    is_local: bool
    release: Callable[[], None]


def local_path(source: Source) -> str | None:
    """The path of what is a file or a folder of this machine, there or not; None for an address or an open file."""
    if not isinstance(source, str | os.PathLike):
        return None
    name = os.fspath(source)
    return name if not _ADDRESS.match(name) or _exists(name) else None


def locate(source: Source) -> Located:
    """Find a source, or copy it.

    Raises:
        MediaError: an address or an open file that cannot be read.
    """
    name = local_path(source)
    if name is not None:
        return Located(name, name, is_local=True, release=lambda: None)
    if isinstance(source, str | os.PathLike):
        return _copied(os.fspath(source), _opened(os.fspath(source)))
    stated: object = getattr(source, "name", None)  # a descriptor's number, for a pipe
    return _copied(Path(stated).name if isinstance(stated, str) else _STREAM_NAME, source)


def is_folder(path: str) -> bool:
    """Whether a path leads to a folder; if not, it leads to a regular file.

    Raises:
        MediaError: there is nothing, it cannot be reached, or it is a pipe or a device: these are read once, and may
            never end.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise MediaError(f"{path!r} does not exist; expected a video file; check the path") from exc
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        reason = getattr(exc, "strerror", None) or str(exc)
        raise MediaError(f"{path!r} cannot be opened ({reason}); expected a video file; check the path") from exc
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise MediaError(f"{path!r} is a pipe or a device; expected a file or a folder; save what it gives to a file")
    return stat.S_ISDIR(mode)


def source_stem(name: str) -> str:
    """The part of a source's name that its results are called by."""
    return Path(_plain(name)).stem or _STREAM_NAME


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # too long for a path
        return False


def _plain(name: str) -> str:
    """An address without what follows '?' or '::'; of 'memory://a.mp4' the part that looks like a host."""
    if not _ADDRESS.match(name):
        return name
    parts = urlsplit(name.partition("::")[0])
    return parts.path or parts.netloc


def _opened(address: str) -> BinaryIO:
    import fsspec

    try:
        file: BinaryIO = fsspec.open(address, "rb").open()
    except Exception as exc:  # each file system has errors of its own
        raise _unreadable(address, exc) from exc
    return file


def _copied(name: str, file: BinaryIO) -> Located:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vidcam-")))
        path = folder / f"copy{Path(_plain(name)).suffix[:8]}"
        try:
            with path.open("wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
        except Exception as exc:  # whatever a file-like object raises
            raise _unreadable(name, exc) from exc
        return Located(str(path), name, is_local=False, release=stack.pop_all().close)


def _unreadable(name: str, error: Exception) -> MediaError:
    reason = str(error) or type(error).__name__
    return MediaError(f"{name!r} cannot be read ({reason}); expected a video that opens for reading; check the address")
