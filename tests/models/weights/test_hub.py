"""torch.hub's cache: its folder, the check of the hash, and failed downloads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from vidcam.errors import WeightsError
from vidcam.models.weights.hub import checkpoint_folder, fetch_url, hash_prefix

CONTENT = b"some weights"
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
URL = f"https://example.org/models/net-{DIGITS}.pth"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def patch_download(write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def download(_url: str, to: str, **_: object) -> None:
        write(Path(to))

    monkeypatch.setattr("torch.hub.download_url_to_file", download)


@pytest.mark.parametrize(
    "variables", [{"TORCH_HOME": "/a/b"}, {"XDG_CACHE_HOME": "/c"}, {"TORCH_HOME": "~/t", "XDG_CACHE_HOME": "/c"}, {}]
)
def test_the_folder_is_torch_hubs(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert checkpoint_folder() == Path(torch.hub.get_dir()) / "checkpoints"


def test_a_cached_file_is_not_downloaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    (folder / f"net-{DIGITS}.pth").write_bytes(CONTENT)
    patch_download(lambda _: pytest.fail("downloaded"), monkeypatch)
    assert fetch_url(URL, megabytes=1) == folder / f"net-{DIGITS}.pth"


def test_a_cached_file_with_a_wrong_hash_is_refused(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / f"net-{DIGITS}.pth").write_bytes(CONTENT + b"!")
    digest = hashlib.sha256(CONTENT + b"!").hexdigest()
    with pytest.raises(
        WeightsError, match=rf"SHA-256 {digest}, expected one that begins with {DIGITS}; delete the file"
    ):
        fetch_url(URL, megabytes=1)


@pytest.mark.parametrize("error", [OSError("unreachable"), RuntimeError("invalid hash value (expected x, got y)")])
def test_a_failed_download_leaves_no_file(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    patch_download(fail, monkeypatch)
    with pytest.raises(WeightsError, match=rf"net-{DIGITS}\.pth \(1 MB\) cannot be downloaded .*--weights FILE"):
        fetch_url(URL, megabytes=1)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot be downloaded \(.*Not a directory"):
        fetch_url(URL, megabytes=1)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("r3d_18-b3b3357e.pth", "b3b3357e"),
        ("mnasnet0.5_top1_67.823-3ffadce67e.pth", "3ffadce67e"),
        ("alexnet-owt-7be5be79.pth", "7be5be79"),
    ],
)
def test_hash_prefix(name: str, prefix: str) -> None:
    assert hash_prefix(name) == prefix


def test_a_name_without_a_hash_prefix() -> None:
    with pytest.raises(
        WeightsError, match=r"net\.pth cannot be checked: its name has no SHA-256 digits.*--weights FILE"
    ):
        hash_prefix("net.pth")
