"""The words of a caption in a page: pointed at, reached by keys, kept by a click."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import Opened, browser, opened
from tests.helpers.coded import coded_video, random_explanation
from vidcam.pipelines.report.writer import report
from vidcam.results.caption import CaptionTarget

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LABELS = ("red dog", "1.1 red", "1.2 dog", "cat", "2.1 cat")
TARGET = "() => vidcam.state.choice.target"
SHOWN = "() => vidcam.tiles[0].target.name"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two captions, and one of classes."""
    made = tmp_path_factory.mktemp("words")
    explanation = random_explanation(coded_video(made / "h264.mp4", 12))
    first, second = explanation.explanations
    captions = CaptionTarget(("red", "dog"), 0, (0.9, 0.2)), CaptionTarget(("cat",), 3, (0.6,))
    said = replace(explanation, labels=LABELS, explanations=(first, second, first, second, first), captions=captions)
    report(said, made / "page.html")
    report(explanation, made / "classes.html")
    return made


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Opened]:
    """The page of captions, just opened."""
    with opened(browser, folder / "page.html") as state:
        yield state


def test_the_word_that_is_pointed_at_is_shown(page: Opened) -> None:
    video = "() => vidcam.deck.leader.video.isConnected && vidcam.tiles[0].frame.contains(vidcam.deck.leader.video)"
    page.page.locator(".word", has_text="dog").hover()
    assert page.ask(TARGET) == page.ask(SHOWN) == "1.2 dog"
    assert page.ask(video)
    page.page.locator("h1").hover()
    assert page.ask(TARGET) == page.ask(SHOWN) == "red dog"
    assert page.errors == []


def test_a_click_keeps_a_word(page: Opened) -> None:
    page.page.locator(".word", has_text="cat").click()
    page.page.locator(".word", has_text="red").hover()
    assert page.ask(TARGET) == "1.1 red"
    page.page.locator("h1").click()
    assert page.ask(TARGET) == "2.1 cat"


def test_words_are_reached_by_keys(page: Opened) -> None:
    press, index = page.page.keyboard.press, page.ask("() => vidcam.deck.leader.index")
    page.page.locator(".whole").first.focus()
    for key, target in (
        ("ArrowRight", "1.1 red"),
        ("ArrowRight", "1.2 dog"),
        ("ArrowRight", "1.2 dog"),
        ("ArrowLeft", "1.1 red"),
        ("Tab", "cat"),
        ("End", "2.1 cat"),
    ):
        press(key)
        assert page.ask(SHOWN) == target
    press("Enter")
    page.page.locator("h1").hover()
    assert page.ask(TARGET) == "2.1 cat"
    assert page.ask("() => vidcam.deck.leader.index") == index
    pressed = page.page.locator('.words [aria-pressed="true"]').all_inner_texts()
    assert pressed == ["cat"]
    assert page.errors == []


def test_words_tell_how_likely_they_are(page: Opened) -> None:
    words = page.page.locator(".word")
    assert [words.nth(place).get_attribute("title") for place in range(2)] == [
        "90 %, given the words before",
        "20 %, given the words before",
    ]
    assert page.page.locator(".unlikely").all_inner_texts() == ["dog"]


def test_the_verdicts_are_those_of_captions(page: Opened) -> None:
    assert "1.1 red" not in page.page.locator("#texts").inner_text()


def test_classes_have_no_words(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "classes.html") as page:
        assert not page.page.locator("#words").is_visible()
        assert page.errors == []


def test_it_fits_a_phone(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "page.html", viewport={"width": 360, "height": 740}) as page:
        assert page.ask("() => document.documentElement.scrollWidth") == 360
