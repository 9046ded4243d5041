"""The documentation site is built without a warning, and needs nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.docs

ROOT = Path(__file__).resolve().parents[2]

LOADS = re.compile(r"<(?:script|link|img|iframe|source|video)\b[^>]*?\b(?:src|href)=\"(?:https?:)?//[^\"]*\"")
"""A tag that loads something from another host. Links that a reader follows are <a>."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site: warnings are errors, links between pages are checked, examples and notebooks run."""
    pytest.importorskip("sphinx", reason="needs the extra docs")
    source = tmp_path_factory.mktemp("site") / "docs"
    for name in ("docs", "benchmarks"):
        shutil.copytree(ROOT / name, source.parent / name, ignore=shutil.ignore_patterns("gallery"))
    for name in ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md"):
        shutil.copy(ROOT / name, source.parent / name)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        str(source),
        str(source.parent / "html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return source.parent / "html"


def test_every_example_was_run(site: Path) -> None:
    """A page of an example holds what the example printed or drew."""
    names = [path.stem for path in (ROOT / "docs" / "examples").glob("plot_*.py") if "i3d" not in path.stem]
    assert len(names) >= 6
    for name in names:
        page = (site / "gallery" / f"{name}.html").read_text("utf-8")
        assert "sphx-glr-script-out" in page or "sphx-glr-single-img" in page, name
    assert "doubtful" in (site / "notebooks" / "look-around.html").read_text("utf-8")


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """No font, script, picture or formula renderer of another host."""
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        assert LOADS.findall(page.read_text("utf-8")) == [], page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", sheet.read_text("utf-8")), sheet.name


def test_the_api_page_has_every_public_name(site: Path) -> None:
    import vidcam

    page = (site / "api.html").read_text("utf-8")
    assert [name for name in vidcam.__all__ if not re.search(rf'id="(?:module-)?vidcam\.{name}"', page)] == []
