"""Load weights from a user's file into a network, or refuse the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.models.test_model import LABELS, SPEC
from vidcam.errors import WeightsError
from vidcam.models.entry import ModelEntry
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.models.weights.state import load_weights_file
from vidcam.system.fingerprint import sha256

State = dict[str, Tensor]


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.ReLU())


def factory() -> Model:
    return Model(SPEC, network(), LABELS, "my own")


def save(path: Path, content: object, *, is_zip: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    return path


def save_as(kind: str, folder: Path, state: State) -> Path:
    if kind == "safetensors":
        save_file(state, folder / "w.safetensors")
        return folder / "w.safetensors"
    contents: dict[str, object] = {
        "state_dict": {"state_dict": state, "epoch": 3},
        "model": {"model": state, "optimizer": {"lr": 0.1}},
        "module.": {f"module.{key}": value for key, value in state.items()},
    }
    return save(folder / "w.pth", contents.get(kind, state), is_zip=kind != "legacy")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "state_dict", "model", "module."])
def test_formats_of_a_weights_file(kind: str, tmp_path: Path) -> None:
    expected, module = network(seed=5).state_dict(), network()
    path = save_as(kind, tmp_path, expected)
    assert load_weights_file(module, path, name="net") == f"{path.name}, sha256 {sha256(path)}"
    assert all(torch.equal(module.state_dict()[key], value) for key, value in expected.items())


def test_batch_counters_may_be_missing(tmp_path: Path) -> None:
    state = network(seed=5).state_dict()
    del state["1.num_batches_tracked"]
    module = network()
    load_weights_file(module, save(tmp_path / "w.pth", state), name="net")
    assert torch.equal(module.state_dict()["0.weight"], state["0.weight"])


def test_rename(tmp_path: Path) -> None:
    old = {f"old.{key}": value for key, value in network(seed=5).state_dict().items()}
    module = network()
    path = save(tmp_path / "w.pth", old)
    load_weights_file(module, path, name="net", rename=lambda s: {k.removeprefix("old."): v for k, v in s.items()})
    assert torch.equal(module.state_dict()["0.weight"], old["old.0.weight"])


def without_bias(state: State) -> State:
    return {key: value for key, value in state.items() if key != "0.bias"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_bias, r"\(7 tensors\): 1 missing \(0\.bias\)$"),
        (lambda s: {**s, "fc.weight": torch.ones(2)}, r"1 unexpected \(fc\.weight\)"),
        (lambda s: {**s, "0.bias": torch.ones(5)}, r"1 with a wrong shape \(0\.bias \(5,\) instead of \(4,\)\)"),
        (lambda s: {**s, "0.bias": torch.ones(4, dtype=torch.long)}, r"1 with a wrong dtype \(0\.bias torch\.int64 in"),
        (lambda _: {"conv1.weight": torch.ones(2)}, r"6 missing \(0\.weight, .*\), 1 unexpected \(conv1\.weight\)"),
    ],
)
def test_weights_of_another_network(change: Callable[[State], State], message: str, tmp_path: Path) -> None:
    module = network()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    path = save(tmp_path / "w.pth", change(network(seed=5).state_dict()))
    with pytest.raises(WeightsError, match=rf"the weights in w\.pth do not fit model 'net' .*{message}"):
        load_weights_file(module, path, name="net")
    assert all(torch.equal(module.state_dict()[key], value) for key, value in before.items())


def test_a_keras_file_is_only_for_c3d(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as stored:
        stored["a"] = np.zeros(4, "f4")
    with pytest.raises(WeightsError, match=r"w\.h5 are Keras HDF5, which only C3D accepts; for 'net'"):
        load_weights_file(network(), tmp_path / "w.h5", name="net")


def test_load_model_with_a_file(tmp_path: Path) -> None:
    expected = network(seed=5).state_dict()
    path = save(tmp_path / "w.pth", expected)
    entry = ModelEntry(SPEC, network, lambda *_: pytest.fail("downloaded"), lambda: LABELS)
    for name in (entry, f"{__name__}:factory"):
        model = load_model(name, device="cpu", weights=path)
        assert torch.equal(model.module.state_dict()["0.weight"], expected["0.weight"])
        assert model.weights == f"w.pth, sha256 {sha256(path)}"


def test_an_entry_with_load_file(tmp_path: Path) -> None:
    entry = ModelEntry(SPEC, network, lambda *_: "", lambda: LABELS, load_file=lambda _, path: f"read {path.name}")
    (tmp_path / "w.h5").touch()
    assert load_model(entry, device="cpu", weights=tmp_path / "w.h5").weights == "read w.h5"
