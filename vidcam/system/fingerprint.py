"""Fingerprints of bytes and of files: SHA-256 of all bytes, or of blocks spread over them, cheap for any length.

A sampled fingerprint reads the length of a file and evenly spread blocks, the first and the last bytes among them; a
file that is no longer than these blocks is read whole. A change that keeps the length and lies between the blocks is
not seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TypeVar

CHUNK_BYTES = 1 << 20

Item = TypeVar("Item")


def sha256(files: Path | Iterable[Path]) -> str:
    """SHA-256 of the content of a file, or of several one after the other; hexadecimal.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in [files] if isinstance(files, Path) else files:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def digest_of(parts: Iterable[bytes]) -> str:
    """SHA-256 of bytes in memory, one part after the other; hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def copy_and_hash(source: IO[bytes], destination: Path) -> str:
    """Copy a stream to a file; returns the SHA-256 of the bytes, hexadecimal."""
    digest = hashlib.sha256()
    with destination.open("wb") as target:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


def sampled_sha256(files: Iterable[Path], *, blocks: int = 64, block_bytes: int = 1 << 20) -> str:
    """SHA-256 over each file's length (8 bytes, big-endian) and `blocks` blocks of its content; hexadecimal.

    Args:
        files: one after the other.
        blocks: read of each file, at least 2.
        block_bytes: length of each.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "big"))
        with path.open("rb") as file:
            for place in _places(size, blocks, block_bytes):
                file.seek(place)
                digest.update(file.read(block_bytes))
    return digest.hexdigest()


def source_mark(source: str, *, blocks: int = 16, block_bytes: int = 1 << 16) -> str:
    """A short mark of a file or of a folder of images: 32 hexadecimal digits; '' of what cannot be read here.

    Of a folder the names and lengths of all its files count, and the first block of `blocks` of them.
    """
    path = Path(source)
    try:
        if path.is_dir():
            return _folder_mark(path, blocks, block_bytes)
        if path.is_file():  # a pipe would wait for ever
            return sampled_sha256([path], blocks=blocks, block_bytes=block_bytes)[:32]
    except (OSError, ValueError):
        pass
    return ""


def _folder_mark(folder: Path, blocks: int, block_bytes: int) -> str:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    digest = hashlib.sha256(repr([(file.name, file.stat().st_size) for file in files]).encode())
    for path in spread(files, blocks):
        with path.open("rb") as file:
            digest.update(file.read(block_bytes))
    return digest.hexdigest()[:32]


def _places(size: int, blocks: int, block_bytes: int) -> Sequence[int]:
    """Where the blocks of a file begin."""
    if size <= blocks * block_bytes:
        return range(0, size, block_bytes)
    return [(size - block_bytes) * block // (blocks - 1) for block in range(blocks)]


def spread(items: Sequence[Item], count: int) -> Sequence[Item]:
    """At most `count` of the items, evenly, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[(len(items) - 1) * place // (count - 1)] for place in range(count)]
