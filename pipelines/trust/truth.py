"""The true classes of clips, from a scored set or a list, and how well a model knows each class."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vidcam.errors import InputError
from vidcam.foreign import first_line
from vidcam.system.filenames import text_of_csv


@dataclass(frozen=True, slots=True)
class TrueClip:
    """A clip with its true class.

    Attributes:
        path: as in the table, with forward slashes.
        label: the true class.
        says: the class that the model says; '' if the table does not have it.
    """

    path: str
    label: str
    says: str


def read_truth(path: Path) -> tuple[TrueClip, ...]:
    """Read the clips with a true class.

    Args:
        path: a folder that `vidcam score` wrote, its `scores.csv`, or a CSV with the columns `path` and `label`.

    Raises:
        InputError: the file cannot be read, or no clip in it has a label.
    """
    file = path / "scores.csv" if path.is_dir() else path
    clips: dict[str, TrueClip] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            for row in csv.DictReader(text):
                name, label, says = (text_of_csv(row.get(key) or "") for key in ("path", "label", "class"))
                if name and label:
                    clips.setdefault(name, TrueClip(name.replace("\\", "/"), label, says))
    except (OSError, ValueError, csv.Error) as exc:
        raise InputError(f"--truth {path} cannot be read ({first_line(exc)}); it needs columns path and label") from exc
    if not clips:
        raise InputError(f"--truth {path} has no clip with a label; it needs the columns path and label")
    return tuple(clips.values())


def true_label(truth: tuple[TrueClip, ...], video: str) -> str | None:
    """Return the true class of a video; None if it is not in the table.

    Args:
        truth: the table.
        video: path of the video. Rows with the same file name are told apart by their folders.

    Raises:
        InputError: several rows may be this video, and have different labels.
    """
    parts = PurePosixPath(video.replace("\\", "/")).parts
    same = [clip for clip in truth if PurePosixPath(clip.path).name == parts[-1]]
    in_folder = [clip for clip in same if PurePosixPath(*parts).match(clip.path)]
    labels = {clip.label for clip in in_folder or same}
    if len(labels) > 1:
        raise InputError(f"--truth has several videos {parts[-1]!r} with labels {', '.join(sorted(labels))}")
    return labels.pop() if labels else None


def f1_scores(truth: tuple[TrueClip, ...]) -> dict[str, float]:
    """Return class → F1 = 2 TP / (2 TP + FP + FN), over the clips of which it is known what the model says."""
    known = [clip for clip in truth if clip.says]
    labels = Counter(clip.label.casefold() for clip in known)
    said = Counter(clip.says.casefold() for clip in known)
    hits = Counter(clip.label.casefold() for clip in known if clip.label.casefold() == clip.says.casefold())
    return {label: 2.0 * hits[label] / (count + said[label]) for label, count in labels.items()}


def selected_classes(select: str, truth: tuple[TrueClip, ...]) -> dict[str, float]:
    """Return the classes of `--select`, in lower case, with their F1.

    Args:
        select: `f1:5`: the five classes with the highest F1; of equal ones the more frequent.
        truth: a scored set.

    Raises:
        InputError: the text has another form, or the model's classes are not known.
    """
    found = re.fullmatch(r"f1:([1-9]\d{0,3})", select)
    if not found:
        raise InputError(f"--select is {select!r}; expected f1:5 for the five classes with the highest F1")
    scores = f1_scores(truth)
    if not scores:
        raise InputError("--select needs the classes that the model says; pass a folder of vidcam score as --truth")
    often = Counter(clip.label.casefold() for clip in truth)
    ranked = sorted(scores, key=lambda label: (-scores[label], -often[label], label))
    return {label: scores[label] for label in ranked[: int(found[1])]}
