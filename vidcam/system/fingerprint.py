"""Compute fingerprints of bytes and files: SHA-256 of all bytes, or of a sample.

A sampled fingerprint is fast for files of any length. It covers the length of a file and evenly spaced blocks,
including the first and the last bytes. A file that is not longer than these blocks together is read completely. A
change between the blocks that keeps the length is not detected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TypeVar

CHUNK_BYTES = 1 << 20

Item = TypeVar("Item")


def sha256(files: Path | Iterable[Path]) -> str:
    """Compute the SHA-256 of a file, or of several files one after the other; hexadecimal.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in [files] if isinstance(files, Path) else files:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def digest_of(parts: Iterable[bytes | memoryview]) -> str:
    """Compute the SHA-256 of bytes in memory, one part after the other; hexadecimal."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def copy_and_hash(source: IO[bytes], destination: Path) -> str:
    """Copy a stream to a file, and return the SHA-256 of the bytes; hexadecimal."""
    digest = hashlib.sha256()
    with destination.open("wb") as target:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            target.write(chunk)
    return digest.hexdigest()


def sampled_sha256(files: Iterable[Path], *, blocks: int = 64, block_bytes: int = 1 << 20) -> str:
    """Compute the SHA-256 of the length and a sample of each file; hexadecimal.

    Args:
        files: each adds its length (8 bytes, big-endian) and its blocks.
        blocks: number of blocks read from each file, at least 2.
        block_bytes: length of a block.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, "big"))
        with path.open("rb") as file:
            for offset in _block_offsets(size, blocks, block_bytes):
                file.seek(offset)
                digest.update(file.read(block_bytes))
    return digest.hexdigest()


def source_fingerprint(source: str, *, blocks: int = 16, block_bytes: int = 1 << 16) -> str:
    """Compute a short fingerprint of a file or a folder of images.

    For a folder, it covers the names and lengths of all files, and the first block of at most `blocks` files.

    Args:
        source: a path; anything else gives ''.
        blocks: number of blocks, at least 2.
        block_bytes: length of a block.

    Returns:
        32 hexadecimal digits; '' if the source cannot be read as a file or folder.
    """
    path = Path(source)
    try:
        if path.is_dir():
            return _folder_fingerprint(path, blocks, block_bytes)
        if path.is_file():  # reading a pipe could block forever
            return sampled_sha256([path], blocks=blocks, block_bytes=block_bytes)[:32]
    except (OSError, ValueError):
        pass
    return ""


def _folder_fingerprint(folder: Path, blocks: int, block_bytes: int) -> str:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    digest = hashlib.sha256(repr([(file.name, file.stat().st_size) for file in files]).encode())
    for path in _evenly_spaced(files, blocks):
        with path.open("rb") as file:
            digest.update(file.read(block_bytes))
    return digest.hexdigest()[:32]


def _block_offsets(size: int, blocks: int, block_bytes: int) -> Sequence[int]:
    """Return where the blocks of a file begin."""
    if size <= blocks * block_bytes:
        return range(0, size, block_bytes)
    return [(size - block_bytes) * block // (blocks - 1) for block in range(blocks)]


def _evenly_spaced(items: Sequence[Item], count: int) -> Sequence[Item]:
    """Select at most `count` evenly spaced items, including the first and the last."""
    if len(items) <= count:
        return items
    return [items[(len(items) - 1) * number // (count - 1)] for number in range(count)]
