"""Write saved explanations for other programs; `vidcam report` calls it for the endings that are no page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidcam.pipelines.export.fiftyone import fiftyone_json
from vidcam.pipelines.export.rerun import is_played, require_rerun, write_rerun
from vidcam.pipelines.export.video import exported_video
from vidcam.pipelines.render.saved import Saved, open_saved
from vidcam.system.atomic import atomic_write
from vidcam.system.progress import Progress
from vidcam.video.source import Source

FIFTYONE, RERUN = ".json", ".rrd"

EXPORTED = (FIFTYONE, RERUN)
"""Endings of the files that are written here."""


def write_export(
    results: Sequence[Saved],
    out: Path,
    *,
    source: Source | None,
    name: str,
    overwrite: bool,
    progress: Progress,
) -> tuple[str, ...]:
    """Write the file whose ending says what it is: `.json` for FiftyOne, `.rrd` for rerun.

    Arguments and errors as in `report`; `name` is that of the dataset or of the recording.

    Returns:
        What was left out, and why.
    """
    is_recording = out.suffix.lower() == RERUN
    if is_recording:
        require_rerun()
    videos = [exported_video(*open_saved(result, source), progress=progress) for result in results]
    with atomic_write(out, overwrite=overwrite) as part:
        if is_recording:
            write_rerun(videos, part, name=name)
        else:
            part.write_text(fiftyone_json(videos, out.parent, name=name), "utf-8")
    left_out = [video.info.path for video in videos if is_recording and not is_played(video)]
    return tuple(f"rerun plays MP4 only: the recording has the heat of {path}, not the video." for path in left_out)
