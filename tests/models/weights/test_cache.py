from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from vidcam.errors import OutputError
from vidcam.models.weights.cache import cache_folder, replacing


def test_the_variable_overrides_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDCAM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("VIDCAM_CACHE", "")
    assert cache_folder() == Path(platformdirs.user_cache_dir("vidcam", appauthor=False))
    monkeypatch.setenv("VIDCAM_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"


def test_replacing_makes_the_folder_and_leaves_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    for content in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(content)
            assert temporary.parent == path.parent
        assert path.read_text() == content
    assert list(path.parent.iterdir()) == [path]


def write_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError


def test_replacing_keeps_the_old_file_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_says_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    message = r"x cannot be written \(.*\); expected a cache folder .* VIDCAM_CACHE"
    with pytest.raises(OutputError, match=message), replacing(tmp_path / "file" / "x"):
        pass
