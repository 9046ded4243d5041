"""Whether a clip's file is still the one that was scored: a short mark of its length and content, cheap for any length.

Of a file its length and 16 blocks of 64 KiB, the first and the last bytes among them and the rest spread evenly; of a
folder of images the names and lengths of all, and the first block of 16. A change that keeps the length and lies
between the blocks is not seen. (A time stamp alone would not do: copying a set back from another disk changes it.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from vidcam.errors import OutputError
from vidcam.pipelines.clipset import Entry
from vidcam.pipelines.parts import Parts

BLOCKS, BLOCK_BYTES = 16, 1 << 16

Item = TypeVar("Item")


def content_mark(source: str) -> str:
    """32 hexadecimal digits; empty of what is no file or folder that can be read here."""
    path, digest = Path(source), hashlib.sha256()
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file())
            digest.update(repr([(file.name, file.stat().st_size) for file in files]).encode())
            pieces = [(file, 0) for file in _spread(files)]
        elif path.is_file():  # a pipe would wait for ever
            size = path.stat().st_size
            digest.update(size.to_bytes(8, "big"))
            pieces = [(path, place) for place in _places(size)]
        else:
            return ""
        for file, place in pieces:
            with file.open("rb") as stream:
                stream.seek(place)
                digest.update(stream.read(BLOCK_BYTES))
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()[:32]


def require_unchanged(parts: Parts, entries: Sequence[Entry]) -> None:
    """Refuse a set of which a file is another one than when it was scored; one that is gone is not looked for.

    Raises:
        OutputError: the first such file.
    """
    mark = lru_cache(maxsize=4096)(content_mark)  # windows of one film are many clips
    for clip, content in parts.contents():
        now = mark(entries[clip].source)
        if now and now != content:
            raise OutputError(
                f"{entries[clip].name} is not the file that was scored: its content has changed, expected the same "
                f"clips to go on; put it back, choose another folder with -o, or pass --overwrite to begin anew"
            )


def _places(size: int) -> Sequence[int]:
    """Where the blocks of a file begin."""
    if size <= BLOCKS * BLOCK_BYTES:
        return range(0, size, BLOCK_BYTES)
    return [(size - BLOCK_BYTES) * block // (BLOCKS - 1) for block in range(BLOCKS)]


def _spread(items: Sequence[Item]) -> Sequence[Item]:
    """At most BLOCKS of them, the first and the last among them."""
    if len(items) <= BLOCKS:
        return items
    return [items[(len(items) - 1) * block // (BLOCKS - 1)] for block in range(BLOCKS)]
