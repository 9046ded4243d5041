"""Several files appear together or not at all, from one run at a time, also after a kill."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from vidcam.errors import OutputError
from vidcam.system import exchange
from vidcam.system.exchange import atomic_files, claimed_folder, claimed_path, require_free

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")


def files(folder: Path, *former: str) -> AbstractContextManager[Path]:
    return atomic_files(folder, last="z", former=lambda: former)


def test_several_files_replace_the_former_ones(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with files(folder) as stage:
        for name in "azb":
            (stage / name).write_text("one")
        assert [path.name[0] for path in folder.iterdir()] == ["."]
    with files(folder, "a", "b", "z", "absent") as stage:
        for name in "az":
            (stage / name).write_text("two")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "two", "z": "two"}
    assert (folder.stat().st_mode & 0o777) == (tmp_path / "deep").stat().st_mode & 0o777


def test_a_signal_is_deferred_while_files_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        signal.raise_signal(signal.SIGINT)
        return real(self, target)

    def write() -> None:
        with files(tmp_path / "out") as stage:
            for name in "az":
                (stage / name).touch()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "z"]


def killed(work: Callable[[], None]) -> None:
    """Run something in a copy of this process, which must kill itself."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def kill_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, renamed = Path.rename, iter(range(count + 1))

    def rename(self: Path, target: Path) -> Path:
        if next(renamed) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)


@pytest.mark.parametrize("renames", range(5))
def test_what_a_killed_run_left_is_swept_and_put_back(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two former files are put aside, three new ones moved in; whenever it is killed, the next run mends it."""
    with files(tmp_path) as stage:
        for name in "az":
            (stage / name).write_text("old")

    def work() -> None:
        kill_after(renames, monkeypatch)
        with files(tmp_path, "a", "z") as stage:
            for name in "abz":
                (stage / name).write_text("new")

    killed(work)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    with claimed_folder(tmp_path / "z"):
        assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {
            "a": "old",
            "z": "old",
        }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "z"]


def test_a_second_run_is_refused_before_its_work(tmp_path: Path) -> None:
    with claimed_folder(tmp_path / "z"):
        with pytest.raises(OutputError, match=r"another run is writing '.*z'; wait for it"), files(tmp_path):
            pytest.fail("it was not refused")
        with pytest.raises(OutputError, match="another run is writing"):
            require_free(tmp_path / "z")
        require_free(tmp_path / "y")
        require_free(tmp_path / "absent" / "z")
        with (
            claimed_folder(tmp_path / "y"),
            claimed_folder(tmp_path / ("z" * 100)),
            claimed_folder(tmp_path / ("z" * 99)),
        ):
            pass
    require_free(tmp_path / "z")
    assert not list(tmp_path.iterdir())


def test_files_are_written_into_a_claimed_folder(tmp_path: Path) -> None:
    """As `explain -o out.mp4` does. A lock that waits for itself never ends."""
    with claimed_folder(tmp_path / "out.mp4") as hidden:
        with atomic_files(hidden, last="video.json", former=frozenset) as folder:
            (folder / "video.json").write_text("{}")
        assert (hidden / "video.json").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_move_is_taken_back_once_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run fails, puts the former files back, and is killed before it has removed its hidden folder."""
    (tmp_path / "a").write_text("old")
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if target == tmp_path / "z":
            raise OSError(errno.ENOSPC, "no space")
        return real(self, target)

    def write() -> None:
        with files(tmp_path, "a") as stage:
            for name in "az":
                (stage / name).write_text("new")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(OutputError, match="no space"):
            write()
    with claimed_folder(tmp_path / "z"):
        assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_hidden_folder_of_a_stranger_moves_nothing_elsewhere(tmp_path: Path) -> None:
    """An unpacked archive may hold one."""
    private, out = tmp_path / "private", tmp_path / "out"
    private.mkdir()
    (private / "key").touch()
    for number, name in ((0, "../private/key"), (1, "z")):
        hidden = out / f".z.{number:016x}.part"
        (hidden / "new").mkdir(parents=True)
        (hidden / "new" / "z").touch()
        (hidden / "names").write_bytes(f"{name}\0z\0".encode())
        (hidden / "old").symlink_to(private)
    (out / f".z.{2:016x}.part").symlink_to(private)
    os.mkfifo(out / f".z.{3:016x}.part")
    with claimed_folder(out / "z"):
        pass
    assert [path.name for path in private.iterdir()] == ["key"]
    assert not (out / "key").exists()


def test_a_child_that_goes_on_holds_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hidden folder of the run cannot be removed; the next run must sweep it, though the child lives."""
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with claimed_folder(tmp_path / "z") as former:
            child = os.fork()
            if child == 0:
                signal.pause()
    assert former.exists()
    try:
        with claimed_folder(tmp_path / "z"):
            assert not former.exists()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_folder_that_another_program_has_locked_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `flock out vidcam …` does."""
    monkeypatch.setattr(exchange, "_MOST_SECONDS", 0.05)
    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with claimed_folder(tmp_path / "z"), pytest.raises(OutputError, match="another run is writing"):
        require_free(tmp_path / "z")
    os.close(lock)


def test_without_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with claimed_folder(tmp_path / "z") as first:
        with claimed_folder(tmp_path / "z"):
            assert first.exists()
        assert first.exists()
    assert not list(tmp_path.iterdir())


def test_a_claimed_place_becomes_the_file_or_the_folder(tmp_path: Path) -> None:
    for name, write in (("a", Path.touch), ("b", Path.mkdir)):
        for overwrite in (False, True):
            with claimed_path(tmp_path / name, overwrite=overwrite) as hidden:
                write(hidden)
        with (
            pytest.raises(OutputError, match="exists already"),
            claimed_path(tmp_path / name, overwrite=False) as hidden,
        ):
            write(hidden)
    assert [(path.name, path.is_dir()) for path in sorted(tmp_path.iterdir())] == [("a", False), ("b", True)]


def test_nothing_is_left_of_a_claimed_place_that_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with claimed_path(tmp_path / "a", overwrite=False) as hidden:
            hidden.touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []
