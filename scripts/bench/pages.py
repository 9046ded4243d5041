"""How fast the pages are in a browser: 10,000 scored clips, and a video of one hour."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import click
import numpy as np

from scripts import markdown
from tests.helpers.browser import SWITCHES, chromium
from tests.pipelines.score.test_report import summary
from vidcam.geometry import Geometry
from vidcam.pipelines.report.scored import scored_page
from vidcam.pipelines.report.writer import report
from vidcam.results.explanation import Explanation
from vidcam.results.timeline import Timeline
from vidcam.results.video import Origin, VideoExplanation
from vidcam.system.fingerprint import sampled_sha256

CLIPS, CLASSES, HOUR, FPS = 10_000, 40, 3600, 25

SCROLL = """async (step) => {
  const view = document.getElementById("rows"), times = [];
  view.scrollTop = 0;
  let last = performance.now();
  for (let i = 0; i < 120; i++) {
    view.scrollTop += step;
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - last);
    last = performance.now();
  }
  return times;
}"""

DRAG = """async (seconds) => {
  const page = vidcam, { leader } = page.deck, draw = page.drawNow.bind(page), before = performance.now();
  let [heat, pictures, second] = [0, 0, 600];
  leader.onpicture.push(() => (pictures += 1));
  page.drawNow = () => { heat += 1; draw(); };
  while (performance.now() - before < 1000 * seconds) {
    page.deck.seekTo((second += 0.28));
    await new Promise(requestAnimationFrame);
  }
  page.drawNow = draw;
  const spent = (performance.now() - before) / 1000;
  return [heat / spent, pictures / spent];
}"""

PLAY = """async (seconds) => {
  const page = vidcam, draw = page.drawNow.bind(page);
  await page.deck.seekTo(900);
  let heat = 0;
  page.drawNow = () => { heat += 1; draw(); };
  page.deck.toggle();
  const before = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  page.deck.toggle();
  page.drawNow = draw;
  return heat / ((performance.now() - before) / 1000);
}"""


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page, the time until it was ready in seconds, and its tab's time and memory."""

    page: Any
    seconds: float
    browser: Any
    tab: Any

    def busy_seconds(self) -> float:
        """Processor time of the page's main thread until now, which other processes do not change."""
        metrics = self.tab.send("Performance.getMetrics")["metrics"]
        return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")

    def memory_mb(self) -> float:
        """Resident memory of the largest renderer."""
        processes = self.browser.send("SystemInfo.getProcessInfo")["processInfo"]
        renderers = [each["id"] for each in processes if each["type"] == "renderer"]
        return max(_resident_mb(int(process)) for process in renderers)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Keeps the video.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True)
def pages(*, folder: Path, runs: int) -> None:
    """Measure the pages in a browser; medians over the runs."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [*set_rows(folder, runs), *hour_rows(folder, runs)]
    click.echo("\n".join(markdown.table(("page", "measure", "median", "range"), rows)))


def set_rows(folder: Path, runs: int) -> Iterator[tuple[str, str, str, str]]:
    """10,000 clips: time until they can be seen, and the time between two frames while one scrolls."""
    path = folder / "set.html"
    path.write_text(scored_page(summary(), clip_rows(), {}), "utf-8")
    measured: dict[str, list[float]] = {}
    for _ in range(runs):
        with opened(path) as state:
            opening = state.busy_seconds()
            times = np.array(state.page.evaluate(SCROLL, 120))
            values = {
                "open, s": state.seconds,
                "open, s of the main thread": opening,
                "scroll 120 pixels, ms a frame": float(np.median(times)),
                "scroll, ms of the main thread a frame": 1000 * (state.busy_seconds() - opening) / len(times),
            }
            collect(measured, values)
    yield from rows_of(f"{CLIPS:,} scored clips, {path.stat().st_size / 1e6:.1f} MB", measured)


def hour_rows(folder: Path, runs: int) -> Iterator[tuple[str, str, str, str]]:
    """One hour: time until it can be seen, updates a second while one drags and plays, memory."""
    path = report(hour_result(folder), folder / "hour.html", overwrite=True, embed=0).path
    measured: dict[str, list[float]] = {}
    for _ in range(runs):
        with opened(path) as state:
            opening = state.busy_seconds()
            heat, pictures = state.page.evaluate(DRAG, 3)
            values = {
                "open, s": state.seconds,
                "open, s of the main thread": opening,
                "drag: heat, strip and playhead, updates a second": heat,
                "drag: ms of the main thread an update": 1000 * (state.busy_seconds() - opening) / (3 * heat),
                "drag: pictures a second": pictures,
                "play: updates a second, of a video with 25 frames a second": state.page.evaluate(PLAY, 3),
                "memory of the tab, MB": state.memory_mb(),
            }
            collect(measured, values)
    yield from rows_of(f"one hour of video, {path.stat().st_size / 1e6:.1f} MB without the video", measured)


def collect(measured: dict[str, list[float]], values: dict[str, float]) -> None:
    """Add the values of a run."""
    for name, value in values.items():
        measured.setdefault(name, []).append(value)


def rows_of(page: str, measured: dict[str, list[float]]) -> Iterator[tuple[str, str, str, str]]:
    """Median and range of each measure."""
    for number, (name, values) in enumerate(measured.items()):
        digits = 2 if "open" in name else 1 if "ms" in name else 0
        low, high = min(values), max(values)
        yield "" if number else page, name, f"{np.median(values):.{digits}f}", f"{low:.{digits}f} to {high:.{digits}f}"


@contextmanager
def opened(path: Path) -> Iterator[OpenPage]:
    """Open a page in a browser of its own, 1280 × 900."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        switches = [*SWITCHES, "--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=switches)
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        tab = page.context.new_cdp_session(page)
        tab.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached", timeout=120_000)
        yield OpenPage(page, time.perf_counter() - before, browser.new_browser_cdp_session(), tab)
        browser.close()


def clip_rows() -> Iterator[dict[str, Any]]:
    """Scores of clips, as the table has them; every hundredth clip failed."""
    generator, methods = np.random.default_rng(0), tuple(summary().methods)
    for index in range(CLIPS):
        label = f"class {index % CLASSES}"
        clip = {"clip": index, "path": f"videos/{label}/clip_{index:05d}.mp4", "label": label}
        if index % 100 == 99:
            yield clip | {"status": "failed", "reason": "no video stream", "method": None, "class": None}
            continue
        top = label if generator.random() < 0.7 else f"class {generator.integers(CLASSES)}"
        for method in methods:
            values = {name: generator.random() for name in ("probability", "drop", "retention_0.5", "area")}
            known = {"status": "scored", "class": top, "correct": top == label, "start": 1.0, "reason": None}
            yield clip | known | values | {"method": method}


def hour_result(folder: Path) -> VideoExplanation:
    """Maps as of I3D (2 × 7 × 7 a window), 4 methods and 2 targets, over a video with a key frame every 2 seconds."""
    video = folder / "hour.mp4"
    if not video.exists():
        hour_video(video)
    count, generator = HOUR * FPS // 16 - 3, np.random.default_rng(0)
    starts = np.arange(count) * 16 / FPS
    line = Timeline(starts, starts + 64 / FPS, starts[:, None] + np.arange(64) / FPS)
    names = ("gradcam", "hirescam", "gradcam++", "neutral-gradcam")
    volumes = {name: (generator.random((count, 2, 7, 7)) ** 4).astype(np.float32) for name in names}
    logits = (4 * generator.random((count, 4))).astype(np.float32)
    explanations = tuple(
        Explanation(
            volumes=volumes,
            logits=logits,
            target=np.full(count, target),
            contrast=None,
            layer="Mixed_5c",
            input_size=(64, 224, 224),
        )
        for target in range(2)
    )
    return VideoExplanation(
        source=video.name,
        model="i3d",
        geometry=Geometry((360, 640), (256, 455), (224, 224), 16, 116),
        timeline=line,
        labels=("class 0", "class 1"),
        explanations=explanations,
        bounds=dict.fromkeys(names, (0.0, 0.9)),
        origin=Origin(str(video), sampled_sha256([video]), (0.0, float(HOUR))),
        class_labels={index: f"class {index}" for index in range(4)},
    )


def hour_video(path: Path) -> None:
    """A box that moves, 640 × 360."""
    rows, columns = np.mgrid[:360, :640]
    ground = np.stack([0 * rows, columns // 4, rows // 2], axis=-1).astype(np.uint8)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "32", "g": str(2 * FPS)}
        stream = container.add_stream("libx264", rate=Fraction(FPS), options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index in range(HOUR * FPS):
            picture, left = ground.copy(), 3 * index % 600
            picture[150:200, left : left + 40] = (240, 200, 60)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def _resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text("utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


if __name__ == "__main__":
    pages()
