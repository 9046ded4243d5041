"""Processes of the benchmarks, and the environment of the other tools.

The environment `.venv-peers` has the pinned packages of `peers.txt` and this checkout. It sees the packages of this
Python behind its own, so that torch is the same and is not installed twice.
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv-peers"
PINS = Path(__file__).with_name("peers.txt")
STAMP = HOME / "vidcam-peers"
PYTHON = str(HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))

COMPACT: Mapping[str, str] = MappingProxyType({"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"})
"""One allocator arena that returns large blocks at once: a peak is memory in use. Slower."""

KEEP_FREED: Mapping[str, str] = MappingProxyType({"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "2000000000"})
"""Keep freed memory for all tools, as `vidcam.system.memory` does for the command line."""


def peak_of(work: str, *arguments: str, variables: Mapping[str, str] = COMPACT) -> float:
    """Peak memory in MB of a process of `scripts.bench.peak`.

    Raises:
        CalledProcessError: the process failed.
    """
    command = [sys.executable, "-m", "scripts.bench.peak", work, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return float(done.stdout.splitlines()[-1])  # medcam prints too


def peak_megabytes() -> float:
    """Peak resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss includes the parent's peak
        (peak,) = [line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM")]
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def run_with_peers(*arguments: str) -> None:
    """Run a command of `scripts.bench` in the environment of the other tools.

    Raises:
        CalledProcessError: the command failed.
    """
    libraries = os.pathsep.join([str(HOME / "ffmpeg"), str(HOME / "ffmpeg" / "rest")])
    environment = {**os.environ, **KEEP_FREED, "PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": libraries}
    subprocess.run([PYTHON, "-m", "scripts.bench", *arguments], check=True, env=environment)


def prepare_environment() -> None:
    """Make `.venv-peers` unless it is current.

    Raises:
        ClickException: pip failed.
    """
    project = (ROOT / "pyproject.toml").read_bytes()
    state = hashlib.sha256(PINS.read_bytes() + project + f"{sys.version} {ROOT}".encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text("utf-8") == state:
        return
    click.echo("bench: installing the other tools into .venv-peers; the first time takes minutes", err=True)
    venv.create(HOME, clear=True, symlinks=os.name != "nt")
    _link_ffmpeg(HOME / "ffmpeg")
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(HOME)}))
    (packages / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", PYTHON, "install", "-q", "--disable-pip-version-check"]
    # pip must not replace packages of the environment behind.
    pip += ["--ignore-installed", "--no-deps", "--no-build-isolation", "-r", str(PINS), "-e", str(ROOT)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"pip failed:\n{done.stdout}{done.stderr}")
    STAMP.write_text(state, "utf-8")


def _link_ffmpeg(folder: Path) -> None:
    """Link PyAV's FFmpeg under the names that torchcodec looks for."""
    import av

    folder.mkdir()
    libraries = Path(av.__file__).parent.parent / "av.libs"
    for path in libraries.glob("lib*.so.*"):
        name, _, version = path.name.partition(".so.")
        plain = name.partition("-")[0]
        if plain.startswith(("libav", "libsw")):
            (folder / f"{plain}.so.{version.partition('.')[0]}").symlink_to(path)
    (folder / "rest").symlink_to(libraries)
