"""torch's cache of downloads: found as torch finds it, hashes compared, nothing half-fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vidcam.errors import WeightsError
from vidcam.models.weights.hub import checkpoint_folder, fetched, stated_digits

CONTENT = b"some weights"
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
URL = f"https://example.org/models/net-{DIGITS}.pth"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def downloading(do: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def download(_url: str, to: str, **_: object) -> None:
        do(Path(to))

    monkeypatch.setattr("torch.hub.download_url_to_file", download)


@pytest.mark.parametrize(
    "variables", [{"TORCH_HOME": "/a/b"}, {"XDG_CACHE_HOME": "/c"}, {"TORCH_HOME": "~/t", "XDG_CACHE_HOME": "/c"}, {}]
)
def test_the_folder_is_torchs_own(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert checkpoint_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_what_is_cached_is_not_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    (folder / f"net-{DIGITS}.pth").write_bytes(CONTENT)
    downloading(lambda _: pytest.fail("fetched"), monkeypatch)
    assert fetched(URL, megabytes=1) == folder / f"net-{DIGITS}.pth"


def test_a_cached_file_with_another_hash_is_not_used(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"net-{DIGITS}.pth").write_bytes(CONTENT + b"!")
    got = hashlib.sha256(CONTENT + b"!").hexdigest()
    with pytest.raises(
        WeightsError, match=rf"SHA-256 {got}, expected one that begins with {DIGITS}; it was not used: remove it"
    ):
        fetched(URL, megabytes=1)


@pytest.mark.parametrize("error", [OSError("unreachable"), RuntimeError("invalid hash value (expected x, got y)")])
def test_nothing_is_left_of_a_download_that_fails(
    error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    downloading(fail, monkeypatch)
    with pytest.raises(WeightsError, match=rf"net-{DIGITS}\.pth \(1 MB\) could not be fetched .*--weights FILE"):
        fetched(URL, megabytes=1)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"could not be fetched \(.*Not a directory"):
        fetched(URL, megabytes=1)


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("r3d_18-b3b3357e.pth", "b3b3357e"),
        ("mnasnet0.5_top1_67.823-3ffadce67e.pth", "3ffadce67e"),
        ("alexnet-owt-7be5be79.pth", "7be5be79"),
    ],
)
def test_the_digits_in_a_name(name: str, digits: str) -> None:
    assert stated_digits(name) == digits


def test_a_name_without_digits() -> None:
    with pytest.raises(WeightsError, match=r"net\.pth has no digits of its SHA-256 in its name"):
        stated_digits("net.pth")
