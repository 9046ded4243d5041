"""Nothing in the pages keeps people from using them: axe-core has no serious finding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.axe import serious_findings
from tests.helpers.browser import browser, opened
from tests.helpers.coded import coded_video, random_explanation
from tests.pipelines.report.test_scored import page_of
from vidcam.pipelines.report.writer import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NARROW = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def video_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a video."""
    made = tmp_path_factory.mktemp("page")
    random_explanation(coded_video(made / "h264.mp4", 30))
    report(made / "h264.npz", made / "page.html")
    return made / "page.html"


@pytest.mark.parametrize("context", [{}, {"viewport": NARROW}, {"color_scheme": "dark"}])
def test_the_page_of_a_video(browser: Browser, video_page: Path, context: dict[str, Any]) -> None:
    with opened(browser, video_page, **context) as state:
        assert serious_findings(state.page) == []
        state.page.keyboard.press("?")
        assert serious_findings(state.page) == []


@pytest.mark.parametrize("context", [{}, {"viewport": NARROW}, {"color_scheme": "dark"}])
def test_the_page_of_a_set(browser: Browser, tmp_path: Path, context: dict[str, Any]) -> None:
    with opened(browser, page_of(tmp_path, 50), **context) as state:
        assert serious_findings(state.page) == []
        state.page.click("#body button >> nth=0")
        state.page.wait_for_selector("dialog[open]")
        assert serious_findings(state.page) == []


def test_a_finding_is_seen(browser: Browser, video_page: Path) -> None:
    with opened(browser, video_page) as state:
        state.ask("() => document.body.append(document.createElement('button'))")
        assert serious_findings(state.page) == ["button-name: <button></button>"]
