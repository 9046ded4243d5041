"""A page in a real browser without a network; tests are skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

INSTALL = "apt-get install chromium-headless-shell && .venv/bin/python -m pip install playwright"
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")
SWITCHES = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """The path of a browser: $VIDCAM_CHROMIUM, or one that is installed."""
    named = os.environ.get("VIDCAM_CHROMIUM")
    return named or next((path for name in PROGRAMS if (path := shutil.which(name))), None)


def switches() -> list[str]:
    """The arguments of the program; root has no sandbox."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*SWITCHES, *(["--no-sandbox"] if is_root else [])]


@contextmanager
def lasting(browser: Browser, profile: Path) -> Iterator[BrowserContext]:
    """A browser of its own, which keeps what pages store in a folder; the test may kill it."""
    context = browser.browser_type.launch_persistent_context(
        profile, executable_path=chromium(), headless=True, args=switches()
    )
    yield context
    with suppress(Exception):  # it is dead
        context.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module."""
    program = chromium()
    api = pytest.importorskip("playwright.sync_api", reason=f"needs playwright: {INSTALL}")
    if program is None:
        pytest.skip(f"needs a browser: {INSTALL}")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, headless=True, args=switches())
        yield opened
        opened.close()


@dataclass
class Opened:
    """A page that is ready, and what it did meanwhile."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def ask(self, code: str, argument: object = None) -> Any:
        """Evaluate a function of the page, `async (argument) => …`; `vidcam` is the page's object."""
        return self.page.evaluate(code, argument)


@contextmanager
def opened(browser: Browser, path: Path, hash_: str = "", **context: Any) -> Iterator[Opened]:
    """Open a page from the disk and wait until its video can be seen.

    Args:
        browser: the fixture.
        path: the page.
        hash_: what follows # in the address.
        context: settings of the browser's context, such as `viewport`.
    """
    surroundings = browser.new_context(**context)
    page = surroundings.new_page()
    state = Opened(page)
    page.on("request", lambda request: state.requests.append(request.url))
    page.on("pageerror", lambda error: state.errors.append(str(error)))
    page.on("console", lambda message: state.errors.append(message.text) if message.type == "error" else None)
    try:
        page.goto(f"{path.resolve().as_uri()}#{hash_}")
        for _ in range(600):
            if page.evaluate("document.documentElement.dataset.ready"):
                break
            assert not [error for error in state.errors if "ERR_FILE_NOT_FOUND" not in error], state.errors
            page.wait_for_timeout(50)
        else:
            pytest.fail(f"the page was not ready in 30 s: {state.errors}")
        yield state
    finally:
        surroundings.close()
