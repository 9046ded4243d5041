"""Processes of their own, and the environment of the other tools.

The environment is .venv-peers: the pinned packages of `peers.txt` and this checkout, with .venv's packages behind, so
that torch is the very same and not installed twice. Nothing of the tools becomes a dependency of vidcam.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv-peers"
PINS = Path(__file__).with_name("peers.txt")
STAMP = HOME / "vidcam-peers"
PYTHON = str(HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
"""Of the environment."""

TIDY: Mapping[str, str] = MappingProxyType({"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"})
"""One allocator arena, and large blocks given back at once, so that a peak is what was in use; slower."""

KEPT: Mapping[str, str] = MappingProxyType({"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "2000000000"})
"""Freed memory is kept for all tools alike, as `vidcam.system.memory` does for the command line; not for peaks."""


def once(*arguments: str, variables: Mapping[str, str] = TIDY, python: str = sys.executable) -> Any:
    """What a command of `scripts.bench.once` prints, from a process of its own.

    Raises:
        CalledProcessError: it failed.
    """
    libraries = os.pathsep.join([str(HOME / "ffmpeg"), str(HOME / "ffmpeg" / "rest")]) if python == PYTHON else None
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({"LD_LIBRARY_PATH": libraries} if libraries else {})
    command = once_command(*arguments, python=python)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**environment, **variables})
    return json.loads(done.stdout.splitlines()[-1])  # medcam prints


def once_command(*arguments: str, python: str = sys.executable) -> list[str]:
    """The command line of that process."""
    return [python, "-m", "scripts.bench.once", *arguments]


def peak_megabytes() -> float:
    """Peak resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss is the parent's where that was larger
        (peak,) = [line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM")]
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def prepare_environment() -> None:
    """Make .venv-peers unless it is there, made from the same pins and project file.

    Raises:
        ClickException: pip failed.
    """
    project = (ROOT / "pyproject.toml").read_bytes()
    wanted = hashlib.sha256(PINS.read_bytes() + project + f"{sys.version} {ROOT}".encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text("utf-8") == wanted:
        return
    click.echo("bench: installing other tools into .venv-peers (minutes, the first time)", err=True)
    venv.create(HOME, clear=True, symlinks=os.name != "nt")
    own = Path(sysconfig.get_path("purelib", vars={"base": str(HOME)}))
    _link_ffmpeg(HOME / "ffmpeg")
    (own / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", PYTHON, "install", "-q", "--disable-pip-version-check"]
    # What is seen through behind.pth is another environment's: never to be replaced, whatever is said of it there.
    pip += ["--ignore-installed", "--no-deps", "--no-build-isolation", "-r", str(PINS), "-e", str(ROOT)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"pip failed, run it again once the cause is gone:\n{done.stdout}{done.stderr}")
    STAMP.write_text(wanted, "utf-8")


def _link_ffmpeg(folder: Path) -> None:
    """PyAV's own FFmpeg under the names that torchcodec looks for: one FFmpeg for all, none of the system's needed."""
    import av

    folder.mkdir()
    libraries = Path(av.__file__).parent.parent / "av.libs"
    for path in libraries.glob("lib*.so.*"):
        name, _, version = path.name.partition(".so.")
        plain = name.partition("-")[0]
        if plain.startswith(("libav", "libsw")):
            (folder / f"{plain}.so.{version.partition('.')[0]}").symlink_to(path)
    (folder / "rest").symlink_to(libraries)
