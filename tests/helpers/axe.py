"""axe-core, which finds what keeps people from using a page; tests are skipped without it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

INSTALL = "npm install --prefix .venv/node axe-core@4.14.1"
SOURCE = Path(__file__).parents[2] / ".venv/node/node_modules/axe-core/axe.min.js"

RUN = """async () => (await axe.run()).violations
  .filter((found) => ["serious", "critical"].includes(found.impact ?? ""))
  .flatMap((found) => found.nodes.map((node) => `${found.id}: ${node.html.slice(0, 120)}`))"""


def serious_findings(page: Page) -> list[str]:
    """What axe-core finds of serious or critical impact, `rule: element` each."""
    source = Path(os.environ.get("VIDCAM_AXE", SOURCE))
    if not source.exists():
        pytest.skip(f"needs axe-core: {INSTALL}")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(source.read_text("utf-8"))
    found: list[str] = page.evaluate(RUN)
    return found
