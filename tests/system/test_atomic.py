"""Files and folders are written completely or not at all, also after errors and signals."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from vidcam.errors import OutputError, RunError
from vidcam.system.atomic import atomic_write, hidden_folder, replace_folder
from vidcam.system.exchange import atomic_files, claimed_path


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_is_renamed_only_when_it_is_complete(tmp_path: Path, *, sync: bool) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("former")
    with atomic_write(path, sync=sync) as part:
        part.write_text("new")
        assert path.read_text() == "former"
        assert (part.parent, part.name[0], part.suffix) == (tmp_path, ".", ".csv")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_write_leaves_no_file(error: type[BaseException], tmp_path: Path) -> None:
    def write() -> None:
        with atomic_write(tmp_path / "a.csv") as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=r"a\.csv' cannot be written \(No space left on device\); free some disk space"),
        atomic_write(tmp_path / "a.csv"),
    ):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EMFILE, "allow more open files"), (errno.ENOMEM, "free some memory"), (errno.EIO, "check the disk")],
)
def test_the_disk_is_blamed_only_where_it_is_the_reason(number: int, advice: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=advice), atomic_write(tmp_path / "a.csv"):
        raise OSError(number, os.strerror(number))


def test_an_unusable_destination_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    for path, message in {
        tmp_path: "is a folder",
        tmp_path / "there": "exists already",
        tmp_path / "no" / "a": "does not exist",
    }.items():
        with pytest.raises(OutputError, match=message), atomic_write(path, overwrite=False):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_link_with_the_hidden_name_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.system.atomic.secrets.token_hex", lambda _: "00")
    (tmp_path / ".a.00.part.txt").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(OutputError, match=r"cannot be written \(File exists\); choose another folder"),
        atomic_write(tmp_path / "a.txt"),
    ):
        pass
    assert not (tmp_path / "elsewhere").exists()
    assert (tmp_path / ".a.00.part.txt").is_symlink()


def test_a_signal_while_the_hidden_file_is_created_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def interrupted(*arguments: object) -> int:
        descriptor = real(*arguments)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)
        return descriptor

    monkeypatch.setattr("vidcam.system.atomic.os.open", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_only_when_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    for number in range(2):
        with claimed_path(path, overwrite=True) as stage:
            stage.mkdir()
            (stage / f"{number}.png").touch()
            assert path.exists() == bool(number)
        assert [file.name for file in path.iterdir()] == [f"{number}.png"]
    with pytest.raises(ValueError, match="no"):
        _fail_in_folder(path)
    assert [file.name for file in path.iterdir()] == ["1.png"]
    assert list(tmp_path.iterdir()) == [path]


def _fail_in_folder(path: Path) -> None:
    with claimed_path(path, overwrite=True) as stage:
        stage.mkdir()
        (stage / "2.png").touch()
        raise ValueError("no")


def test_a_file_created_at_the_destination_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(OutputError, match="exists already"), atomic_write(path, overwrite=False):
        path.write_text("another program's")
    assert path.read_text() == "another program's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(OutputError, match="is a pipe or a device"), atomic_write(path):
            pass


def test_the_longest_names_that_the_system_allows(tmp_path: Path) -> None:
    for name in ("é" * 120 + ".mp4", "a." + "b" * 240):
        with atomic_write(tmp_path / name) as part:
            part.write_text("there")
        assert (tmp_path / name).read_text() == "there"


def test_a_new_folder_has_the_default_permissions(tmp_path: Path) -> None:
    former = os.umask(0o027)
    try:
        with claimed_path(tmp_path / "frames", overwrite=False) as stage:
            stage.mkdir()
    finally:
        os.umask(former)
    assert (tmp_path / "frames").stat().st_mode & 0o777 == 0o750


def test_the_former_folder_is_restored_if_it_cannot_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.mkdir()
    (path / "1.png").touch()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "not there", path)
    assert list(tmp_path.iterdir()) == [path]
    assert [file.name for file in path.iterdir()] == ["1.png"]


def test_a_folder_needs_a_parent(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no' does not exist"):
        hidden_folder(tmp_path / "no" / "frames")


def test_a_broken_link_counts_as_an_existing_file(tmp_path: Path) -> None:
    link = tmp_path / "a.txt"
    link.symlink_to(tmp_path / "later")
    with (
        pytest.raises(OutputError, match=r"a\.txt' exists already.*pass --overwrite \(in Python overwrite=True\)"),
        atomic_write(link, overwrite=False),
    ):
        pass
    with (
        pytest.raises(OutputError, match=r"a\.txt is in the way and is not from vidcam"),
        atomic_files(tmp_path, last="z", former=tuple) as stage,
    ):
        (stage / "a.txt").touch()
    assert link.is_symlink()
    assert list(tmp_path.iterdir()) == [link]
    with claimed_path(link, overwrite=True) as stage:  # the caller has checked that it may be replaced
        stage.mkdir()
    assert link.is_dir()
    assert not link.is_symlink()
