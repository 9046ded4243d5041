"""Sdist and wheel: built without network, complete, and usable from any folder after installation.

A checkout has `models/` and `pipelines/` beside `vidcam/`, with links to them. An installed copy has them inside it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.metadata import Metadata

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("vidcam", "models", "pipelines", "tests", "scripts", "docs")
FILES = ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE")
SHOW_FILES = "import vidcam.models, vidcam.pipelines; print(vidcam.models.__file__); print(vidcam.pipelines.__file__)"
INSIDE = ("tests", "scripts", "docs")
PROGRAMS = (".ci/run", *(f"scripts/{name}" for name in ("setup", "demo", "test", "run")))
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Built:
    """A clean copy of the sources, what was built from it, and the folder of the installed package."""

    source: Path
    wheel: Path
    sdist: Path
    installed: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the sdist of a clean copy and the wheel of that sdist; install the wheel into a folder."""
    base = tmp_path_factory.mktemp("packaging")
    source = clean_copy(base / "source")
    build = f"from setuptools.build_meta import build_sdist; build_sdist({str(base)!r})"
    run([sys.executable, "-c", build], cwd=source)
    (sdist,) = base.glob("*.tar.gz")
    run([*PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(base), str(sdist)], cwd=base)
    (wheel,) = base.glob("*.whl")
    run([*PIP, "install", "--no-index", "--no-deps", "--target", str(base / "site"), str(wheel)], cwd=base)
    return Built(source, wheel, sdist, base / "site")


def clean_copy(destination: Path) -> Path:
    """Copy the files that git tracks, without build outputs."""
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


def test_the_metadata_is_valid(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Metadata.from_email(wheel.read(name), validate=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert (metadata.name, str(metadata.version)) == (project["name"], project["version"])
    assert metadata.description_content_type == "text/markdown"
    assert (metadata.description or "").strip() == (ROOT / "README.md").read_text("utf-8").strip()
    assert set(metadata.provides_extra or ()) == {
        "decord",
        "docs",
        "gallery",
        "hf",
        "keras",
        "pytorchvideo",
        "ray",
        "rerun",
        "test",
        "timm",
    }


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


def test_a_fresh_environment_explains_a_video_from_another_folder(built: Built, tmp_path: Path) -> None:
    """The environment sees the dependencies of this one, but not its editable installation of vidcam."""
    home = tmp_path / "environment"
    venv.create(home, symlinks=os.name != "nt")
    paths = sysconfig.get_paths(scheme="venv", vars={"base": str(home), "platbase": str(home)})
    (Path(paths["purelib"]) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    programs, other = Path(paths["scripts"]), tmp_path / "other"
    other.mkdir()
    install = [*PIP, "--python", str(programs / "python"), "install", "--no-index", "--no-deps", "--ignore-installed"]
    run([*install, str(built.wheel)], cwd=other)
    where = run([str(programs / "python"), "-c", "import vidcam; print(vidcam.__file__)"], cwd=other).strip()
    assert Path(where).is_relative_to(home)
    outputs = run([str(programs / "vidcam"), "demo", "--offline", "-o", "out"], cwd=other).splitlines()
    assert all((other / path).stat().st_size for path in outputs)
    assert any(path.endswith(".mp4") for path in outputs)


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


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_executable_and_parses(program: str) -> None:
    path = ROOT / program
    if not path.exists():
        pytest.skip(f"{program} is not part of an sdist")
    assert os.access(path, os.X_OK)
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    run(["bash", "-n", str(path)], cwd=ROOT)


def test_the_workflow_leaves_out_the_same_tests_as_scripts() -> None:
    workflow, script = ROOT / ".github/workflows/test.yml", (ROOT / "scripts/test").read_text("utf-8")
    if not workflow.exists():
        pytest.skip(f"{workflow.name} is not part of an sdist")
    selections = [re.findall(r'-m ("not [^"]+")', text) for text in (script, workflow.read_text("utf-8"))]
    assert selections[0] == selections[1]
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]["markers"]
    assert set(re.findall(r"\w+", selections[0][0])) - {"not", "or"} < {marker.partition(":")[0] for marker in markers}
