"""The motion set as files: MP4s, a manifest with tubes that `score` reads like any other, and the masks.

manifest.csv            path, label, group, boxes, actors; a clip and its reverse are one group
clips/<stem>.mp4        16 frames at 8 a second
truth/<stem>.json       one tube for each actor, over the frames in which it acts
truth/<stem>.npz        masks (M, T, H, W) bool in all frames, intervals (M, 2), label
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidcam.errors import OutputError
from vidcam.media import Frames
from vidcam.motion.box_tracks import box_tracks
from vidcam.motion.clip import MotionClip, make_clip
from vidcam.motion.paths import LABELS
from vidcam.pipelines.explain.outputs import slug
from vidcam.system.atomic import atomic_folder, folder_errors
from vidcam.system.progress import Progress, silent
from vidcam.video.writer import VideoWriter

FPS = Fraction(8)
"""Frames of a clip a second: a turn takes about one."""

COLUMNS = ("path", "label", "group", "boxes", "actors")


@dataclass(frozen=True, slots=True)
class Request:
    """One clip of a set.

    Attributes:
        seed: as of `make_clip`.
        label: likewise.
        actors: likewise.
    """

    seed: int
    label: int
    actors: int = 1

    @property
    def stem(self) -> str:
        """Name of its files, 'spin-clockwise_7_2'."""
        return f"{slug(LABELS[self.label], self.label)}_{self.seed}_{self.actors}"

    @property
    def group(self) -> str:
        """What clips have in common that are no independent samples."""
        return f"{LABELS[self.label].split()[0]}_{self.seed}_{self.actors}"

    def clip(self) -> MotionClip:
        """Made anew each time."""
        return make_clip(self.seed, self.label, actors=self.actors)


def mixed(count: int, *, first_seed: int = 0, actors: int | None = None) -> list[Request]:
    """Clips by consecutive seeds, all classes alike often.

    Args:
        count: of the clips.
        first_seed: of the first.
        actors: in every clip; None: one in seven of ten clips, two in two, three in one.
    """
    number_of = (1, 1, 1, 1, 1, 1, 1, 2, 2, 3)
    return [
        Request(first_seed + number, (number // 10 + number) % len(LABELS), actors or number_of[number % 10])
        for number in range(count)
    ]


def write_motion_set(
    requests: Iterable[Request], out: str | Path, *, scale: int = 1, progress: Progress = silent
) -> Path:
    """Write clips with all that is known of them; returns the manifest's path.

    Args:
        requests: which clips.
        out: folder that is not there yet, or empty; nothing is left of it if writing fails.
        scale: each pixel becomes scale × scale; boxes follow, masks do not.
        progress: told of the clips.

    Raises:
        OutputError: the folder holds something, or cannot be written to.
        RunError: writing failed in the middle.
    """
    folder, wanted = Path(out), list(requests)
    _make_place(folder)
    with atomic_folder(folder) as stage:
        for name in ("clips", "truth"):
            (stage / name).mkdir()
        rows = []
        for number, request in enumerate(wanted, start=1):
            rows.append(_write_clip(stage, request, scale))
            progress("writing clips", number, len(wanted))
        _write_manifest(stage / "manifest.csv", rows)
    return folder / "manifest.csv"


def write_video(path: Path, clips: Iterable[Frames], *, scale: int = 1) -> Path:
    """Clips one after the other as an MP4, replacing what is there; pixels become squares of scale × scale."""
    frames = np.concatenate(list(clips)).repeat(scale, axis=1).repeat(scale, axis=2)
    size = (frames.shape[1], frames.shape[2])
    with VideoWriter(path, size=size, fps=FPS, time_base=1 / FPS, overwrite=True, crf=12) as writer:
        for number, frame in enumerate(frames):
            writer.write(frame, float(number / FPS))
    return path


def _make_place(folder: Path) -> None:
    """Make the folders above; what is there already must be an empty folder."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"'{folder}' holds something already, expected a new or empty folder; choose another")
    with folder_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)


def _write_clip(stage: Path, request: Request, scale: int) -> dict[str, str | int]:
    """Files of one clip; returns its row of the manifest."""
    clip = request.clip()
    path, boxes = f"clips/{request.stem}.mp4", f"truth/{request.stem}.json"
    write_video(stage / path, [clip.frames], scale=scale)
    (stage / boxes).write_text(json.dumps(box_tracks(clip, scale=scale)), encoding="utf-8")
    truth = stage / "truth" / f"{request.stem}.npz"
    np.savez_compressed(truth, masks=clip.masks, intervals=np.array(clip.intervals), label=clip.label)
    row = (path, LABELS[request.label], request.group, boxes, request.actors)
    return dict(zip(COLUMNS, row, strict=True))


def _write_manifest(path: Path, rows: Iterable[dict[str, str | int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
