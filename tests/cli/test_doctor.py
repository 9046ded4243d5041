"""`vidcam doctor`: what a bug report needs, also where packages are missing or broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidcam import __version__
from vidcam.cli.app import main

ROOT = Path(__file__).parents[2]

Capture = pytest.CaptureFixture[str]


def test_names_versions_codecs_and_devices(capsys: Capture) -> None:
    import torch

    assert main(["doctor"]) == 0
    rows = {line[:13].strip(): line[14:] for line in capsys.readouterr().out.splitlines()}
    assert rows["vidcam"] == __version__
    assert rows["torch"].startswith(torch.__version__.partition("+")[0])
    assert "pyav" in rows["decoders"]
    assert rows["devices"].startswith("cpu")
    assert rows["weights"] == "none"


def test_one_document(capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIDCAM_CACHE", str(tmp_path))
    (tmp_path / "i3d-kinetics-400.safetensors").write_bytes(b"x" * 100_000)
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["encoders"]["h264"][0] == "libx264"
    assert set(report["encoders"]) == {"h264", "hevc", "av1", "vp9"}
    assert report["weights"] == [{"model": "i3d", "file": "i3d-kinetics-400.safetensors", "megabytes": 0.1}]
    assert report["problems"] == []


def test_names_no_folder_of_the_user(capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VIDCAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert main(["doctor"]) == 0
    output = capsys.readouterr().out
    assert str(tmp_path) not in output
    assert "~/cache" in output
    assert sys.prefix not in output


def run_with(packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`vidcam` in a process that finds these packages first."""
    return subprocess.run(
        [sys.executable, "-m", "vidcam", *arguments],
        cwd=packages,
        env=os.environ | {"PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_works_where_packages_are_broken(tmp_path: Path) -> None:
    for name in ("torch", "torchvision", "decord", "av"):
        error = f"libx.so: cannot open shared object file: {tmp_path}/secret/libx.so"
        (tmp_path / f"{name}.py").write_text(f"raise OSError({error!r})\n")
    done = run_with(tmp_path, "doctor", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["decoders"] == []
    assert report["devices"] == []
    assert [problem.split()[0] for problem in report["problems"]] == ["torch", "torchvision", "av", "decord"]
    assert "libx.so: cannot open shared object file: …/libx.so" in report["problems"][0]
    assert "secret" not in done.stdout + done.stderr


def test_says_what_is_not_installed(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def version(name: str) -> str:
        if name in ("torch", "decord"):
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr("vidcam.pipelines.doctor.version", version)
    assert main(["doctor"]) == 0
    output = capsys.readouterr()
    assert "decord        not installed" in output.out
    assert "decoders      pyav\n" in output.out
    assert output.err == "vidcam: warning: torch is not installed\n"
