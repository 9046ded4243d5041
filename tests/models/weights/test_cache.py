from __future__ import annotations

import errno
from pathlib import Path

import platformdirs
import pytest

from vidcam.errors import OutputError, WeightsError
from vidcam.models.weights.cache import cache_folder, cache_write


def test_the_environment_variable_overrides_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDCAM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("VIDCAM_CACHE", "")
    assert cache_folder() == Path(platformdirs.user_cache_dir("vidcam", appauthor=False))
    monkeypatch.setenv("VIDCAM_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"


def test_the_folder_of_a_user_who_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDCAM_CACHE", "~nobody-at-all/cache")
    with pytest.raises(OutputError, match="VIDCAM_CACHE is '~nobody-at-all/cache', which has no such user"):
        cache_folder()


def test_cache_write_creates_the_folder_and_leaves_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    for content in ("first", "second"):
        with cache_write(path) as temporary:
            temporary.write_text(content)
            assert temporary.parent == path.parent
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path, error: Exception) -> None:
    with cache_write(path) as temporary:
        temporary.write_text("half")
        raise error


def test_cache_write_keeps_the_old_file_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_half(path, ZeroDivisionError())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_cache_write_reports_a_full_disk(tmp_path: Path) -> None:
    message = r"x cannot be written \(.*No space left on device\); set VIDCAM_CACHE to another folder"
    with pytest.raises(OutputError, match=message):
        write_half(tmp_path / "x", OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_cache_write_does_not_change_other_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^not the pinned ones$"), cache_write(tmp_path / "x"):
        raise WeightsError("not the pinned ones")
    assert list(tmp_path.iterdir()) == []


def test_cache_write_reports_an_invalid_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    message = r"x cannot be written \(.*\); set VIDCAM_CACHE to another folder"
    with pytest.raises(OutputError, match=message), cache_write(tmp_path / "file" / "x"):
        pass
