"""Standard output that is closed, on a full disk, or in another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["--help"]])
def test_a_closed_standard_output(arguments: list[str]) -> None:
    """`vidcam models | head -1` gives no traceback."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as closed:
        done = _vidcam(arguments, closed)
    assert done.returncode == 1
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["--help"]])
def test_standard_output_on_a_full_disk(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = _vidcam(arguments, full)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == "vidcam: error: I/O error: No space left on device"


def test_standard_output_in_another_encoding(tmp_path: Path) -> None:
    with (tmp_path / "table").open("w") as file:
        assert _vidcam(["models"], file, PYTHONIOENCODING="ascii").returncode == 0
    assert "16 × 224 × 224" in (tmp_path / "table").read_text("utf-8")


def _vidcam(arguments: list[str], output: Any, **variables: str) -> subprocess.CompletedProcess[str]:
    command, environment = [sys.executable, "-m", "vidcam", *arguments], os.environ | variables
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False, env=environment)
