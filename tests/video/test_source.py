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


# ---- file:// is a path


def test_an_address_of_this_machine_is_a_path(tmp_path: Path) -> None:
    path = h264(tmp_path / "a video.mp4")
    for source in (path.as_uri(), f"file://localhost{path}", f"file:{path}", f"local://{path}", Path(path.as_uri())):
        with open_video(source) as reader:
            assert (reader.info.path, reader.info.files, reader.info.is_local) == (str(path), (path,), True)


def test_a_device_is_no_video_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for source in ("file:///dev/zero", "local:///dev/zero", "simplecache::file:///dev/zero"):
        with pytest.raises(MediaError, match="'/dev/zero' is a pipe or a device; expected a file or a folder"):
            open_video(source)
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_machine_is_refused() -> None:
    with pytest.raises(MediaError, match="names a file of another machine, 'host'"):
        open_video("file://host/a.mp4")


# ---- the size of a copy


class Endless(io.RawIOBase):
    """A stream without an end."""

    def read(self, size: int = -1) -> bytes:
        return bytes(size)


def test_what_has_no_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("VIDCAM_MAX_MB", "3")
    with pytest.raises(MediaError, match=r"'stream' is larger than 3 MB; save it to a file .* or raise VIDCAM_MAX_MB"):
        open_video(Endless())  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_limit_of_a_copy_can_be_raised(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = path.read_bytes() + bytes(1_000_000)
    monkeypatch.setenv("VIDCAM_MAX_MB", "1")
    with pytest.raises(MediaError, match="larger than 1 MB"):
        open_video(io.BytesIO(content))
    monkeypatch.setenv("VIDCAM_MAX_MB", "2")
    assert probe(io.BytesIO(content)).frame_count == COUNT
    monkeypatch.setenv("VIDCAM_MAX_MB", "much")
    with pytest.raises(InputError, match="VIDCAM_MAX_MB is 'much'; set it to a number of megabytes"):
        open_video(io.BytesIO(content))


def test_an_error_while_reading_names_the_source_and_no_copy(path: Path) -> None:
    with open_video(io.BytesIO(path.read_bytes())) as reader:
        (copy,) = reader.info.files
        frames = reader.frames()
        next(frames)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vidcam.video.decoder.FrameDecoder._advance_to", _fail)
            with pytest.raises(MediaError, match="'stream' cannot be read as video") as caught:
                list(frames)
    assert str(copy.parent) not in str(caught.value)


def _fail(*_: object) -> None:
    raise OSError(5, "Input/output error")


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
