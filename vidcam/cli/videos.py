"""The videos that `vidcam explain` was called with: a folder of videos becomes the videos in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class VideoList:
    """Videos in their order, and sentences about files that were skipped."""

    videos: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def expand_folders(paths: Sequence[Path]) -> VideoList:
    """Replace each folder that holds videos by its videos, in natural order; subfolders are not entered.

    A folder without videos stays: its images are one video, or it is refused when it is opened.
    """
    videos: list[Path] = []
    notes = []
    for path in paths:
        members, skipped = _of_folder(path)
        if not members:
            videos.append(path)
            continue
        videos += [member for member in members if member not in videos]
        if skipped:
            notes.append(f"{path}: skipped {_counted(skipped)}, which {'is' if len(skipped) == 1 else 'are'} no video")
    return VideoList(tuple(videos), tuple(notes))


def _of_folder(path: Path) -> tuple[list[Path], list[Path]]:
    """The videos of a folder, and its other visible files; both empty for what is no folder."""
    try:
        files = [file for file in path.iterdir() if file.is_file() and not file.name.startswith(".")]
    except (OSError, ValueError):  # no folder, or one that cannot be listed: opening it says so
        return [], []
    from natsort import natsort_keygen, ns

    from vidcam.pipelines.score.clips import SUFFIXES

    in_number_order = natsort_keygen(alg=ns.IGNORECASE)
    files.sort(key=lambda file: (in_number_order(file.name), file.name))
    return (
        [file for file in files if file.suffix.lower() in SUFFIXES],
        [file for file in files if file.suffix.lower() not in SUFFIXES],
    )


def _counted(files: Sequence[Path]) -> str:
    names = ", ".join(file.name for file in files[:_MOST_NAMES]) + ", …" * (len(files) > _MOST_NAMES)
    return names if len(files) == 1 else f"{len(files)} files ({names})"
