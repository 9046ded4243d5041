"""What a user does in a page: keys, links, classes, pictures; and what a page never does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.helpers.browser import Opened, browser, opened
from tests.helpers.coded import READ, coded_video, random_explanation
from vidcam.pipelines.report.writer import report
from vidcam.results.io import load
from vidcam.results.verdict import Verdict, VerdictWord
from vidcam.results.video import VideoExplanation

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNT = 60
HOSTILE = "</script><img src=x onerror=document.title='hit'>&amp;"

CHOICE = "() => vidcam.state.choice"
INDEX = "() => vidcam.deck.leader.index"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video, its maps and their page."""
    made = tmp_path_factory.mktemp("page")
    random_explanation(coded_video(made / "h264.mp4", COUNT))
    report(made / "h264.npz", made / "page.html")
    return made


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Opened]:
    """The page, just opened."""
    with opened(browser, folder / "page.html") as state:
        yield state


def test_nothing_is_asked_of_anybody(page: Opened, folder: Path) -> None:
    page.page.keyboard.press("c")
    page.page.wait_for_timeout(300)
    others = [url for url in page.requests if not url.startswith(("data:", "blob:"))]
    assert [url.partition("#")[0] for url in others] == [(folder / "page.html").as_uri()]
    assert page.errors == []


def test_keys_do_what_the_dialog_says(page: Opened) -> None:
    press = page.page.keyboard.press
    press("Home")
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowRight", "ArrowLeft"):
        press(key)
    assert page.ask(INDEX) == 11
    press("2")
    assert page.ask(CHOICE)["method"] == "gradcam++"
    press("d")
    assert page.ask(CHOICE)["style"] == "contour"
    press("c")
    assert page.ask(CHOICE)["target"] == "per-window"
    press("[")
    assert page.ask(CHOICE)["opacity"] == pytest.approx(0.6)
    press("End")
    assert page.ask(INDEX) == COUNT - 1
    press("?")
    assert page.page.locator("dialog[open]").count() == 1
    press("Escape")
    press("0")
    assert page.errors == []


def test_a_link_shows_the_same(browser: Browser, folder: Path) -> None:
    asked = "method=gradcam%2B%2B&style=cells&palette=viridis&opacity=0.4&threshold=0.2&target=per-window&t=1.001"
    with opened(browser, folder / "page.html", asked) as page:
        choice = page.ask(CHOICE)
        assert (choice["method"], choice["style"], choice["palette"]) == ("gradcam++", "cells", "viridis")
        assert (choice["opacity"], choice["threshold"], choice["target"]) == (0.4, 0.2, "per-window")
        assert page.ask(INDEX) == 30
        page.page.keyboard.press("ArrowRight")
        page.page.wait_for_timeout(600)
        address = page.ask("() => location.hash")
    assert "t=1.03" in address
    assert "palette=viridis" in address


def test_a_wrong_link_is_ignored(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "page.html", "method=none&style=x&palette=%3Cb%3E&opacity=9&t=soon") as page:
        choice = page.ask(CHOICE)
        assert (choice["style"], choice["palette"], choice["opacity"]) == ("overlay", "vidcam", 1)
        assert page.errors == []


def test_a_strangers_name_is_text(browser: Browser, folder: Path, tmp_path: Path) -> None:
    explanation = cast("VideoExplanation", load(folder / "h264.npz"))
    labels = (HOSTILE, "per-window")
    renamed = replace(explanation, labels=labels, class_labels=dict.fromkeys(range(3), HOSTILE), model=HOSTILE)
    report(renamed, tmp_path / "page.html", title=HOSTILE)
    with opened(browser, tmp_path / "page.html") as page:
        assert page.page.title() == HOSTILE
        assert page.page.locator("img").count() == 0
        assert HOSTILE in page.page.locator("#headline").inner_text()
        assert page.errors == []


def test_a_picture_can_be_saved(page: Opened) -> None:
    made = "const made = vidcam.tools.pictureOf(vidcam.tiles, vidcam.look);"
    assert page.ask(f"() => {{ {made} made.toDataURL(); return made.width; }}") == 240
    with page.page.expect_download() as download:
        page.page.keyboard.press("s")
    assert download.value.suggested_filename.startswith("h264_")


def test_each_picture_has_the_verdict_of_its_map(browser: Browser, folder: Path, tmp_path: Path) -> None:
    explanation = cast("VideoExplanation", load(folder / "h264.npz"))
    words: tuple[VerdictWord, ...] = ("reliable", "doubtful")
    methods = explanation.explanations[0].methods
    verdicts = tuple(dict.fromkeys(methods, Verdict(word, f"why {word}")) for word in words)
    report(replace(explanation, verdicts=verdicts), tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html", "layout=targets&target=per-window") as page:
        captions = page.page.locator("figcaption").all_inner_texts()
        assert [caption.split()[1] for caption in captions] == list(words)
        assert "gradcam for per-window: why doubtful." in page.page.locator("#verdicts").inner_text()


def test_several_pictures_are_in_step(browser: Browser, folder: Path, tmp_path: Path) -> None:
    other = random_explanation(coded_video(tmp_path / "vp9.webm", COUNT))
    report([folder / "h264.npz", replace(other, model="another")], tmp_path / "page.html")
    seek = f"""async () => {{
      const read = {READ};
      for (const number of [7, 50, 23]) await vidcam.deck.leader.seek(number);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return vidcam.deck.players.map((player) => read(player.video));
    }}"""
    with opened(browser, tmp_path / "page.html") as page:
        assert page.ask(seek) == [23, 23]
        assert page.ask("() => vidcam.tiles.length") == 2


def test_a_linked_video_plays_and_a_lost_one_is_told(browser: Browser, folder: Path, tmp_path: Path) -> None:
    for name in ("h264.mp4", "h264.npz"):
        shutil.copy(folder / name, tmp_path / name)
    path = report(tmp_path / "h264.npz", tmp_path / "page.html", embed=0).path
    with opened(browser, path) as page:
        assert page.ask("() => vidcam.deck.leader.source.href") == "./h264.mp4"
    (tmp_path / "h264.mp4").unlink()
    with opened(browser, path) as page:
        assert "only the heat is shown" in page.page.locator("#notice").inner_text()
        page.page.keyboard.press("ArrowRight")
        assert page.ask(INDEX) == 1


def test_a_notebook_shows_it(browser: Browser, folder: Path, tmp_path: Path) -> None:
    written = report(folder / "h264.npz", tmp_path / "inside.html")
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html>{written._repr_html_()}", "utf-8")
    errors: list[str] = []
    page = browser.new_context().new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "notebook.html").as_uri())
    frame = page.frames[1]
    frame.wait_for_selector("html[data-ready]", state="attached")
    frame.evaluate("vidcam.deck.leader.seek(40)")
    page.wait_for_timeout(800)
    assert frame.evaluate("vidcam.deck.leader.named") == 40
    assert errors == []


def test_it_fits_a_phone(browser: Browser, folder: Path) -> None:
    with opened(browser, folder / "page.html", viewport={"width": 360, "height": 740}) as page:
        assert page.ask("() => document.documentElement.scrollWidth") == 360
