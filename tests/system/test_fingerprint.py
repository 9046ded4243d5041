"""Fingerprints: the changes that they detect, and those that they do not."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
from pathlib import Path

import pytest

from vidcam.system.fingerprint import copy_and_hash, digest_of, sampled_sha256, sha256, source_fingerprint

BLOCKS, BLOCK_BYTES = 64, 1 << 20
SOURCE_BLOCKS, SOURCE_BLOCK_BYTES = 16, 1 << 16


def test_sha256_covers_all_files_in_order(tmp_path: Path) -> None:
    for name, content in {"a": b"12", "b": b"3"}.items():
        (tmp_path / name).write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"12").hexdigest()
    assert sha256([tmp_path / "a", tmp_path / "b"]) == hashlib.sha256(b"123").hexdigest()


def test_copy_and_hash_copies_and_hashes(tmp_path: Path) -> None:
    content = os.urandom((1 << 20) + 5)
    assert copy_and_hash(io.BytesIO(content), tmp_path / "a") == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "a").read_bytes() == content


def sparse(path: Path, size: int, *, at: int | None = None) -> Path:
    """Write a sparse file of zeros, with one byte changed."""
    with path.open("wb") as file:
        file.truncate(size)
        if at is not None:
            file.seek(at)
            file.write(b"\1")
    return path


def test_the_file_name_does_not_count(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a", "b"))
    first.write_bytes(b"video")
    second.write_bytes(b"video")
    assert sampled_sha256([first]) == sampled_sha256([second])
    assert len(sampled_sha256([first])) == 64


@pytest.mark.parametrize("at", [0, 1_234_567, 3 * BLOCK_BYTES - 1])
def test_every_byte_of_a_short_video_counts(at: int, tmp_path: Path) -> None:
    plain, changed = (sparse(tmp_path / name, 3 * BLOCK_BYTES, at=byte) for name, byte in (("a", None), ("b", at)))
    assert sampled_sha256([plain]) != sampled_sha256([changed])


def test_for_a_long_video_length_ends_and_blocks_count(tmp_path: Path) -> None:
    size = 3 * BLOCKS * BLOCK_BYTES
    plain = sampled_sha256([sparse(tmp_path / "a", size)])
    step = (size - BLOCK_BYTES) // (BLOCKS - 1)
    for at in (0, size - 1, step + 5):
        assert sampled_sha256([sparse(tmp_path / "b", size, at=at)]) != plain
    assert sampled_sha256([sparse(tmp_path / "b", size + 1)]) != plain
    assert sampled_sha256([sparse(tmp_path / "b", size, at=BLOCK_BYTES + 7)]) == plain  # a change between the blocks


def test_the_boundary_between_files_counts(tmp_path: Path) -> None:
    for name, content in {"a": b"12", "b": b"3", "c": b"1", "d": b"23"}.items():
        (tmp_path / name).write_bytes(content)
    assert sampled_sha256([tmp_path / "a", tmp_path / "b"]) != sampled_sha256([tmp_path / "c", tmp_path / "d"])


def test_a_copy_has_the_same_source_fingerprint(tmp_path: Path) -> None:
    """The modification time does not count."""
    original, copy = tmp_path / "original.mp4", tmp_path / "copy.mp4"
    original.write_bytes(b"video" * 1000)
    shutil.copy(original, copy)
    os.utime(copy, (1, 1))
    assert source_fingerprint(str(original)) == source_fingerprint(str(copy)) != ""


@pytest.mark.parametrize("at", [0, 5 * SOURCE_BLOCK_BYTES + 3, -1])
@pytest.mark.parametrize("blocks", [6, SOURCE_BLOCKS, 40])
def test_another_byte_or_length_changes_the_source_fingerprint(at: int, blocks: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    content = bytearray(os.urandom(SOURCE_BLOCK_BYTES)) * blocks
    path.write_bytes(content)
    before = source_fingerprint(str(path))
    at = 0 if blocks > SOURCE_BLOCKS and at > 0 else at  # changes between the blocks are not detected
    content[at] ^= 1
    path.write_bytes(content)
    assert source_fingerprint(str(path)) != before
    content[at] ^= 1
    path.write_bytes(content + b"x")
    assert source_fingerprint(str(path)) != before


def test_for_a_folder_of_images_names_lengths_and_some_content_count(tmp_path: Path) -> None:
    fingerprints = set()
    for number in range(40):
        (tmp_path / f"{number:02}.png").write_bytes(b"image")
    for change in (lambda: None, (tmp_path / "00.png").unlink, lambda: (tmp_path / "39.png").write_bytes(b"imagf")):
        change()
        fingerprints.add(source_fingerprint(str(tmp_path)))
    assert len(fingerprints) == 3


def test_other_sources_have_no_fingerprint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source in ("memory://a.mp4", str(tmp_path / "nowhere.mp4"), str(tmp_path / "pipe"), "nul\0byte"):
        assert source_fingerprint(source) == ""


def test_bytes_in_memory_hash_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"video of bytes")
    assert digest_of([b"video", b"", b" of bytes"]) == sha256(path)
    assert digest_of([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
