"""The README: what it shows of any network runs as it stands there; links of all pages are whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_your_own_model_in_six_lines(capsys: pytest.CaptureFixture[str]) -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## Any network of your own\n")[2]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        exec(found[1], names)  # noqa: S102 – our own text
    assert len(found[1].splitlines()) == 6
    explanation = names["explanation"]
    assert explanation.volumes["gradcam"].shape == (2, 2, 7, 7)
    assert explanation.logits.shape == (2, 400)
    assert explanation.target.shape == (2,)
    assert names["heat"].shape == (2, 16, 112, 112)
    assert re.match(r"\{'gradcam': Verdict\(word='(unreliable|doubtful|reliable)'", capsys.readouterr().out)


def test_no_link_is_broken_by_the_end_of_a_line() -> None:
    """A page shows such a link as text, and the check of the site's links does not see it."""
    broken = re.compile(r"\]\([^()\s]*\n")
    assert broken.search("[text](page.md#can-i-\ntrust-it)")
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert len(pages) > 50
    assert [page.name for page in pages if broken.search(page.read_text("utf-8"))] == []
