"""Files that are there whole or not at all: written under another name, brought to the disk, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidcam.errors import RunError
from vidcam.interrupts import held_back

UNFINISHED = ".unfinished"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Another name to write to; it becomes `path` when the block ends well, and is deleted when it does not.

    Raises:
        RunError: the disk is full or the like.
    """
    unfinished = path.with_name(f".{path.name}{UNFINISHED}")
    try:
        yield unfinished
        with held_back():
            _to_disk(unfinished)
            unfinished.replace(path)
    except OSError as exc:
        raise RunError(
            f"{path} could not be written ({exc.strerror or exc}), expected room and permission to write; see to that "
            f"and run again, what is there goes on"
        ) from exc
    finally:
        unfinished.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
