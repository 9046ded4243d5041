"""`summary.csv` of several videos: top class, probability, truth, best moment, verdict and audit, one row a video."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from vidcam.errors import OutputError
from vidcam.pipelines.explain.outputs import stated_path
from vidcam.system.atomic import atomic_write, folder_errors
from vidcam.system.filenames import csv_text, text_of_csv

if TYPE_CHECKING:
    from vidcam.pipelines.explain.document import Document

SUMMARY = "summary.csv"


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One video. Values are text, so that rows of earlier runs are kept as they are.

    Attributes:
        video: path relative to the folder.
        label: top class of the video.
        probability: its mean over the windows.
        truth: the true class; empty if it is not known.
        correct: 'yes' or 'no'; empty without a truth.
        best_seconds: moment with the most evidence, of the first target and method; empty if there is none.
        verdict: word of the verdict on the map of the first target and method.
        audit: its sentences.
        result: the JSON of the result; empty if the video was only predicted.
    """

    video: str
    label: str
    probability: str
    truth: str
    correct: str
    best_seconds: str
    verdict: str
    audit: str
    result: str


COLUMNS = tuple(field.name for field in fields(SummaryRow))


def explained_row(document: Document, *, truth: str = "", is_correct: bool | None = None) -> SummaryRow:
    """Return the row of an explained video."""
    top, first = document.top5[0], next(iter(document.targets[0].methods.values()))
    return SummaryRow(
        video=document.source.path,
        label=top.label,
        probability=probability_text(top.probability),
        truth=truth,
        correct="" if is_correct is None else "yes" if is_correct else "no",
        best_seconds="" if first.best_seconds is None else f"{first.best_seconds:.3f}",
        verdict=first.verdict.word,
        audit=" ".join(document.audit),
        result=document.files[-1],
    )


def probability_text(probability: float | None) -> str:
    """Format a probability; '' if the model returns values."""
    return "" if probability is None else f"{probability:.5f}"


def right_row(video: Path, folder: Path, label: str, probability: float | None) -> SummaryRow:
    """Return the row of a video that was predicted rightly and not explained."""
    return SummaryRow(stated_path(video, folder), label, probability_text(probability), label, "yes", "", "", "", "")


def check_summary(folder: Path) -> None:
    """Check that `summary.csv` of a folder is free, or one of vidcam's.

    Raises:
        OutputError: it is another file.
    """
    _read(folder / SUMMARY)


def write_summary(folder: Path, rows: Iterable[SummaryRow]) -> Path:
    """Write the rows into `summary.csv`. A row replaces that of an earlier run of the same video; other rows stay.

    Raises:
        OutputError: the file is another one, or cannot be written.
        RunError: the disk is full.
    """
    with folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / SUMMARY
    merged = _read(path) | {row.video: asdict(row) for row in rows}
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: csv_text(text) for name, text in row.items()} for row in merged.values())
    return path


def _read(path: Path) -> dict[str, Mapping[str, str]]:
    """Return the rows by video."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise OutputError(f"{path} cannot be read ({exc}); choose another folder with -o") from exc
    if tuple(reader.fieldnames or ()) != COLUMNS or any(None in row or None in row.values() for row in rows):
        raise OutputError(f"{path} is not a summary of vidcam; choose another folder with -o")
    texts = ({name: text_of_csv(cell) for name, cell in row.items()} for row in rows)
    return {row["video"]: row for row in texts}
