"""A process that gets too little of something says of what, in one line, and leaves nothing behind."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.failures import explain
from tests.helpers.odd import greys, h264
from tests.helpers.processes import Command, Done
from tests.helpers.starvation import few_descriptors, little_memory, no_more_threads, nobody

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return h264(tmp_path_factory.mktemp("large") / "video.mp4", greys(40, 480, 640))


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users reach and may write to; those of pytest are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def starved(arguments: list[str], folder: Path, prepare: Callable[[], None]) -> Done:
    return Command(arguments, folder, prepare=prepare).wait()


def assert_one_sentence(done: Done, words: str, folder: Path) -> None:
    assert done.code in (1, 2)
    assert done.out == ""
    lines = done.err.splitlines()  # x264 itself says on standard error which of its blocks it did not get
    (line,) = (line for line in lines if not line.startswith("x264 [error]: "))
    assert line.startswith("vidcam: error: ")
    assert words in line
    assert {path.name for path in folder.iterdir()} <= {"standard-error", "standard-output", "video.mp4"}


@pytest.mark.parametrize("count", [6, 8, 12, 14, 20])
def test_few_open_files(count: int, video: Path, tmp_path: Path) -> None:
    done = starved(explain(video, tmp_path / "out"), tmp_path, partial(few_descriptors, count))
    assert_one_sentence(done, "open files", tmp_path)


@pytest.mark.parametrize("mebibytes", [10, 50, 150])
def test_little_memory(mebibytes: int, large: Path, tmp_path: Path) -> None:
    done = starved(explain(large, tmp_path / "out"), tmp_path, partial(little_memory, mebibytes))
    assert_one_sentence(done, "memory", tmp_path)


def test_no_more_threads(video: Path, public: Path) -> None:
    source = Path(shutil.copy(video, public))
    assert_one_sentence(starved(explain(source, public / "out"), public, no_more_threads), "ulimit -u", public)


@pytest.mark.parametrize("home", ["/nonexistent", "/proc"])
def test_a_user_without_a_home(home: str, video: Path, public: Path) -> None:
    """A shipped model needs no cache; weights that must be fetched do, and that is said before they are."""
    prepare, source = partial(nobody, Path(home)), Path(shutil.copy(video, public))
    arguments = ["explain", str(source), "-o", str(public / "out"), "--model", "i3d"]
    assert_one_sentence(starved(arguments, public, prepare), "set VIDCAM_CACHE to another folder", public)
    assert starved(explain(source, public / "out", outputs="data"), public, prepare).code == 0
