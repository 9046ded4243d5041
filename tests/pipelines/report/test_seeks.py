"""Which frame a page shows: by the number in its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.helpers.browser import browser, opened
from tests.helpers.coded import CODECS, READ, coded_video, random_explanation
from tests.helpers.saved import SIZE, uneven_ticks
from vidcam.pipelines.report.writer import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNT, SEEKS = 180, 200

SEEK = f"""async (numbers) => {{
  const read = {READ}, player = vidcam.deck.leader, wrong = [];
  for (const number of numbers) {{
    await player.seek(number);
    const shown = read(player.video);
    if (shown !== number || player.index !== number) wrong.push([number, shown, player.index]);
  }}
  return wrong;
}}"""

PLAY = f"""async () => {{
  const read = {READ}, player = vidcam.deck.leader, pairs = [];
  await player.seek(0);
  player.onpicture.push(() => pairs.push([player.named, read(player.video)]));
  player.play();
  await new Promise((resolve) => setTimeout(resolve, 2500));
  player.pause();
  return pairs;
}}"""


def page_of(folder: Path, name: str, *, size: tuple[int, int] = SIZE, uneven: bool = False, turned: int = 0) -> Path:
    video = coded_video(folder / name, COUNT, size=size, ticks=uneven_ticks(COUNT) if uneven else None, turned=turned)
    random_explanation(video, size=size)
    return report(video.with_suffix(".npz"), folder / "page.html").path


@pytest.mark.parametrize("name", CODECS)
def test_each_seek_shows_its_frame(browser: Browser, tmp_path: Path, name: str) -> None:
    numbers = np.random.default_rng(0).integers(0, COUNT, SEEKS).tolist()
    with opened(browser, page_of(tmp_path, name)) as page:
        assert page.ask(SEEK, numbers) == []
        assert page.errors == []


@pytest.mark.parametrize(
    ("name", "size", "uneven", "turned"),
    [
        ("uneven_h264.mp4", SIZE, True, 0),
        ("uneven_vp9.webm", SIZE, True, 0),
        ("turned_h264.mp4", SIZE, True, 90),
        ("odd_vp9.webm", (127, 161), False, 0),
    ],
)
def test_odd_videos_show_their_frames(
    browser: Browser, tmp_path: Path, name: str, size: tuple[int, int], *, uneven: bool, turned: int
) -> None:
    numbers = np.random.default_rng(1).integers(0, COUNT, 60).tolist()
    with opened(browser, page_of(tmp_path, name, size=size, uneven=uneven, turned=turned)) as page:
        assert page.ask(SEEK, [0, COUNT - 1, *numbers]) == []


def test_while_it_plays_the_frame_is_named(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, page_of(tmp_path, "h264.mp4")) as page:
        pairs = page.ask(PLAY)
    assert len(pairs) > 10
    off = [shown - named for named, shown in pairs]  # on a busy machine the next frame may be there already
    assert 0 <= min(off) <= max(off) <= 2
    assert off.count(0) >= 0.7 * len(off)
