"""Open files and addresses are read like the file whose bytes they hold."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import fsspec
import numpy as np
import pytest

from tests.helpers.odd import COUNT, h264, level
from vidcam.errors import InputError, MediaError
from vidcam.video import open_video, probe
from vidcam.video.source import locate, source_stem


class OnlyRead(io.RawIOBase):
    """A pipe: it can neither seek nor tell."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(size)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return h264(tmp_path / "video.mp4")


def assert_read_whole(source: object, name: str) -> None:
    with open_video(source) as reader:  # type: ignore[arg-type]
        found = [float(frame.mean()) for _, frame in reader.frames()]
        (copy,) = reader.info.files
        assert copy.exists()
        assert (reader.info.path, reader.info.is_local) == (name, False)
    np.testing.assert_allclose(found, [level(index) for index in range(COUNT)], atol=2)
    assert not copy.parent.exists()


def test_an_open_file(path: Path) -> None:
    with path.open("rb") as file:
        assert_read_whole(file, "video.mp4")


def test_bytes_without_a_name(path: Path) -> None:
    assert_read_whole(io.BytesIO(path.read_bytes()), "stream")


def test_a_pipe(path: Path) -> None:
    assert_read_whole(OnlyRead(path.read_bytes()), "stream")


def test_an_address(path: Path) -> None:
    address = "memory://clips/video.mp4"
    with fsspec.open(address, "wb") as file:
        file.write(path.read_bytes())
    assert_read_whole(address, address)


def test_an_address_that_leads_nowhere() -> None:
    with pytest.raises(MediaError, match=r"'memory://none\.mp4' cannot be read .*; check the address"):
        open_video("memory://none.mp4")
    with pytest.raises(MediaError, match=r"'nothing://a\.mp4' cannot be read \(Protocol not known"):
        open_video("nothing://a.mp4")


def test_a_file_that_fails_while_it_is_read() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise RuntimeError("the line is dead")

    with pytest.raises(MediaError, match=r"'stream' cannot be read \(the line is dead\)"):
        open_video(Broken())  # type: ignore[arg-type]


def test_what_is_no_video_leaves_no_copy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(MediaError, match="'stream' cannot be read as video"):
        open_video(io.BytesIO(b"text"))
    assert not list(tmp_path.iterdir())


def test_a_file_that_looks_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory:").mkdir()
    h264(tmp_path / "memory:" / "a.mp4")
    monkeypatch.chdir(tmp_path)
    assert locate("memory://a.mp4").is_local


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a/video.mp4", "video"),
        ("memory://video.mp4", "video"),
        ("https://example.org/clips/video.mp4?token=a/b.c", "video"),
        ("zip://video.mp4::file.zip", "video"),
        ("stream", "stream"),
        ("C:\\video.mp4", "C:\\video"),
    ],
)
def test_stems(name: str, stem: str) -> None:
    assert source_stem(name) == stem


def test_a_rate_is_for_images(path: Path) -> None:
    with pytest.raises(InputError, match=r"fps is for images and arrays; .*video\.mp4' has its own"):
        probe(path, fps=Fraction(10))
    for fps in (Fraction(0), Fraction(-1), Fraction(2000)):
        with pytest.raises(InputError, match="expected more than 0 and at most 1000"):
            probe(path, fps=fps)
