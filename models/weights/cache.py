"""The cache folder for downloads. A file in it is either complete or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from vidcam.errors import OutputError, RunError
from vidcam.system.atomic import atomic_write

CACHE_VARIABLE = "VIDCAM_CACHE"


def cache_folder() -> Path:
    """Return vidcam's cache folder. The environment variable VIDCAM_CACHE overrides it. It may not exist yet.

    Raises:
        OutputError: VIDCAM_CACHE is in the home of a user who does not exist.
    """
    override = os.environ.get(CACHE_VARIABLE)
    try:
        own = Path(override).expanduser() if override else None
    except RuntimeError as exc:
        raise OutputError(f"{CACHE_VARIABLE} is {override!r}, which has no such user; set it to a folder") from exc
    return own if own is not None else Path(platformdirs.user_cache_dir("vidcam", appauthor=False))


@contextmanager
def cache_write(path: Path) -> Iterator[Path]:
    """Write a file of the cache atomically, as `atomic_write` does. Create the cache folder if needed.

    Yields:
        The temporary path to write to.

    Raises:
        OutputError: the folder cannot be created, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary_path:
            yield temporary_path
    except (OSError, OutputError, RunError) as exc:
        raise OutputError(
            f"{path} cannot be written ({exc.__cause__ or exc}); set {CACHE_VARIABLE} to another folder"
        ) from exc
