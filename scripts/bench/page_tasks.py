"""Ten tasks of a new user in the page of a video: clicks and time of each, and whether the answer is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import click
import numpy as np

import vidcam
from scripts import markdown
from scripts.bench.pages import OpenPage, opened
from vidcam.motion import make_clip
from vidcam.results.video import VideoExplanation

FPS, REPEATS, MODEL = 8, 4, "tiny_r3d"
METHODS = ("gradcam", "hirescam")


@dataclass(frozen=True, slots=True)
class Task:
    """A question, how many clicks or choices its answer takes, and what does it.

    Attributes:
        question: as a user would ask.
        clicks: clicks, drags, choices in a list.
        act: does it, and returns whether the answer is right.
    """

    question: str
    clicks: int
    act: Callable[[Any, VideoExplanation], bool]


@click.command("page-tasks")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Of the page.")
@click.option("--shots", is_flag=True, help="Also save pictures of the page, wide and narrow.")
def page_tasks(*, folder: Path, shots: bool) -> None:
    """Do the tasks one after the other, each in a page just opened; print a table in Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    video = written_video(folder / "two.mp4")
    result = vidcam.explain_video(
        video, folder, model=MODEL, methods=METHODS, targets=(0, 2), outputs=("report",), overwrite=True
    )
    page = next(path for path in result.paths if path.suffix == ".html")
    rows = []
    for task in TASKS:
        with opened(page) as state:
            before = time.perf_counter()
            is_right = task.act(state.page, result.explanation)
            spent = time.perf_counter() - before
            rows.append((task.question, str(task.clicks), f"{spent:.1f}", "yes" if is_right else "NO"))
            if shots and task is TASKS[0]:
                save_shots(state, folder)
    click.echo("\n".join(markdown.table(("task", "clicks", "seconds", "right"), rows)))


def written_video(path: Path) -> Path:
    """Write a clip of the motion set several times in a row."""
    frames = np.concatenate([make_clip(3 + seed, 2 * seed, actors=2).frames for seed in range(REPEATS)])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def save_shots(state: OpenPage, folder: Path) -> None:
    """Save what the page looks like."""
    state.page.screenshot(path=folder / "wide.png", full_page=True)
    state.page.set_viewport_size({"width": 360, "height": 740})
    state.page.wait_for_timeout(500)
    state.page.screenshot(path=folder / "narrow.png", full_page=True)


def go_to(page: Any, second: float) -> None:
    """Click the time strip."""
    box = page.locator(".surface").bounding_box()
    whole = page.evaluate("() => vidcam.strip.whole")
    share = (second - whole[0]) / (whole[1] - whole[0])
    page.mouse.click(box["x"] + share * box["width"], box["y"] + 20)
    page.wait_for_function("() => vidcam.deck.leader.wanted === null && !vidcam.waiting")


def _shown_target(page: Any, truth: VideoExplanation) -> int:
    """Index of the class that the page shows: first the predicted one."""
    return truth.labels.index(page.evaluate("() => vidcam.tiles[0].target.label"))


def hottest(page: Any) -> list[int]:
    """Where the picture is hottest: the cell."""
    found: list[int] = page.evaluate("""() => {
      const { values, columns } = vidcam.tiles[0].plane, most = values.indexOf(Math.max(...values));
      return [Math.floor(most / columns), most % columns];
    }""")
    return found


def _second_class(page: Any, truth: VideoExplanation) -> bool:
    page.select_option("#set-class", index=1)
    go_to(page, 3.0)
    second = page.evaluate("() => vidcam.deck.leader.second")
    plane = truth.scaled(METHODS[0], np.array([second]), target=1)[0]
    expected = [int(each) for each in np.unravel_index(plane.argmax(), plane.shape)]
    return abs(second - 3.0) <= 1 / FPS and hottest(page) == expected


def _trusted(page: Any, truth: VideoExplanation) -> bool:
    target = _shown_target(page, truth)
    verdict = truth.verdict(METHODS[0], target=target)
    sentence = f"{verdict.word} {METHODS[0]} for {truth.labels[target]}: {verdict.reason}"
    return bool(sentence in page.locator("#verdicts").inner_text())


def _strongest(page: Any, truth: VideoExplanation) -> bool:
    moments = np.arange(0, REPEATS * 16) / FPS
    evidence = truth.evidence(METHODS[0], moments, target=_shown_target(page, truth))
    go_to(page, float(moments[evidence.argmax()]))  # where the curve is highest
    shown = page.locator("#readout").inner_text().split("evidence ")[1].split()[0]
    return bool(abs(float(shown) - evidence.max()) < 0.01)


def _raw_value(page: Any, truth: VideoExplanation) -> bool:
    box = page.locator(".tile .frame").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    second, text = page.evaluate("() => vidcam.deck.leader.second"), page.locator("output.value").inner_text()
    raw = truth.raw(METHODS[0], np.array([second]))[0]
    return "row" in text and raw.min() <= float(text.split()[0]) <= raw.max()


def _methods_beside(page: Any, _truth: VideoExplanation) -> bool:
    page.select_option("#set-pictures", "methods")
    return bool(page.locator("figure").count() == len(METHODS))


def _classes_beside(page: Any, _truth: VideoExplanation) -> bool:
    page.select_option("#set-pictures", "targets")
    return bool(page.locator("figure").count() == 2)


def _without_weak_heat(page: Any, _truth: VideoExplanation) -> bool:
    box = page.locator("#set-hide-heat-below").bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    return abs(float(page.evaluate("() => vidcam.state.choice.threshold")) - 0.5) < 0.05


def _saved_picture(page: Any, _truth: VideoExplanation) -> bool:
    with page.expect_download() as download:
        page.click("#shot")
    return str(download.value.suggested_filename).endswith(".png")


def _sent_link(page: Any, _truth: VideoExplanation) -> bool:
    page.select_option("#set-method", METHODS[1])
    go_to(page, 2.0)
    second = page.evaluate("() => vidcam.deck.leader.second")
    page.click("#link")
    page.wait_for_timeout(400)
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector("html[data-ready]", state="attached")
    method, there = other.evaluate("() => [vidcam.state.choice.method, vidcam.deck.leader.second]")
    return bool(method == METHODS[1] and abs(there - second) < 0.5 / FPS)


def _repeated(page: Any, _truth: VideoExplanation) -> bool:
    page.click("text=Where this comes from")
    text = page.locator("#texts pre").inner_text()
    return MODEL in text and METHODS[1] in text


TASKS = (
    Task("Where does the model look at second 3 for the second class?", 2, _second_class),
    Task("Can I trust this map, and why?", 0, _trusted),
    Task("When does it look the most?", 1, _strongest),
    Task("What is the raw value at this place?", 0, _raw_value),
    Task("Do the methods agree?", 1, _methods_beside),
    Task("Does it look elsewhere for the other class?", 1, _classes_beside),
    Task("Show only the strong half.", 1, _without_weak_heat),
    Task("Save this picture.", 1, _saved_picture),
    Task("Send this moment, by another method, to a colleague.", 3, _sent_link),
    Task("How can I repeat this run?", 1, _repeated),
)

if __name__ == "__main__":
    page_tasks()
