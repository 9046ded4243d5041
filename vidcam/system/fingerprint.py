"""Compute fingerprints of bytes and files: SHA-256 of all bytes, or of a sample.

A sampled fingerprint is fast for files of any length. It covers the length of a file and evenly spaced blocks,
including the first and the last bytes. A file that is not longer than these blocks together is read completely. A
change between the blocks that keeps the length is not detected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

CHUNK_BYTES = 1 << 20

_BLOCKS, _BLOCK_BYTES = 16, 1 << 16
"""Number and length of the blocks of `source_fingerprint`."""


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
            is_short = size <= blocks * block_bytes
            for offset in range(0, size, block_bytes) if is_short else _evenly_spaced(size - block_bytes, blocks):
                file.seek(offset)
                digest.update(file.read(block_bytes))
    return digest.hexdigest()


def source_fingerprint(source: str) -> str:
    """Compute a short fingerprint of the path of a file or a folder of images.

    For a folder, it covers the names and lengths of all files, and the first bytes of some.

    Returns:
        32 hexadecimal digits; '' if the source is no such path or cannot be read as a file or folder.
    """
    path = Path(source)
    try:
        if path.is_dir():
            return _folder_sha256(path)[:32]
        if path.is_file():  # reading a pipe could block forever
            return sampled_sha256([path], blocks=_BLOCKS, block_bytes=_BLOCK_BYTES)[:32]
    except (OSError, ValueError):
        pass
    return ""


def _folder_sha256(folder: Path) -> str:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    digest = hashlib.sha256(repr([(file.name, file.stat().st_size) for file in files]).encode())
    read = files if len(files) <= _BLOCKS else [files[index] for index in _evenly_spaced(len(files) - 1, _BLOCKS)]
    for path in read:
        with path.open("rb") as file:
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()


def _evenly_spaced(last: int, count: int) -> list[int]:
    """Return `count` integers from 0 to the last."""
    return [last * number // (count - 1) for number in range(count)]
