"""The wheel and the sdist: built from a clean copy without the network, complete, and usable from anywhere.

In a checkout `models/` and `pipelines/` lie beside `vidcam/` and are linked into it; installed, they lie inside it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("vidcam", "models", "pipelines", "tests", "scripts", "docs")
FILES = ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")
SHOW_FILES = "import vidcam.models, vidcam.pipelines; print(vidcam.models.__file__); print(vidcam.pipelines.__file__)"
INSIDE = ("tests", "scripts", "docs")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Built:
    """A clean copy of the sources and what was built from it."""

    source: Path
    wheel: Path
    sdist: Path
    installed: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of a clean copy, the wheel of that sdist, and the wheel installed into a folder."""
    base = tmp_path_factory.mktemp("packaging")
    source = clean_copy(base / "source")
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(base)!r})"
    run([sys.executable, "-c", build], cwd=source)
    (sdist,) = base.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    run([*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(base), str(sdist)], cwd=base)
    (wheel,) = base.glob("*.whl")
    run([*pip, "install", "--no-index", "--no-deps", "--target", str(base / "site"), str(wheel)], cwd=base)
    return Built(source, wheel, sdist, base / "site")


def clean_copy(destination: Path) -> Path:
    """The files that git would have, without anything built before."""
    junk = shutil.ignore_patterns("__pycache__", "*.py[cod]", "*.egg-info", "build", "dist", ".*")
    for folder in FOLDERS:
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, destination / folder, ignore=junk, symlinks=True)
    for name in FILES:
        shutil.copy2(ROOT / name, destination / name)
    return destination


def run(command: list[str], *, cwd: Path, path: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def environment(path: Path | None) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | ({"PYTHONPATH": str(path)} if path else {})


def test_the_wheel_holds_every_file_of_the_packages(built: Built) -> None:
    expected = {
        f"{inside}{path.relative_to(built.source).as_posix()}"
        for home, inside in (("vidcam", ""), ("models", "vidcam/"), ("pipelines", "vidcam/"))
        for path in (built.source / home).rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    with zipfile.ZipFile(built.wheel) as wheel:
        found = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert "vidcam/py.typed" in found
    assert found == expected


def test_the_wheel_carries_its_licence_and_its_command(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = wheel.namelist()
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        assert any(name.endswith("licenses/LICENSE") for name in names)
        assert "vidcam = vidcam.__main__:program" in wheel.read(entry_points).decode()


def test_the_sdist_holds_what_a_packager_needs(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        found = {name.partition("/")[2] for name in sdist.getnames()}
    homes = {"vidcam": "", "models": "vidcam/", "pipelines": "vidcam/", "tests": "", "scripts": "", "docs": ""}
    inside = {
        f"{inside}{path.relative_to(built.source).as_posix()}"
        for folder, inside in homes.items()
        for path in (built.source / folder).rglob("*")
        if path.is_file() and not path.is_symlink() and ".egg-info" not in path.as_posix()
    }
    assert {*FILES, *inside} <= found


def test_an_installed_copy_works_from_any_folder(built: Built, tmp_path: Path) -> None:
    shown = run([sys.executable, "-c", SHOW_FILES], cwd=tmp_path, path=built.installed)
    inside = built.installed / "vidcam"
    assert shown.split() == [str(inside / "models" / "__init__.py"), str(inside / "pipelines" / "__init__.py")]
    assert "Usage: vidcam" in run([sys.executable, "-m", "vidcam", "--help"], cwd=tmp_path, path=built.installed)


@pytest.mark.parametrize("installed_too", [False, True])
def test_a_checkout_works_from_its_root(built: Built, *, installed_too: bool) -> None:
    path = built.installed if installed_too else None
    shown = run([sys.executable, "-c", SHOW_FILES], cwd=built.source, path=path)
    inside = built.source / "vidcam"
    assert shown.split() == [str(inside / "models" / "__init__.py"), str(inside / "pipelines" / "__init__.py")]
    assert "Usage: vidcam" in run([sys.executable, "-m", "vidcam", "--help"], cwd=built.source, path=path)


def test_a_users_own_models_package_is_left_alone(built: Built, tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text("MINE = True\n", encoding="utf-8")
    program = "import vidcam.models, models; assert models.MINE"
    run([sys.executable, "-c", program], cwd=tmp_path, path=built.installed)


@pytest.mark.parametrize("folder", INSIDE)
def test_no_other_folder_is_importable_under_vidcam(folder: str) -> None:
    assert importlib.util.find_spec(f"vidcam.{folder}") is None


@pytest.mark.parametrize(
    "script",
    [
        ".ci/run",
        *(f"scripts/{name}" for name in ("setup", "demo", "test", "check", "run")),
    ],
)
def test_scripts_can_be_run_and_parse(script: str) -> None:
    path = ROOT / script
    if not path.exists():
        pytest.skip(f"{script} is not part of an sdist")
    assert os.access(path, os.X_OK)
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    run(["bash", "-n", str(path)], cwd=ROOT)
