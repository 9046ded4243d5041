from __future__ import annotations

import os
import pickle
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vidcam.errors import WeightsError
from vidcam.models.weights.files import WeightsFile, read_weights

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(4, dtype=torch.float16)}


def read(path: Path) -> WeightsFile:
    return read_weights(path, max_numbers=100)


def as_torch(path: Path) -> None:
    torch.save(STATE, path)


def as_old_torch(path: Path) -> None:
    torch.save(STATE, path, _use_new_zipfile_serialization=False)


def as_checkpoint(path: Path) -> None:
    torch.save({"epoch": 3, "meta": {"seed": 1, "CLASSES": ["a"]}, "state_dict": STATE}, path)


def as_model(path: Path) -> None:
    torch.save({"model": STATE, "optimizer": {"lr": 0.1}}, path)


def as_model_state_dict(path: Path) -> None:
    torch.save({"model_state_dict": STATE, "model": "resnet"}, path)


def as_data_parallel(path: Path) -> None:
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in STATE.items()}}, path)


def as_data_parallel_safetensors(path: Path) -> None:
    save_file({f"module.{name}": tensor for name, tensor in STATE.items()}, path, {"labels": "[]"})


def as_module_state(path: Path) -> None:
    net = nn.Module()
    net.a, net.b = nn.Module(), nn.Module()
    net.a.weight, net.b.bias = nn.Parameter(STATE["a.weight"]), nn.Parameter(STATE["b.bias"])
    torch.save(net.state_dict(keep_vars=True), path)  # parameters that want gradients


def as_safetensors(path: Path) -> None:
    save_file(STATE, path, {"labels": "[]"})


WRITERS = [
    as_torch,
    as_old_torch,
    as_checkpoint,
    as_model,
    as_model_state_dict,
    as_data_parallel,
    as_data_parallel_safetensors,
    as_module_state,
    as_safetensors,
]


@pytest.mark.parametrize("write", WRITERS)
def test_the_content_decides_the_format(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    write(path)
    file = read(path)
    assert not file.is_keras
    assert file.metadata == ({"labels": "[]"} if "safetensors" in write.__name__ else {})
    assert list(file.tensors) == list(STATE)
    for name, tensor in file.tensors.items():
        assert not tensor.requires_grad
        torch.testing.assert_close(tensor, STATE[name], rtol=0, atol=0)


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_safetensors_header_whose_length_looks_like_a_pickle(length: int, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    save_file(STATE, path, {"note": ""})
    bare = int.from_bytes(path.read_bytes()[:8], "little")
    save_file(STATE, path, {"note": (length - bare) * "x"})
    assert path.read_bytes()[:8] == length.to_bytes(8, "little")
    assert list(read(path).tensors) == list(STATE)


def test_keras(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    with h5py.File(path, "w") as stored:
        stored.attrs["backend"] = "theano"
        stored.attrs["model_config"] = '{"class_name": "Sequential", "config": [{"data_format": "channels_first"}]}'
        stored.create_group("model_weights/pool")
        stored["model_weights/conv/conv_W"] = np.arange(6.0).reshape(2, 3).astype(">f8")
        stored["optimizer_weights/iterations"] = np.int64(3)
    file = read(path)
    assert file.is_keras
    assert file.metadata == {"backend": "theano", "data_format": "channels_first"}
    assert list(file.tensors) == ["conv/conv_W"]
    torch.testing.assert_close(file.tensors["conv/conv_W"], STATE["a.weight"])


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("share", [0.99, 0.5, 0.1])
def test_a_truncated_file(write: Callable[[Path], None], share: float, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(
        WeightsError, match=r"^weights weights (cannot be read \(.*download it again|have an unknown format)"
    ) as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
def test_a_truncated_keras_file(share: float, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with h5py.File(path, "w") as stored:
        stored["a"] = np.zeros(1000)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match=r"^weights weights cannot be read \(.*truncated"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"no weights", b"[]" * 50, b"PK\x05\x06" + bytes(18)])
def test_an_unknown_format(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"^weights weights have an unknown format .*; pass safetensors, PyTorch .* or Keras"
    ):
        read(path)


def test_a_missing_file(tmp_path: Path) -> None:
    for path, reason in [(tmp_path / "none.pt", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(WeightsError, match=rf"weights '.*' cannot be read \({reason}"):
            read(path)


class Hostile:
    """Creates a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("form", ["zip", "old", "bare"])
def test_a_pickle_with_code(form: str, tmp_path: Path) -> None:
    path, mark = tmp_path / "weights.pt", tmp_path / "executed"
    content = {"state_dict": {**STATE, "c": Hostile(mark)}}
    if form == "bare":
        path.write_bytes(pickle.dumps(Hostile(mark), protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(
        WeightsError, match=r"weights\.pt (contain Python objects \(posix\.mkdir\), not only tensors|cannot be)"
    ):
        read(path)
    assert not mark.exists()


@pytest.mark.parametrize("protocol", [4, 5])
def test_the_message_does_not_advise_to_run_a_pickle(protocol: int, tmp_path: Path) -> None:
    path, mark = tmp_path / "weights.pt", tmp_path / "executed"
    path.write_bytes(pickle.dumps({"a": Hostile(mark)}, protocol=protocol))
    with pytest.raises(WeightsError, match=r"weights\.pt cannot be read without running code \(") as caught:
        read(path)
    assert "nothing was run" in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert not mark.exists()


def test_a_checkpoint_with_training_options(tmp_path: Path) -> None:
    torch.save({"model": STATE, "args": Namespace(lr=0.1)}, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"w\.pt contain Python objects \(argparse\.Namespace\), not only tensors"):
        read(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [b"PK\x03\x04 no archive", b"\x80\x02.", bytes(8) + b"{ no header"])
def test_a_file_with_only_a_valid_first_byte(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"^weights w\.pth cannot be read \(.+\); the file is damaged"):
        read(tmp_path / "w.pth")


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"net\.pt contain Python objects \(torch\.nn\.modules\.linear\.Linear\)"):
        read(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("content", "description"),
    [
        ([torch.ones(2)], "a list"),
        ({"net": STATE}, r"\{'net': dict\}"),
        ({"state_dict": {"a": 3}}, r"\{'a': int\}"),
        ({"state_dict": None}, r"\{'state_dict': NoneType\}"),
        ({"state_dict": {}}, "nothing"),
        ({}, "nothing"),
        ({3: torch.ones(2)}, r"\{3: Tensor\}"),
        (torch.ones(3), "a Tensor"),
    ],
)
def test_a_file_without_a_state_dict(content: object, description: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=rf"weights w\.pt contain {description}, expected a state_dict\(\)"):
        read(tmp_path / "w.pt")


def soft_link(stored: h5py.File) -> None:
    stored["a"] = h5py.SoftLink("/b")


def external_link(stored: h5py.File) -> None:
    stored["a"] = h5py.ExternalLink("other.h5", "/a")


def text(stored: h5py.File) -> None:
    stored["a"] = "text"


def bytes_of_another_file(stored: h5py.File) -> None:
    stored.create_dataset("a", (4,), "f4", external=[("other.h5", 0, 16)])


def virtual(stored: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "a", (4,))
    stored.create_virtual_dataset("a", layout)


@pytest.mark.parametrize("write", [soft_link, external_link, text, bytes_of_another_file, virtual])
def test_a_keras_file_with_links_or_text(write: Callable[[h5py.File], None], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["a"] = np.zeros(4, "f4")
    with h5py.File(tmp_path / "w.h5", "w") as stored:
        write(stored)
    with pytest.raises(WeightsError, match="'a' must be an array of floats inside"):
        read(tmp_path / "w.h5")


def test_a_keras_file_that_declares_too_many_values(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as stored:
        stored.create_dataset("a", (10**6, 10**6), "f4", chunks=(10, 10))
    with pytest.raises(WeightsError, match=r"w\.h5 have 1,000,000,000,000 values, expected at most 100"):
        read(tmp_path / "w.h5")


def test_keras_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as stored:
        stored["a"] = np.zeros(4, "f4")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError, match=r"w\.h5 are HDF5, which needs h5py; pip install 'vidcam\[keras\]'"):
        read(tmp_path / "w.h5")
