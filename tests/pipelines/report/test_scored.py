"""The page of a scored set: 10,000 clips in a browser, and what it says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.browser import browser, opened
from tests.helpers.coded import coded_video
from tests.pipelines.report.test_writer import data_in, data_of
from tests.pipelines.score.test_report import summary
from vidcam.pipelines.report.scored import scored_page
from vidcam.pipelines.report.video_folders import VideoFolders

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

COUNT, CLASSES = 10_000, 40
CLEAN = "it's "
HOSTILE = "<img src=x onerror=alert(1)>"


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Clip i is right unless i is a multiple of 5; every 100th failed; the drop falls with i."""
    for index in range(count):
        label = f"class {index % CLASSES}"
        clip = {"clip": index, "path": f"{label}/{HOSTILE}{index}.mp4", "label": label}
        if index % 100 == 99:
            yield clip | {"status": "failed", "reason": "no video", "method": None, "class": None}
            continue
        top = "class 0" if index % 5 == 0 else label
        for method in summary().methods if index < 2 else ("gradcam", "gradcam+", "centre"):
            yield clip | {
                "status": "scored",
                "method": method,
                "class": top,
                "correct": top == label,
                "probability": 0.5,
                "start": 0.5,
                "reason": None,
                "drop": 1 - index / count,
                "retention_0.5": 0.25,
                "area": 0.125,
            }


def page_of(folder: Path, count: int) -> Path:
    whole = replace(summary(), clips=count, n=count)
    (folder / "a.html").write_text("<!DOCTYPE html><title>clip</title>the clip", "utf-8")
    (folder / "report.html").write_text(scored_page(whole, rows(count), {3: "a.html"}), "utf-8")
    return folder / "report.html"


def test_the_page_says_what_the_summary_says(tmp_path: Path) -> None:
    data = data_of(page_of(tmp_path, 300))
    assert data["lead"].startswith("2 groups of clips cannot show which map keeps more: it takes 7 or more.")
    assert data["known"] == ["2 groups of clips cannot show which map keeps more: it takes 7 or more."]
    assert [row["map"] for row in data["ranking"]] == ["gradcam+", "gradcam", "centre (control)"]
    assert data["unknown"][0].startswith("Too few clips to tell gradcam+ from gradcam (smallest possible p is 1.00;")
    assert data["curves"][0] == {
        "method": "gradcam",
        "points": [[0.25, 80.0, 80.0, 80.0], [0.5, 80.0, 70.0, 90.0], [0.75, 25.0, 10.0, 40.0]],
    }


def test_folders_of_videos_are_named_once(tmp_path: Path) -> None:
    names = ("a b/1.mp4", "a b/2.mp4", "3.mp4")
    sources = [*(str(tmp_path / name) for name in names), "https://example.org/4.mp4"]
    folders = VideoFolders.of(sources, tmp_path / "out")
    assert folders == VideoFolders((0, 2, 3), ("../a b", "..", ""))
    assert [folders.link(clip) for clip in range(4)] == ["../a%20b", "../a%20b", "./..", None]
    moved = folders.moved(tmp_path / "out", tmp_path / "a b")
    assert [moved.link(clip) for clip in range(4)] == ["./.", "./.", "./..", None]
    parts = [VideoFolders.of(sources[first:][:2], tmp_path / "out", first=first) for first in (0, 2)]
    assert parts[1] == VideoFolders((2, 3), ("..", ""))
    assert VideoFolders.joined(parts) == folders


@pytest.mark.browser
@pytest.mark.slow
def test_a_clip_that_was_not_rendered_is_played(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "class 1").mkdir()
    coded_video(tmp_path / "h264.mp4", 30).rename(tmp_path / "class 1" / f"{CLEAN}1.mp4")
    whole = replace(summary(), clips=2, n=2)
    folders = VideoFolders((0, 1), ("class 0", "class 1"))
    clips = [row | {"path": row["path"].replace(HOSTILE, CLEAN)} for row in rows(2)]
    (tmp_path / "report.html").write_text(scored_page(whole, clips, {}, folders=folders), "utf-8")
    with opened(browser, tmp_path / "report.html") as page:
        page.page.click("#body button >> nth=1")
        page.page.wait_for_function("() => document.querySelector('#player video').readyState >= 2")
        assert page.ask("() => document.querySelector('#player video').currentTime") == pytest.approx(0.5)
        text = page.page.locator("#player").inner_text()
        assert "The model says class 1 (0.5), which is right." in text
        assert "vidcam explain 'class 1/it'\\''s 1.mp4' -o clip --model tiny --start 0.5" in text
        page.page.keyboard.press("Escape")
        page.page.click("#body button >> nth=0")
        page.page.wait_for_selector("#player .notice")
        assert "cannot be played here" in page.page.locator("#player").inner_text()
        assert [error for error in page.errors if "ERR_FILE_NOT_FOUND" not in error] == []


def test_what_is_settled_can_be_concluded() -> None:
    pair, *others = summary().pairs
    assert pair.equal_area is not None
    settled = replace(pair, equal_area=replace(pair.equal_area, p_holm=0.001, smallest_p_holm=0.001, groups=20))
    data = data_in(scored_page(replace(summary(), pairs=(settled, *others)), rows(2), {}))
    assert data["known"] == [
        "gradcam+ keeps more than gradcam at equal area (1.21 [1.09, 1.35] times as much, p = 0.001)."
    ]
    assert not any("gradcam+ from gradcam" in text for text in data["unknown"])


@pytest.mark.browser
@pytest.mark.slow
def test_ten_thousand_clips(browser: Browser, tmp_path: Path) -> None:
    path = page_of(tmp_path, COUNT)
    assert path.stat().st_size < 2_000_000
    began = time.monotonic()
    with opened(browser, path) as page:
        assert time.monotonic() - began < 10  # 2 s on a machine with nothing else to do
        shown = "() => [...document.querySelectorAll('#body th')].slice(0, 3).map((cell) => cell.textContent)"
        assert page.ask(shown) == [f"class {i}/{HOSTILE}{i}.mp4" for i in range(3)]  # the worst first
        assert page.page.locator("img").count() == 0
        page.page.select_option("#set-state", "wrong")
        wrong = COUNT // 5 - COUNT // CLASSES
        assert page.page.locator("#count").inner_text() == f"{wrong} of {COUNT} clips"
        page.page.select_option("#set-state", "failed")
        assert page.page.locator("#count").inner_text() == f"100 of {COUNT} clips"
        page.page.click(".confusion >> nth=0")
        assert page.ask("() => vidcam.choice.state") == "wrong"
        page.page.click("text=Show all")
        page.page.click("#body a")
        inside = page.page.frame_locator("#player iframe").locator("body")
        assert inside.inner_text() == "the clip"
        assert page.errors == []
