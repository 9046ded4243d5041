"""A study in a real browser: done by script, killed in the middle, resumed, saved, analysed."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.axe import serious_findings
from tests.helpers.browser import browser, lasting
from tests.helpers.studies import Decide, prefers
from tests.pipelines.trust.test_server import serving
from vidcam.pipelines.trust.analysis import analyse
from vidcam.pipelines.trust.answers import collect_answers
from vidcam.pipelines.trust.content import StudyKey
from vidcam.pipelines.trust.make import WrittenStudy

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PKILL = shutil.which("pkill")
KEYS = {"left": "ArrowLeft", "right": "ArrowRight", "same": "ArrowDown", "yes": "y", "no": "n", "cannot tell": "c"}
STATE = """() => ({
  place: vidcam.place, isAsking: vidcam.screen !== null && !vidcam.screen.isOver,
  given: vidcam.progress ? vidcam.progress.answers.filter(Boolean).length : 0,
  form: vidcam.progress?.form, rater: vidcam.progress?.rater, kind: vidcam.store.kind,
})"""
NO_STORE = (
    "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });"
)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser with nothing in it."""
    made = browser.new_context(accept_downloads=True)
    yield made
    made.close()


def visit(context: BrowserContext, address: str) -> Page:
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("html[data-ready=true]", state="attached")
    return page


def state(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(STATE)
    return found


def answer(page: Page, key: StudyKey, decide: Decide, count: int) -> None:
    """Answer the next `count` questions by the keyboard; words between them are gone through."""
    for _ in range(count):
        if not state(page)["isAsking"]:
            page.locator("#words button").first.click()
            if not state(page)["isAsking"]:  # the words of the first part come after those of the study
                page.locator("#words button").first.click()
        page.wait_for_selector("#answers button:not([disabled])")
        page.wait_for_timeout(350)
        now = state(page)
        item, swapped = divmod(key.forms[now["form"]][now["place"]], 2)
        page.keyboard.press(KEYS[decide(key.items[item], bool(swapped))])
        page.wait_for_function("given => vidcam.progress.answers.filter(Boolean).length > given", arg=now["given"])


def saved(page: Page, folder: Path, button: str = "#export") -> Path:
    """Save the answers; the path of the file."""
    folder.mkdir(exist_ok=True)
    with page.expect_download() as download:
        page.locator(button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_study_is_done_killed_resumed_saved_and_analysed(
    context: BrowserContext, written: WrittenStudy, key: StudyKey, tmp_path: Path
) -> None:
    requests: list[str] = []
    errors: list[str] = []
    context.on("request", lambda request: requests.append(request.url))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    decide, address = prefers(key, "gradcam++"), written.path.as_uri()
    page = visit(context, f"{address}#form=3")
    page.locator("text=Start").first.click()
    answer(page, key, decide, 5)
    before = state(page)
    page.close()  # in the middle of a question

    page = visit(context, address)
    assert "5 of 9 done" in page.locator("#words").inner_text()
    page.locator("#words button").first.click()
    assert state(page)["rater"] == before["rater"]
    answer(page, key, decide, 4)
    assert "Thank you" in page.locator("#words").inner_text()
    first, second = saved(page, tmp_path / "answers"), saved(page, tmp_path / "answers", "text=Save as CSV")
    sheet = json.loads(first.read_text())
    rows = list(csv.DictReader(second.read_text().splitlines()))
    assert [row["answer"] for row in rows] == [row["answer"] for row in sheet["answers"]]
    assert (sheet["form"], sheet["rater"]) == (3, before["rater"])
    assert set(sheet) == {"schema", "study", "rater", "form", "answers"}
    assert all(0.3 <= row["seconds"] < 100 for row in sheet["answers"])

    found, _ = analyse(tmp_path / "answers", key, resamples=10)
    assert found.notes == ()
    assert found.raters[0].excluded == ""
    assert found.preferences is not None
    assert found.preferences.methods[0].method == "gradcam++"
    assert found.preferences.pairs[0].score_b == 0.0
    assert sum(row.answers for row in found.judgements) == 3
    assert {url.partition("#")[0] for url in requests if not url.startswith(("blob:", "data:"))} == {address}
    assert errors == []


@pytest.mark.parametrize("script", ["", NO_STORE])
def test_progress_outlives_a_reload(context: BrowserContext, written: WrittenStudy, key: StudyKey, script: str) -> None:
    """Also in a private window, whose storage is refused: then the tab keeps it."""
    if script:
        context.add_init_script(script)
    page = visit(context, f"{written.path.as_uri()}#form=0")
    page.locator("text=Start").first.click()
    answer(page, key, prefers(key, "gradcam"), 2)
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.wait_for_selector("html[data-ready=true]", state="attached")
    assert "2 of 9 done" in page.locator("#words").inner_text()
    assert state(page)["kind"] == ("tab" if script else "browser")
    assert ("Save them before you close it" in page.locator("#words").inner_text()) == bool(script)


@pytest.mark.skipif(PKILL is None, reason="needs pkill")
def test_a_killed_browser_loses_no_answer(
    browser: Browser, written: WrittenStudy, key: StudyKey, tmp_path: Path
) -> None:
    with lasting(browser, tmp_path / "profile") as context:
        page = visit(context, f"{written.path.as_uri()}#form=0")
        page.locator("text=Start").first.click()
        answer(page, key, prefers(key, "gradcam"), 3)
        before = state(page)
        subprocess.run([str(PKILL), "-KILL", "-f", f"user-data-dir={tmp_path / 'profile'}"], check=True)
    with lasting(browser, tmp_path / "profile") as context:
        after = state(visit(context, written.path.as_uri()))
    assert (after["given"], after["rater"]) == (3, before["rater"])


def test_a_saved_file_goes_on_in_another_browser(
    context: BrowserContext, browser: Browser, written: WrittenStudy, key: StudyKey, tmp_path: Path
) -> None:
    page = visit(context, f"{written.path.as_uri()}#form=1")
    page.locator("text=Start").first.click()
    answer(page, key, prefers(key, "gradcam"), 2)
    file = saved(page, tmp_path / "answers")
    other = browser.new_context()
    again = visit(other, written.path.as_uri())
    (tmp_path / "none.json").write_text("{}")
    again.locator("#file").set_input_files(tmp_path / "none.json")
    again.wait_for_selector("#notice:not([hidden])")
    again.locator("#file").set_input_files(file)
    again.wait_for_function("() => vidcam.progress !== null")
    assert state(again)["given"] == 2
    assert state(again)["rater"] == state(page)["rater"]
    other.close()


def test_the_next_person_starts_anew_and_the_former_answers_are_saved(
    context: BrowserContext, written: WrittenStudy, key: StudyKey, tmp_path: Path
) -> None:
    page = visit(context, f"{written.path.as_uri()}#form=2")
    page.locator("text=Start").first.click()
    answer(page, key, prefers(key, "gradcam"), 2)
    former = state(page)["rater"]
    page = visit(context, f"{written.path.as_uri()}#form=3")
    path = saved(page, tmp_path / "answers", "text=Start as another person")
    assert json.loads(path.read_text())["rater"] == former
    assert len(json.loads(path.read_text())["answers"]) == 2
    now = state(page)
    assert (now["given"], now["form"]) == (0, 3)
    assert now["rater"] != former


def test_an_answer_can_be_corrected_and_a_key_held_down_is_none(
    context: BrowserContext, written: WrittenStudy, key: StudyKey
) -> None:
    page = visit(context, f"{written.path.as_uri()}#form=0")
    page.locator("text=Start").first.click()
    answer(page, key, prefers(key, "gradcam"), 1)
    page.keyboard.press("n")  # at once: no answer to the next question
    assert state(page)["given"] == 1
    page.keyboard.press("Backspace")
    page.wait_for_selector("#answers button:not([disabled])")
    assert page.locator("#answers button.chosen").inner_text().startswith("Yes")
    page.wait_for_timeout(350)
    page.keyboard.press("n")
    assert page.evaluate("() => vidcam.progress.answers[0].answer") == "no"


def test_pictures_play_in_step_and_stop(context: BrowserContext, written: WrittenStudy, key: StudyKey) -> None:
    page = visit(context, f"{written.path.as_uri()}#form=0")
    page.locator("text=Start").first.click()
    answer(page, key, prefers(key, "gradcam"), 3)
    page.locator("#words button").first.click()
    page.wait_for_selector("#answers button:not([disabled])")
    page.wait_for_function("() => vidcam.screen.player.index > 5")
    page.keyboard.press(" ")
    page.wait_for_timeout(300)
    index = page.evaluate("() => vidcam.screen.player.index")
    page.wait_for_timeout(200)
    assert page.evaluate("() => vidcam.screen.player.index") == index
    differ = page.evaluate(
        "() => { const [a, b] = vidcam.screen.tiles; return a.canvas.toDataURL() !== b.canvas.toDataURL(); }"
    )
    assert differ
    assert page.locator("figcaption").all_inner_texts() == ["Left", "Right"]
    text = page.locator("body").inner_text()
    assert "gradcam" not in text
    assert "clip" not in text.lower().replace("stops the clip", "")


def test_a_phone_has_room_for_it(browser: Browser, written: WrittenStudy) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740})
    page = visit(context, f"{written.path.as_uri()}#form=0")
    for _ in range(2):
        assert page.evaluate("() => document.documentElement.scrollWidth") == 360
        page.locator("#words button").first.click()
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    context.close()


def test_a_served_page_sends_its_answers_also_after_an_outage(
    context: BrowserContext, written: WrittenStudy, key: StudyKey, tmp_path: Path
) -> None:
    outside: list[str] = []
    with serving(written, tmp_path / "answers.sqlite") as server:
        page = visit(context, server.address)
        page.on("request", lambda request: outside.append(request.url) if server.address not in request.url else None)
        page.locator("text=Start").first.click()
        page.wait_for_function("() => vidcam.progress !== null")
        answer(page, key, prefers(key, "gradcam"), 2)
        page.wait_for_function("() => document.getElementById('saved').textContent === 'Sent'")
        page.route("**/answers", lambda route: route.abort())
        answer(page, key, prefers(key, "gradcam"), 1)
        page.wait_for_function("() => document.getElementById('saved').textContent.startsWith('Not sent yet: 1')")
        answer(page, key, prefers(key, "gradcam"), 6)
        page.locator("text=Start as another person").click()  # while answers of the first one are still waiting
        page.wait_for_function("() => vidcam.progress.form === 1")
        page.unroute("**/answers")
        answer(page, key, prefers(key, "gradcam"), 1)
        page.wait_for_function("() => document.getElementById('saved').textContent === 'Sent'")
    sheets = collect_answers(tmp_path, key).sheets
    assert sorted((sheet.form, len(sheet.answers)) for sheet in sheets) == [(0, 9), (1, 1)]
    assert not [url for url in outside if not url.startswith("blob:")]


def test_nothing_keeps_a_rater_from_answering(context: BrowserContext, written: WrittenStudy) -> None:
    page = visit(context, f"{written.path.as_uri()}#form=0")
    assert serious_findings(page) == []
    page.locator("text=Start").first.click()
    page.locator("#words button").first.click()  # after the words of the first part
    page.wait_for_selector("#answers button")
    assert serious_findings(page) == []
