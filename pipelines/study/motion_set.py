"""Write the motion set as files: videos, ground-truth masks, and a manifest for `score`.

manifest.csv            path, label, group, boxes, actors; a clip and its reverse are in one group
clips/<stem>.mp4        16 frames at 8 per second
truth/<stem>.json       one tube for each actor, over the frames of its action
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
from vidcam.system.atomic import disk_errors, folder_errors
from vidcam.system.exchange import claimed_path
from vidcam.system.progress import Progress, silent
from vidcam.video.encoders import software_encoder
from vidcam.video.writer import VideoWriter

FPS = Fraction(8)
"""Frames per second; one turn takes about one second."""

COLUMNS = ("path", "label", "group", "boxes", "actors")


@dataclass(frozen=True, slots=True)
class Request:
    """One clip of a set.

    Attributes:
        seed: seed of `make_clip`.
        label: index of the class in LABELS.
        actors: number of actors.
    """

    seed: int
    label: int
    actors: int = 1

    @property
    def stem(self) -> str:
        """File name without an ending, such as 'spin-clockwise_7_2'."""
        return f"{slug(LABELS[self.label], self.label)}_{self.seed}_{self.actors}"

    @property
    def group(self) -> str:
        """Name of the group of clips that are not independent samples."""
        return f"{LABELS[self.label].split()[0]}_{self.seed}_{self.actors}"

    def clip(self) -> MotionClip:
        """Make the clip."""
        return make_clip(self.seed, self.label, actors=self.actors)


def mixed(count: int, *, first_seed: int = 0, actors: int | None = None) -> list[Request]:
    """List clips with consecutive seeds, all classes equally often.

    Args:
        count: number of clips.
        first_seed: seed of the first clip.
        actors: number of actors in every clip. None: of ten clips, seven have one, two have two and one has three.
    """
    number_of = (1, 1, 1, 1, 1, 1, 1, 2, 2, 3)
    return [
        Request(first_seed + number, (number // 10 + number) % len(LABELS), actors or number_of[number % 10])
        for number in range(count)
    ]


def write_motion_set(
    requests: Iterable[Request], out: str | Path, *, scale: int = 1, progress: Progress = silent
) -> Path:
    """Write clips with their ground truth; returns the path of the manifest.

    Args:
        requests: the clips.
        out: a new or empty folder; removed again if writing fails.
        scale: each pixel becomes scale × scale pixels. Boxes are scaled too, masks are not.
        progress: called after each clip.

    Raises:
        OutputError: the folder is not empty, or cannot be written to.
        RunError: writing failed.
    """
    folder, clips = Path(out), list(requests)
    require_empty(folder)
    with claimed_path(folder, overwrite=True) as stage, disk_errors(folder):
        for name in ("clips", "truth"):
            (stage / name).mkdir(parents=True)
        rows = []
        for number, request in enumerate(clips, start=1):
            rows.append(_write_clip(stage, request, scale))
            progress("writing clips", number, len(clips))
        _write_manifest(stage / "manifest.csv", rows)
    return folder / "manifest.csv"


def write_video(path: Path, clips: Iterable[Frames], *, scale: int = 1) -> Path:
    """Write clips one after the other to an MP4; overwrites the file. Each pixel becomes scale × scale pixels."""
    frames = np.concatenate(list(clips)).repeat(scale, axis=1).repeat(scale, axis=2)
    size = (frames.shape[1], frames.shape[2])
    encoder = software_encoder("libx264", quality=12)
    with VideoWriter(path, size=size, fps=FPS, time_base=1 / FPS, encoder=encoder) as writer:
        for number, frame in enumerate(frames):
            writer.write(frame, float(number / FPS))
    return path


def require_empty(folder: Path) -> None:
    """Require that a folder is new or empty, and create its parents."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"'{folder}' is not empty; choose a new or empty folder")
    with folder_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)


def _write_clip(stage: Path, request: Request, scale: int) -> dict[str, str | int]:
    """Write the files of one clip; returns its row of the manifest."""
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
