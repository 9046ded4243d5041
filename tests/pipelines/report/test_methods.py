"""Methods with more than a positive map: evidence against, and guided methods, whose overlay is played."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.helpers.browser import browser, opened
from tests.helpers.coded import coded_video, random_explanation
from tests.pipelines.report.test_writer import data_of
from vidcam.pipelines.report.writer import report
from vidcam.results.video import VideoExplanation

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

COUNT = 60


def guided_result(folder: Path) -> Path:
    """A saved explanation, and the JSON and the overlay of a guided method beside it."""
    random_explanation(coded_video(folder / "h264.mp4", COUNT))
    shutil.copy(folder / "h264.mp4", folder / "guided.mp4")
    facts = {
        "source": {"sha256": "0", "fps": 30.0, "frames": COUNT, "codec": "h264"},
        "model": {"weights": "none"},
        "top5": [],
        "targets": [{"label": "running", "methods": {"guided-gradcam": {"overlay": "guided.mp4"}}}],
        "runtime": {"device": "cpu", "decoder": "pyav"},
        "versions": {},
        "score": "logit",
        "view": "centre",
        "scale": "video",
    }
    (folder / "h264.json").write_text(json.dumps(facts), "utf-8")
    return folder / "h264.npz"


def signed_result(folder: Path) -> VideoExplanation:
    """Random maps, of which gradcam has a negative part."""
    made = random_explanation(coded_video(folder / "h264.mp4", COUNT))
    random = np.random.default_rng(5)
    explanations = tuple(
        replace(each, signed={"gradcam": random.normal(0.0, 0.01, each.volumes["gradcam"].shape).astype(np.float32)})
        for each in made.explanations
    )
    return replace(made, explanations=explanations)


def test_a_guided_method_has_the_cells_of_its_map_and_an_overlay(tmp_path: Path) -> None:
    (clip,) = data_of(report(guided_result(tmp_path), tmp_path / "page.html").path)["clips"]
    first, second = clip["targets"]
    assert [map_["method"] for map_ in first["maps"]] == ["gradcam", "gradcam++", "guided-gradcam"]
    assert [map_["method"] for map_ in second["maps"]] == ["gradcam", "gradcam++"]
    base, _, guided = first["maps"]
    assert guided["is_drawn"]
    assert guided["cells"] == base["cells"]


@pytest.mark.browser
@pytest.mark.slow
def test_a_guided_method_plays_its_overlay_at_the_same_frame(browser: Browser, tmp_path: Path) -> None:
    path = report(guided_result(tmp_path), tmp_path / "page.html").path
    state = "() => [vidcam.deck.leader.source.kind, vidcam.deck.leader.named]"
    with opened(browser, path) as page:
        page.ask("() => vidcam.deck.leader.seek(23)")
        for method, kind in (("guided-gradcam", "overlay"), ("gradcam", "source")):
            page.page.select_option("#set-method", method)
            page.page.wait_for_timeout(1500)
            assert page.ask(state) == [kind, 23]
            assert page.page.locator("#notice").is_hidden()
        assert page.errors == []


@pytest.mark.browser
@pytest.mark.slow
def test_evidence_against_has_another_colour(browser: Browser, tmp_path: Path) -> None:
    made = signed_result(tmp_path)
    path = report(made, tmp_path / "page.html").path
    seconds = np.linspace(0.1, 1.8, 8)
    raw = made.timeline.blend(made.explanations[0].signed["gradcam"], seconds)
    high = made.bounds["gradcam"][1]
    planes = """(seconds) => {
      const [clip] = vidcam.clips, map = clip.targets[0].map("gradcam");
      return seconds.map((second) => [...clip.signedPlane(map, second, "video").values]);
    }"""
    colours = """() => {
      const [{ canvas, context }] = vidcam.tiles, pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
      let [red, blue] = [0, 0];
      for (let i = 0; i < pixels.length; i += 4) {
        if (pixels[i + 3] > 60) [red, blue] = [red + (pixels[i] > pixels[i + 2]), blue + (pixels[i + 2] > pixels[i])];
      }
      return [red, blue];
    }"""
    with opened(browser, path, "style=signed&t=1.000") as page:
        values = np.array(page.ask(planes, seconds.tolist())).reshape(raw.shape)
        assert np.abs(values - np.clip((raw / high + 1) / 2, 0, 1)).max() < 1e-4
        assert min(page.ask(colours)) > 500
        assert page.page.locator("#low").inner_text().startswith("-")
        page.page.select_option("#set-method", "gradcam++")  # has no negative part: an overlay
        page.page.wait_for_timeout(300)
        assert page.ask("() => vidcam.tiles[0].shown(vidcam.look).style") == "overlay"
        assert page.errors == []
    plain = report(tmp_path / "h264.npz", tmp_path / "plain.html").path
    with opened(browser, plain) as page:
        assert page.page.locator("#set-drawn-as option[value=signed]").count() == 0
