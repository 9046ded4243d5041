"""Which film an explanation belongs to: what the content hash sees, and what not, as its module says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from vidcam.origin import BLOCK_BYTES, BLOCKS, Origin, content_hash, origin_from


def sparse(path: Path, size: int, *, at: int | None = None) -> Path:
    """Zeros without a place on the disk, one byte of them changed."""
    with path.open("wb") as file:
        file.truncate(size)
        if at is not None:
            file.seek(at)
            file.write(b"\1")
    return path


def test_the_same_content_under_another_name_is_the_same(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a", "b"))
    first.write_bytes(b"film")
    second.write_bytes(b"film")
    assert content_hash([first]) == content_hash([second])
    assert len(content_hash([first])) == 64


@pytest.mark.parametrize("at", [0, 1_234_567, 3 * BLOCK_BYTES - 1])
def test_every_byte_of_a_short_film_counts(at: int, tmp_path: Path) -> None:
    plain, changed = (sparse(tmp_path / name, 3 * BLOCK_BYTES, at=place) for name, place in (("a", None), ("b", at)))
    assert content_hash([plain]) != content_hash([changed])


def test_of_a_long_film_the_length_the_ends_and_the_blocks_count(tmp_path: Path) -> None:
    size = 3 * BLOCKS * BLOCK_BYTES
    plain = content_hash([sparse(tmp_path / "a", size)])
    step = (size - BLOCK_BYTES) // (BLOCKS - 1)
    for at in (0, size - 1, step + 5):
        assert content_hash([sparse(tmp_path / "b", size, at=at)]) != plain
    assert content_hash([sparse(tmp_path / "b", size + 1)]) != plain
    assert content_hash([sparse(tmp_path / "b", size, at=BLOCK_BYTES + 7)]) == plain  # as the module says


def test_where_one_file_ends_and_the_next_begins_counts(tmp_path: Path) -> None:
    for name, content in {"a": b"12", "b": b"3", "c": b"1", "d": b"23"}.items():
        (tmp_path / name).write_bytes(content)
    assert content_hash([tmp_path / "a", tmp_path / "b"]) != content_hash([tmp_path / "c", tmp_path / "d"])


def test_comes_back_from_json() -> None:
    origin = Origin("../film.mp4", "ab" * 32, (0.5, 2.5), "25/2", (1.0, 2.0, 3.5))
    assert origin_from(json.loads(json.dumps(asdict(origin)))) == origin
