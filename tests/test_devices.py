"""Devices without having one: names, the choice of a batch, random state; and no other file names CUDA."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import vidcam
from vidcam import devices
from vidcam.devices import (
    batch_for,
    clip_bytes,
    device_lines,
    device_name,
    device_of,
    double,
    kept_random_state,
    resolve_device,
    rounds_to_tf32,
    to_device,
)
from vidcam.errors import InputError

CARD = torch.device("cuda", 0)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cpu:0", "mps:", ""])
def test_an_unknown_device(name: str) -> None:
    with pytest.raises(InputError, match=f"device '{name}' is unknown; pass 'auto', 'cpu', 'cuda:N', 'mps' or 'xpu:N'"):
        resolve_device(name)


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_a_device_that_is_not_there(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.get_device_module(kind), "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match=f"torch sees 0 {kind.upper()} devices; pass 'cpu' or install a torch with"):
        resolve_device(kind)


def test_the_name_that_torch_gives_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "device_count", lambda: 1)
    device = resolve_device("mps")
    assert resolve_device(str(device)) == device  # as the settings of a run name it


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_two_devices(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = torch.get_device_module(kind)
    monkeypatch.setattr(module, "is_available", lambda: True)
    monkeypatch.setattr(module, "device_count", lambda: 2)
    assert resolve_device(kind) == torch.device(kind, 0)
    assert resolve_device(f"{kind}:1") == torch.device(kind, 1)
    assert resolve_device("auto") == torch.device("cuda:0" if kind == "cuda" else "cpu")
    with pytest.raises(InputError, match=f"torch sees 2 {kind.upper()} devices; pass 'cpu' or a number below 2"):
        resolve_device(f"{kind}:2")


def card(free: int, total: int, peak: int = 0) -> Any:
    """A module such as torch.cuda, of one card that keeps 1 GiB which it does not use."""
    return SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_name=lambda _device: "Card 9",
        mem_get_info=lambda _device: (free, total),
        memory_reserved=lambda _device: 3 << 30,
        memory_allocated=lambda _device: 2 << 30,
        reset_peak_memory_stats=lambda _device: None,
        max_memory_allocated=lambda _device: (2 << 30) + peak,
    )


@pytest.mark.parametrize(("gibibytes", "batch"), [(0.1, 32), (0.5, 8), (1, 4), (5, 1), (50, 1)])
def test_the_batch_fits_half_of_the_free_memory(gibibytes: float, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_device_module", lambda _device: card(free=8 << 30, total=16 << 30))
    assert batch_for(CARD, int(gibibytes * 2**30)) == batch  # of 8 GiB and the unused one, half is 4.5 GiB


def test_the_batch_where_memory_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert batch_for(torch.device("cpu"), 1 << 40) == devices.CPU_BATCH
    assert batch_for(torch.device("mps"), 1 << 20) == devices.ACCELERATOR_BATCH
    monkeypatch.setattr(torch, "get_device_module", lambda _device: card(free=8 << 30, total=16 << 30))
    assert batch_for(CARD, None) == devices.ACCELERATOR_BATCH


def test_memory_of_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    assert clip_bytes(torch.device("cpu"), lambda: runs.append(1)) is None
    monkeypatch.setattr(torch, "get_device_module", lambda _device: card(free=0, total=0, peak=123))
    assert clip_bytes(CARD, lambda: runs.append(2)) == 123
    assert runs == [1, 2]


def test_names_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_name(torch.device("cpu")) == "cpu"
    assert device_name(torch.device("mps")) == "mps"
    assert device_lines() == (f"cpu ({torch.get_num_threads()} threads)",)
    monkeypatch.setattr(torch, "get_device_module", lambda _device: card(free=0, total=16 << 30))
    assert device_name(CARD) == "Card 9"
    assert device_lines()[1] == "cuda:0 (Card 9, 16 GiB)"


def test_tensors_of_a_device() -> None:
    assert device_of(nn.Linear(2, 2)) == torch.device("cpu")
    assert device_of(nn.Linear(2, 2, device="meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")
    tensor = torch.ones(2)
    assert to_device(tensor, torch.device("cpu")) is tensor
    assert to_device(tensor, torch.device("meta")).device.type == "meta"
    assert double(torch.ones(2, dtype=torch.float16)).dtype == torch.float64


@pytest.mark.parametrize(("capability", "allowed"), [((9, 0), True), ((8, 0), False), ((7, 5), True)])
def test_tf32_is_on_since_ampere(
    capability: tuple[int, int],
    allowed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", allowed)
    assert rounds_to_tf32(CARD) == (capability == (9, 0))
    assert not rounds_to_tf32(torch.device("cpu"))


def test_random_state_is_put_back() -> None:
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="inside"), kept_random_state(torch.device("cpu")):  # noqa: PT012
        torch.rand(3)
        raise ValueError("inside")
    assert torch.equal(torch.get_rng_state(), state)


def test_devices_are_named_without_torch() -> None:
    code = "import sys, vidcam.devices as d; d.DEVICE_FORM; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_other_file_names_cuda() -> None:
    root = Path(vidcam.__file__).parent
    files = [file for file in root.rglob("*.py") if file.name != "devices.py"]
    files += [file for part in ("models", "pipelines") for file in (root / part).rglob("*.py")]
    assert len(files) > 150
    named = [f"{file.name}:{line}" for file in files for line in _lines_with_cuda(ast.parse(file.read_text("utf-8")))]
    assert named == []


def _lines_with_cuda(tree: ast.Module) -> Iterator[int]:
    """Attributes and texts that name CUDA; docstrings may."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and "cuda" in node.attr:
            yield node.lineno
        if isinstance(node, ast.Constant) and id(node) not in docs and "cuda" in str(node.value).casefold():
            yield node.lineno
