"""Where a saved explanation comes from: which film, and how to tell that it is still the same one.

The content hash is SHA-256 over each file's length in bytes and, of a file of at most 64 MiB, all of its bytes; of a
longer one 64 blocks of 1 MiB, the first and the last bytes of the file among them and the rest spread evenly between.
So a film of two hours is recognised in a tenth of a second; a change that keeps the length and lies between the
blocks is not seen. (`source.sha256` in the JSON is that of every byte.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCKS, BLOCK_BYTES = 64, 1 << 20


@dataclass(frozen=True, slots=True)
class Origin:
    """The film behind an explanation, as far as drawing it again needs it.

    Attributes:
        path: relative to the folder of the saved explanation; the name of what was no file of that machine.
        content_hash: of its files; see above.
        span_seconds: the part of the film that was explained, [start, end).
        fps: images a second of a folder of images, as a fraction in text; None for a film.
        mean_rgb: the dataset's mean colour, in [0, 255], for what hides pixels.
    """

    path: str
    content_hash: str
    span_seconds: tuple[float, float]
    fps: str | None = None
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)


def content_hash(files: Sequence[Path]) -> str:
    """SHA-256 of lengths and content, as above, of files one after the other; hexadecimal.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "big"))
        with path.open("rb") as file:
            for place in _places(size):
                file.seek(place)
                digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


def origin_from(entry: Mapping[str, Any]) -> Origin:
    """What `dataclasses.asdict` made of an origin, back from JSON."""
    red, green, blue = entry["mean_rgb"]
    start, end = entry["span_seconds"]
    return Origin(entry["path"], entry["content_hash"], (start, end), entry["fps"], (red, green, blue))


def _places(size: int) -> Iterable[int]:
    """Where the blocks begin that are read."""
    if size <= BLOCKS * BLOCK_BYTES:
        return range(0, size, BLOCK_BYTES)
    return ((size - BLOCK_BYTES) * block // (BLOCKS - 1) for block in range(BLOCKS))
