from __future__ import annotations

from pathlib import Path

import pytest

from vidcam.errors import RunError
from vidcam.pipelines.whole_files import written_whole


def test_it_is_there_only_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("former")
    with written_whole(path) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "former"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_one_that_fails(error: type[BaseException], tmp_path: Path) -> None:
    def write() -> None:
        with written_whole(tmp_path / "a.csv") as unfinished:
            unfinished.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    def write() -> None:
        with written_whole(tmp_path / "a.csv"):
            raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match=r"a\.csv could not be written \(No space left on device\), expected room"):
        write()
