"""The folder in which fetched files are kept, and how a file gets into it whole or not at all."""

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
    """The user's cache folder for vidcam; the environment variable VIDCAM_CACHE overrides it. It need not exist yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("vidcam", appauthor=False))


@contextmanager
def cache_write(path: Path) -> Iterator[Path]:
    """A path to write to, as `atomic_write` gives it; the folder of the cache is made if it is not there.

    Raises:
        OutputError: the folder cannot be made, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            yield part
    except (OSError, OutputError, RunError) as exc:
        raise OutputError(
            f"{path} cannot be written ({exc.__cause__ or exc}); expected a cache folder with room that this user may "
            f"write to; set {CACHE_VARIABLE} to another folder"
        ) from exc
