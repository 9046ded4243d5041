"""The page's JavaScript, checked by TypeScript's compiler; skipped without it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vidcam.pipelines.report import page

INSTALL = "npm install --prefix .venv/node typescript@5.9.3"
COMPILER = Path(__file__).parents[3] / ".venv/node/node_modules/.bin/tsc"
CHECKS = (
    "--noEmit --allowJs --checkJs --strict --noImplicitReturns --noUnusedLocals --noUnusedParameters --skipLibCheck "
    "--target es2022 --module es2022 --moduleResolution bundler --lib es2023,dom,dom.iterable"
)


@pytest.mark.slow
def test_the_types_of_the_page_fit() -> None:
    compiler = os.environ.get("VIDCAM_TSC") or shutil.which("tsc") or (str(COMPILER) if COMPILER.exists() else None)
    if compiler is None:
        pytest.skip(f"needs TypeScript: {INSTALL}")
    modules = sorted((Path(page.__file__).parent / "page").glob("*.js"))
    assert len(modules) > 10
    checked = subprocess.run(
        [compiler, *CHECKS.split(), *map(str, modules)], capture_output=True, text=True, check=False
    )
    assert checked.stdout == ""
    assert checked.returncode == 0


def test_every_module_is_in_a_page() -> None:
    modules = {path.name for path in (Path(page.__file__).parent / "page").glob("*.js")}
    assert modules == {name for names in page.MODULES.values() for name in names}
