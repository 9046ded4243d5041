"""The numbers and the pixels of a page against Python's."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.helpers.browser import Opened, browser, opened
from tests.helpers.coded import random_explanation
from tests.helpers.saved import SIZE
from tests.helpers.videos import write_video
from vidcam.maps import resize_matrix, time_weights
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer, Kind, RenderStyle, ShownMap
from vidcam.pipelines.report.writer import report
from vidcam.render.overlay import opacity_curve
from vidcam.results.video import Interpolation, VideoExplanation
from vidcam.video.reader import open_video

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["browser"]

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNT = 60

HEAT = """([target, method, style, seconds, scale]) => {
  const [clip] = vidcam.clips, map = clip.targets[target].map(method), [top, bottom, left, right] = clip.data.view;
  const centres = (first, last) => Array.from({ length: last - first }, (_, i) => first + i + 0.5);
  const rows = centres(top, bottom), columns = centres(left, right);
  const heat = seconds.map((second) => clip.heat(clip.plane(map, second, scale), style, rows, columns));
  const bytes = heat.flatMap((values) => [...new Uint8Array(values.buffer)].map((byte) => String.fromCharCode(byte)));
  return btoa(bytes.join(""));
}"""

EVIDENCE = """([target, method, seconds]) => {
  const [clip] = vidcam.clips, map = clip.targets[target].map(method);
  return seconds.map((second) => clip.evidence(map, second, "video"));
}"""

WEIGHTS = """([stamps, seconds]) => {
  const line = new vidcam.clips[0].timeline.constructor([0], [1], Float64Array.from(stamps));
  return seconds.map((second) => {
    const weights = new Float64Array(3);
    line.timeWeights(0, 3, second, weights);
    return [...weights];
  });
}"""

PLACE = """async ([index, style]) => {
  vidcam.state.set({ style });
  const [tile] = vidcam.tiles, { rows, columns } = tile.clip.size;
  const place = "position: fixed; z-index: 99; inset: 0 auto auto 0";
  tile.frame.style.cssText = `${place}; width: ${columns}px; height: ${rows}px`;
  await vidcam.deck.leader.seek(index);
  vidcam.drawNow();
  await new Promise((resolve) => setTimeout(resolve, 200));
}"""


@dataclass
class Made:
    """Maps, and their page in a browser."""

    explanation: VideoExplanation
    page: Opened

    def heat(self, seconds: NDArray[np.float64], style: str, **chosen: Any) -> NDArray[np.float32]:
        """The page's heat on the source's pixels, (S, H', W')."""
        asked = [chosen.get("target", 0), chosen.get("method", "gradcam"), style, seconds.tolist()]
        text = self.page.ask(HEAT, [*asked, chosen.get("scale", "video")])
        rows, columns = self.explanation.geometry.view_slices()
        values = np.frombuffer(b64decode(text), np.float32)
        return values.reshape(len(seconds), rows.stop - rows.start, columns.stop - columns.start)

    def moments(self, count: int) -> NDArray[np.float64]:
        return np.linspace(0.0, float(self.explanation.timeline.ends.max()) - 0.01, count)


@pytest.fixture(scope="module")
def made(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """Random maps over a lossless grey video with a pattern, and their page."""
    folder = tmp_path_factory.mktemp("exact")
    rows, columns = np.arange(SIZE[0])[:, None], np.arange(SIZE[1])[None]
    grey = np.stack([(rows + columns + 4 * number) % 200 + 20 for number in range(COUNT)]).astype(np.uint8)
    frames = np.repeat(grey[..., None], 3, axis=-1)
    options = {"crf": "0", "preset": "ultrafast"}
    write_video(folder / "grey.mp4", frames, codec="libx264", pixel_format="yuv420p", options=options)
    explanation = random_explanation(folder / "grey.mp4")
    path = report(folder / "grey.npz", folder / "grey.html").path
    with opened(browser, path, device_scale_factor=1) as page:
        yield Made(explanation, page)


@pytest.mark.parametrize("method", ["gradcam", "gradcam++"])
@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize(("style", "interpolation"), [("overlay", "linear"), ("contour", "smooth"), ("cells", "cells")])
def test_the_heat_is_pythons(made: Made, method: str, target: int, style: str, interpolation: Interpolation) -> None:
    seconds = made.moments(50)
    for second, heat in zip(seconds, made.heat(seconds, style, method=method, target=target), strict=True):
        expected = made.explanation.source_heat(method, second, target=target, interpolation=interpolation)
        off = np.abs(heat - expected)
        if style == "cells":  # a pixel on the border of two cells may fall to either side
            assert (off > 1e-3).mean() < 0.02
        else:
            assert off.max() <= 0.2 / 255


def test_the_other_scale_is_pythons(made: Made) -> None:
    other = made.explanation.rescaled("window", np.unique(made.explanation.timeline.frame_seconds))
    seconds = made.moments(20)
    expected = np.stack([other.source_heat("gradcam", second) for second in seconds])
    assert np.abs(made.heat(seconds, "overlay", scale="window") - expected).max() <= 0.2 / 255


def test_repeated_stamps_in_any_order_are_weighted_as_by_python(made: Made) -> None:
    stamps = np.array([0.2, 0.4, 0.4, 0.0, 0.8, 0.2, 0.4])  # a clip that was filled up
    seconds = np.array([-1.0, 0.0, 0.1, 0.2, 0.35, 0.4, 0.75, 0.8, 2.0])
    found = made.page.ask(WEIGHTS, [stamps.tolist(), seconds.tolist()])
    expected = time_weights(seconds, stamps) @ resize_matrix(len(stamps), 3)
    assert np.array(found) == pytest.approx(expected, abs=1e-12)


def test_the_evidence_is_pythons(made: Made) -> None:
    seconds = made.moments(50)
    found = made.page.ask(EVIDENCE, [1, "gradcam++", seconds.tolist()])
    assert found == pytest.approx(made.explanation.evidence("gradcam++", seconds, target=1), abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "most"), [("overlay", 1.0), ("cells", 1.5), ("contour", 2.0), ("heat", 1.0), ("map", 1.5)]
)
def test_the_picture_is_that_of_the_overlay(made: Made, kind: Kind, most: float, tmp_path: Path) -> None:
    renderer = FrameRenderer(made.explanation, RenderStyle())
    index, origin = 31, made.explanation.origin
    assert origin is not None
    with open_video(origin.path) as reader:
        second = float(reader.info.pts_seconds[index])
        ((_, frame),) = reader.frames_at(reader.info.pts_seconds[[index]])
    expected = FrameContext(renderer, second, frame).picture(kind, ShownMap(0, "gradcam"))
    shown = screenshot(made.page, index, kind, tmp_path / "shown.png")
    assert np.abs(shown.astype(int) - expected.astype(int)).mean() <= most


def screenshot(page: Opened, index: int, style: Literal["none"] | Kind, path: Path) -> NDArray[np.uint8]:
    page.ask(PLACE, [index, style])
    page.page.screenshot(path=path, clip={"x": 0, "y": 0, "width": SIZE[1], "height": SIZE[0]})
    return np.asarray(Image.open(path).convert("RGB"))


def test_opacities_are_pythons(made: Made) -> None:
    curve = made.page.ask("(largest) => [...vidcam.tools.opacityCurve(largest)]", 0.65)
    assert curve == pytest.approx(opacity_curve(0.65).tolist(), abs=1e-12)
