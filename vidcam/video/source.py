"""The kinds of sources of a video: a path, an address, an open binary file, an array, or a list of frames or images.

Decoders go back and forth, several at once, and sound is read beside the pictures; so what is no local file is copied
into a temporary one first. The copy lives as long as the reader; its size is limited. An address `file://` is a path.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias, cast
from urllib.parse import urlsplit

from vidcam.errors import InputError, MediaError
from vidcam.system.progress import Progress, silent
from vidcam.video.addresses import LIMIT_VARIABLE, is_live_stream, is_web_address, most_bytes, path_in, recording
from vidcam.video.numbered import is_pattern, pattern_stem

if TYPE_CHECKING:
    from PIL import Image


class FrameArray(Protocol):
    """An array of numpy, a tensor of torch, or another array with a shape and a dtype."""

    @property
    def shape(self) -> Sequence[int]:
        """Its lengths."""

    @property
    def dtype(self) -> Any:
        """The type of its numbers."""


Frame: TypeAlias = "FrameArray | Image.Image | str | os.PathLike[str]"
Source: TypeAlias = "str | os.PathLike[str] | BinaryIO | FrameArray | Sequence[Frame]"

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*(::|://)", re.IGNORECASE)
_ADDRESS_AS_PATH = re.compile(r"([a-z][a-z0-9+.-]+):/(?=[^/])", re.IGNORECASE)  # Path("https://a") has lost a slash
_STREAM_NAME = "stream"
_PIECE_BYTES = 1 << 20


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

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Let errors of the block name the source instead of its copy."""
        try:
            yield
        except MediaError as exc:
            if self.is_local or self.path not in str(exc):
                raise
            raise MediaError(str(exc).replace(self.path, self.name)) from exc


def local_path(source: Source) -> str | None:
    """The path of what is a file or a folder of this machine, there or not; None for an address or an open file.

    Raises:
        MediaError: an address `file://` of another machine.
    """
    if not isinstance(source, str | os.PathLike) or address_of(source) is not None:
        return None
    name = os.fspath(source)
    path = None if exists(name) else path_in(name)
    return name if path is None else path


def address_of(source: Source) -> str | None:
    """Return the address of a source; None for a path, an address `file://` or an object."""
    if not isinstance(source, str | os.PathLike):
        return None
    name = os.fspath(source)
    if exists(name) or path_in(name) is not None:
        return None
    address = name if isinstance(source, str) else _ADDRESS_AS_PATH.sub(r"\1://", name, count=1)
    return address if is_address(address) else None


def is_address(name: str) -> bool:
    """Return whether a name looks like an address: 'memory://a.mp4', 'zip::…'."""
    return _ADDRESS.match(name) is not None


def check_source(source: Source) -> None:
    """Refuse a source that cannot be a video, without reading or fetching it.

    Raises:
        MediaError: a live stream, or an http address that leads to no video.
        InputError: the source is neither a path, an address nor an open file.
    """
    if local_path(source) is not None:
        return
    address = address_of(source)
    if address is None:
        _require_open_file(source)
        return
    _require_file(address)
    if is_web_address(address):
        from vidcam.video.fetch import require_reachable  # the network's modules take 50 ms

        require_reachable(address)


def locate(source: Source, *, fetch: bool = False, progress: Progress = silent) -> Located:
    """Find a source, or copy it.

    Args:
        source: a path, an address or an open file.
        fetch: whether an http address is fetched; the user must have typed it himself.
        progress: called while it is fetched.

    Raises:
        MediaError: an address or an open file that cannot be read.
        InputError: the source is neither a path, an address nor an open file.
    """
    name = local_path(source)
    if name is not None:
        return Located(name, name, is_local=True, release=lambda: None)
    address = address_of(source)
    if address is None:
        file = _require_open_file(source)
        stated: object = getattr(file, "name", None)  # a descriptor's number, for a pipe
        return _copied(Path(stated).name if isinstance(stated, str) else _STREAM_NAME, file)
    _require_file(address)
    if fetch and is_web_address(address):
        return _in_temporary_file(address, partial(_fetch, address, progress))
    return _copied(address, _opened(address))


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
    """Return a name for the results of a source: the file's, or the folder's of numbered images."""
    if not _ADDRESS.match(name) and is_pattern(name):
        return pattern_stem(name)
    return Path(_plain(name)).stem or _STREAM_NAME


def exists(name: str) -> bool:
    """Return whether a file or a folder exists."""
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

    for part in address.split("::"):  # fsspec would read a device or a pipe of this machine without end
        path = path_in(part)
        if path is not None and is_folder(path):
            raise MediaError(f"{path!r} is a folder; pass a file")
    try:
        file: BinaryIO = fsspec.open(address, "rb").open()
    except Exception as exc:  # each file system has errors of its own
        raise _unreadable(address, exc) from exc
    return file


def _copied(name: str, file: BinaryIO) -> Located:
    def copy(path: Path) -> None:
        left = limit = most_bytes()
        try:
            with path.open("wb") as target:
                while left >= 0 and (piece := file.read(_PIECE_BYTES)):
                    left -= target.write(piece)
        except Exception as exc:  # whatever a file-like object raises
            raise _unreadable(name, exc) from exc
        if left < 0:
            raise MediaError(
                f"{name!r} is larger than {limit // 10**6:,} MB; save it to a file and pass that, or raise "
                f"{LIMIT_VARIABLE}"
            )

    return _in_temporary_file(name, copy)


def _in_temporary_file(name: str, write: Callable[[Path], None]) -> Located:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vidcam-")))
        path = folder / f"copy{Path(_plain(name)).suffix[:8]}"
        write(path)
        return Located(str(path), name, is_local=False, release=stack.pop_all().close)


def _fetch(address: str, progress: Progress, path: Path) -> None:
    from vidcam.video.fetch import fetch

    fetch(address, path, progress=progress)


def _require_file(address: str) -> None:
    if is_live_stream(address):
        raise MediaError(f"{address!r} is a live stream; record a part of it: {recording(address)}")


def _require_open_file(source: object) -> BinaryIO:
    if callable(getattr(source, "read", None)):
        return cast("BinaryIO", source)
    kind = type(source).__name__
    if isinstance(source, bytes | bytearray | memoryview):
        raise InputError(f"source is of type {kind}, expected an open file; pass io.BytesIO(source)")
    if isinstance(source, Iterator):
        raise InputError(f"source is of type {kind}, expected a list of frames; pass list(source)")
    if hasattr(source, "getexif"):  # an image of PIL
        raise InputError("source is one image, expected frames; pass a list of images")
    raise InputError(f"source is of type {kind}, expected a path, an address, an array or a list of frames")


def _unreadable(name: str, error: Exception) -> MediaError:
    reason = str(error) or type(error).__name__
    return MediaError(f"{name!r} cannot be read ({reason}); expected a video that opens for reading; check the address")
