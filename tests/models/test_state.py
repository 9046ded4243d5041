"""Weights from a user's file: what fits is loaded, all else is one sentence, and nothing in a file is ever run."""

from __future__ import annotations

import os
import pickle
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.models.test_model import LABELS, SPEC
from vidcam.errors import WeightsError
from vidcam.models import Model, ModelEntry, load_model
from vidcam.models.fetch import file_sha256
from vidcam.models.state import fill_from_file, read_state

State = dict[str, Tensor]


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.ReLU())


def factory() -> Model:
    return Model(SPEC, network(), LABELS, "my own")


def saved(path: Path, content: object, *, is_zip: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    return path


def written_as(kind: str, folder: Path, state: State) -> Path:
    if kind == "safetensors":
        save_file(state, folder / "w.safetensors")
        return folder / "w.safetensors"
    contents: dict[str, object] = {
        "state_dict": {"state_dict": state, "epoch": 3},
        "model": {"model": state, "optimizer": {"lr": 0.1}},
        "module.": {f"module.{key}": value for key, value in state.items()},
    }
    return saved(folder / "w.pth", contents.get(kind, state), is_zip=kind != "legacy")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "state_dict", "model", "module."])
def test_what_fits_is_loaded(kind: str, tmp_path: Path) -> None:
    wanted, module = network(seed=5).state_dict(), network()
    path = written_as(kind, tmp_path, wanted)
    assert fill_from_file(module, path, name="net") == f"{path.name}, sha256 {file_sha256(path)}"
    assert all(torch.equal(module.state_dict()[key], value) for key, value in wanted.items())


def test_the_name_says_nothing_about_what_a_file_is(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "w.pth")
    assert torch.equal(read_state(tmp_path / "w.pth")["a"], torch.ones(2))


def test_batch_counters_may_be_missing(tmp_path: Path) -> None:
    state = network(seed=5).state_dict()
    del state["1.num_batches_tracked"]
    module = network()
    fill_from_file(module, saved(tmp_path / "w.pth", state), name="net")
    assert torch.equal(module.state_dict()["0.weight"], state["0.weight"])


def test_names_are_changed_on_the_way(tmp_path: Path) -> None:
    old = {f"old.{key}": value for key, value in network(seed=5).state_dict().items()}
    module = network()
    path = saved(tmp_path / "w.pth", old)
    fill_from_file(module, path, name="net", rename=lambda s: {k.removeprefix("old."): v for k, v in s.items()})
    assert torch.equal(module.state_dict()["0.weight"], old["old.0.weight"])


def without(state: State) -> State:
    return {key: value for key, value in state.items() if key != "0.bias"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, r"of its 7 tensors 1 missing \(0\.bias\); expected weights of this very network"),
        (lambda s: {**s, "fc.weight": torch.ones(2)}, r"1 unexpected \(fc\.weight\)"),
        (lambda s: {**s, "0.bias": torch.ones(5)}, r"1 of another shape \(0\.bias \(5,\) for \(4,\)\)"),
        (lambda s: {**s, "0.bias": torch.ones(4, dtype=torch.long)}, r"1 of another kind \(0\.bias torch\.int64 for"),
        (lambda _: {"conv1.weight": torch.ones(2)}, r"6 missing \(0\.weight, .*\) and 1 unexpected \(conv1\.weight\)"),
    ],
)
def test_weights_of_another_network(change: Callable[[State], State], message: str, tmp_path: Path) -> None:
    module = network()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    path = saved(tmp_path / "w.pth", change(network(seed=5).state_dict()))
    with pytest.raises(WeightsError, match=rf"the weights in w\.pth do not fit 'net': .*{message}"):
        fill_from_file(module, path, name="net")
    assert all(torch.equal(module.state_dict()[key], value) for key, value in before.items())


class Hostile:
    """A pickle that makes a folder when it is loaded plainly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["zip", "legacy", "bare"])
def test_code_is_not_run(kind: str, tmp_path: Path) -> None:
    content = {"0.weight": torch.ones(2), "x": Hostile(tmp_path / "ran")}
    path = tmp_path / "w.pth"
    if kind == "bare":
        path.write_bytes(pickle.dumps(content["x"], protocol=2))
    else:
        saved(path, content, is_zip=kind == "zip")
    with pytest.raises(
        WeightsError, match=r"w\.pth (names posix\.mkdir, expected tensors and nothing that runs|cannot)"
    ):
        read_state(path)
    assert not (tmp_path / "ran").exists()


def test_a_whole_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"names torch\.nn\.\S+, expected tensors .*save the network's state_dict"):
        read_state(saved(tmp_path / "w.pth", network()))


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_file_that_lacks_its_end(kind: str, share: float, tmp_path: Path) -> None:
    path = written_as(kind, tmp_path, {"a": torch.ones(1000)})
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(
        WeightsError, match=r"cannot be read as weights \(.*\); expected what torch\.save wrote"
    ) as found:
        read_state(path)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 no archive", b"\x80\x02.", b"[1, 2, 3]{}"])
def test_a_file_that_is_something_else(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"cannot be read as weights"):
        read_state(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.ones(2), "holds a Tensor, expected a state_dict of named tensors"),
        ({}, "holds nothing, expected"),
        ({"a": 3}, "holds a int under 'a', expected"),
        ({3: torch.ones(2)}, "holds a Tensor under '3', expected"),
        ({"state_dict": {}}, "holds nothing, expected"),
    ],
)
def test_other_contents(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        read_state(saved(tmp_path / "w.pth", content))


def test_a_checkpoint_with_options_in_it(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {"model": network().state_dict(), "args": Namespace(lr=0.1)})
    with pytest.raises(WeightsError, match=r"names argparse\.Namespace, expected tensors"):
        read_state(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth cannot be opened \(No such file .*\.pth, \.pt, \.safetensors"):
        read_state(tmp_path / "none.pth")
    with pytest.raises(WeightsError, match=r"cannot be opened \(Is a directory\)"):
        read_state(tmp_path)


def test_load_model_with_a_file(tmp_path: Path) -> None:
    wanted = network(seed=5).state_dict()
    path = saved(tmp_path / "w.pth", wanted)
    entry = ModelEntry(SPEC, network, lambda *_: pytest.fail("fetched"), lambda: LABELS)
    for name in (entry, f"{__name__}:factory"):
        model = load_model(name, device="cpu", weights=path)
        assert torch.equal(model.module.state_dict()["0.weight"], wanted["0.weight"])
        assert model.weights == f"w.pth, sha256 {file_sha256(path)}"


def test_an_entry_may_read_files_itself(tmp_path: Path) -> None:
    entry = ModelEntry(SPEC, network, lambda *_: "", lambda: LABELS, load_file=lambda _, path: f"read {path.name}")
    assert load_model(entry, device="cpu", weights=tmp_path / "w.h5").weights == "read w.h5"
