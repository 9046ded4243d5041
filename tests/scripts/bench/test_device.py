"""The device script, every line of it on the CPU."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from scripts.bench import device, device_checks, device_speed
from scripts.bench.device_networks import cases, precision
from scripts.bench.device_report import Check


def test_every_check_passes_and_every_timing_has_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "table.md"
    assert device.main(["--device", "cpu", "--small", "-o", str(page)]) == 0
    text = page.read_text("utf-8")
    assert capsys.readouterr().out == text
    assert "failed" not in text
    entry = json.loads(page.with_suffix(".json").read_text("utf-8"))
    assert {check["name"].partition(":")[0] for check in entry["checks"]} >= {"small CNN", "small ViT", "two threads"}
    speeds = {(row["network"], row["batch"], row["precision"], row["work"]): row["ratio"] for row in entry["speeds"]}
    for network in ("small CNN", "small ViT"):
        for batch in (1, 2):
            for name in ("fp32", "TF32", "bf16"):
                assert speeds[network, batch, name, "5 cheap maps"] > 0
    assert re.search(r"\| small CNN \| 2 \| fp32 \| frames to maps \|", text)


def test_a_failing_check_is_a_row_and_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_device: torch.device, _is_small: bool) -> list[Check]:
        raise RuntimeError("no kernel for this device")

    monkeypatch.setattr(device, "CHECKS", {"broken": broken})
    monkeypatch.setattr(device, "SPEEDS", {})
    assert device.main(["--device", "cpu", "--small"]) == 1
    assert "| broken | RuntimeError: no kernel for this device | **failed** |" in capsys.readouterr().out


def test_no_timing_begins_after_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "CHECKS", {})
    assert device.run(torch.device("cpu"), is_small=True, seconds=0.0).speeds == ()


def test_a_work_that_fails_is_a_row_without_figures() -> None:
    def broken() -> None:
        raise torch.OutOfMemoryError("no room")

    cpu = torch.device("cpu")
    timer = device_speed.Timer(next(cases(cpu, is_small=True)), 1, "fp32", cpu, 1)
    plain, failed, other = timer.rows({"maps": broken, "other": lambda: None})
    assert (failed.work, failed.milliseconds, failed.ratio) == ("maps: OutOfMemoryError: no room", None, None)
    assert plain.ratio == 1.0
    assert other.ratio is not None


def test_a_wrong_map_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_checks, "_gap", lambda _one, _other: 2e-4)
    monkeypatch.setattr(device_checks, "cases", lambda *_, **__: [next(cases(torch.device("cpu"), is_small=True))])
    assert not any(check.passed for check in device_checks.exactness(torch.device("cpu"), True))


def test_switches_come_back() -> None:
    before = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    for name in ("fp32", "TF32", "bf16"):
        with precision(name, torch.device("cpu")):
            assert torch.is_autocast_enabled("cpu") == (name == "bf16")
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


def test_the_full_networks_have_their_layers() -> None:
    for case in cases(torch.device("meta"), is_small=False):
        assert case.network.get_submodule(case.layer) is not None
