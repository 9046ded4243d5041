"""The folder in which fetched files are kept, and how a file gets into it whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from vidcam.errors import OutputError
from vidcam.system.signals import defer_signals

CACHE_VARIABLE = "VIDCAM_CACHE"


def cache_folder() -> Path:
    """The user's cache folder for vidcam; the environment variable VIDCAM_CACHE overrides it. It need not exist yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("vidcam", appauthor=False))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved over it when the block ends well and removed when it does not.

    Processes that write the same file at the same time each write their own; the last one to finish wins.

    Raises:
        OutputError: the folder cannot be made or written to.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as exc:
        raise OutputError(
            f"{path} cannot be written ({exc}); expected a cache folder with room that this user may write to; "
            f"set {CACHE_VARIABLE} to another folder"
        ) from exc
    finally:
        with defer_signals(), contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
