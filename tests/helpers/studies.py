"""A small study over made clips, and answers to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from tests.helpers.coded import coded_video, random_explanation
from vidcam.pipelines.trust.content import StudyKey, read_key
from vidcam.pipelines.trust.design import Item, Lengths
from vidcam.pipelines.trust.make import StudyOptions, WrittenStudy, write_study

METHODS = ("gradcam", "gradcam++")
LENGTHS = Lengths(pairs=4, singles=3)

Decide = Callable[[Item, bool], str]
"""Question, and whether its sides are swapped → the answer."""


def save_clips(folder: Path, *, count: int = 3) -> Path:
    """Clips `clip0_h264.mp4` … in folders of their own, with random maps; the model says `running` in each."""
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        random_explanation(coded_video(place / f"clip{number}_h264.mp4", 20 + number))
    labels = ("running", "jumping", "running")
    rows = [f"clip{number}_h264.mp4,{labels[number % 3]}" for number in range(count)]
    (folder / "truth.csv").write_text("\n".join(["path,label", *rows, ""]))
    return folder


def make_study(folder: Path, *, out: str = "study.html", **options: object) -> WrittenStudy:
    """Write the page of the clips in a folder, and its key."""
    given = replace(StudyOptions(truth=folder / "truth.csv", lengths=LENGTHS), **options)
    return write_study([folder], folder / out, cast("StudyOptions", given))


def answer_file(folder: Path, written: WrittenStudy, rater: str, form: int, decide: Decide) -> Path:
    """Save the answers of a rater as the page does."""
    key = read_key(written.key)
    rows = []
    for screen, code in enumerate(key.forms[form]):
        item, swapped = divmod(code, 2)
        answer = decide(key.items[item], bool(swapped))
        rows.append({"screen": screen, "item": item, "swapped": swapped, "answer": answer, "seconds": 2.0})
    path = folder / f"answers-{rater}.json"
    sheet = {"schema": 1, "study": key.study, "rater": rater, "form": form, "answers": rows}
    path.write_text(json.dumps(sheet))
    return path


def prefers(key: StudyKey, method: str) -> Decide:
    """Return a rater who passes all checks, prefers a method, and says that the model is right."""
    number = key.methods.index(method)

    def decide(item: Item, is_swapped: bool) -> str:
        if item.kind == "single":
            return "yes"
        is_left = item.kind != "pair" or item.left == number
        return "left" if is_left != is_swapped else "right"

    return decide
