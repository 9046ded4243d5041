"""Weights of strangers: tensors that are none, and small files that are large inside."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
import torch
from torch import Tensor, nn

from vidcam.errors import WeightsError
from vidcam.models.weights import keras_files
from vidcam.models.weights.files import read_weights
from vidcam.models.weights.state import load_weights_file


def quantized() -> Tensor:
    return torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: torch.ones(2, 3).to_sparse(), id="sparse"),
        pytest.param(
            lambda: torch.ones(2, 3).to_sparse_csr(), id="sparse rows", marks=pytest.mark.filterwarnings("ignore")
        ),
        pytest.param(lambda: torch.ones(2, 3, device="meta"), id="meta"),
        pytest.param(lambda: torch.ones(2, 3, dtype=torch.complex64), id="complex"),
        pytest.param(lambda: torch.ones(1).expand(2, 3), id="expanded"),
        pytest.param(
            lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
            id="nested",
            marks=pytest.mark.filterwarnings("ignore"),
        ),
        pytest.param(quantized, id="quantized", marks=pytest.mark.filterwarnings("ignore")),
    ],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_tensors_that_are_not_plain_are_refused(make: Callable[[], Tensor], tmp_path: Path, *, is_zip: bool) -> None:
    path = tmp_path / "a.pt"
    try:
        torch.save({"weight": make(), "bias": torch.ones(2)}, path, _use_new_zipfile_serialization=is_zip)
    except (RuntimeError, NotImplementedError):
        pytest.skip("torch does not save it")
    with pytest.raises(WeightsError, match=r"a\.pt"):
        load_weights_file(nn.Linear(3, 2), path, name="tiny")


def test_a_compressed_file_is_not_inflated(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(3)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as plain,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, bytes(1 << 24) if name.endswith("data.pkl") else plain.read(name))
    with pytest.raises(WeightsError, match=r"b\.pt are compressed"):
        read_weights(tmp_path / "b.pt", max_numbers=100)


def test_groups_that_are_linked_again_and_again_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty levels of two links to the same group are a million paths."""
    monkeypatch.setattr(keras_files, "_MOST_DATASETS", 500)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("0")
        for level in range(1, 21):
            below = file.create_group(f"level{level}")
            group["a"], group["b"] = below, below
            group = below
        group["weight"] = [1.0]
        file["loop"] = file
    with pytest.raises(WeightsError, match="do not use this file"):
        read_weights(tmp_path / "a.h5", max_numbers=100)
