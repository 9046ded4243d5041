"""A recording of rerun, `.rrd`: the video, the heat over it, evidence and probabilities as curves.

The heat is small, as the grid of the map is. A transform puts it over the frame; rerun draws it larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidcam.errors import InputError
from vidcam.media import Seconds
from vidcam.pipelines.export.video import Bytes, ExportedVideo, plain_name
from vidcam.render.colormap import colour_table
from vidcam.render.overlay import OPACITY, opacity_curve

TIME = "video_time"
"""Rerun's time line. Its values are the time stamps of the video."""

PLAYED = (".mp4", ".m4v")
"""Endings of the videos that rerun plays."""


def require_rerun() -> Any:
    """Import the package.

    Raises:
        InputError: it is missing.
    """
    try:
        import rerun
    except ModuleNotFoundError as exc:
        raise InputError("an .rrd file needs rerun-sdk, which is missing: pip install 'vidcam[rerun]'") from exc
    return rerun


def write_rerun(videos: Sequence[ExportedVideo], path: Path, *, name: str) -> None:
    """Write a recording.

    Args:
        videos: one folder of entities each.
        path: the file.
        name: name of the recording.

    Raises:
        InputError: the package is missing.
    """
    recording = _Recording(path, name)
    try:
        for number, video in enumerate(videos, start=1):
            recording.add(video, "video" if len(videos) == 1 else f"video_{number}")
    finally:
        recording.close()


def is_played(video: ExportedVideo) -> bool:
    """Whether rerun plays the video; otherwise the recording has its heat alone."""
    return video.path.suffix.lower() in PLAYED and len(video.info.files) == 1


class _Recording:
    """Writes entities into a file."""

    def __init__(self, path: Path, name: str) -> None:
        self._rerun = require_rerun()
        self._stream = self._rerun.RecordingStream("vidcam", recording_id=name, send_properties=False)
        self._stream.save(path)

    def close(self) -> None:
        self._stream.flush()
        self._stream.disconnect()

    def add(self, video: ExportedVideo, root: str) -> None:
        """Add a video, its maps and its curves."""
        explanation = video.explanation
        sentence = "" if explanation.video_verdict is None else f"\n\n{explanation.video_verdict.sentence}"
        self._text(f"{root}/about", f"{explanation.source}, {explanation.model}{sentence}")
        if is_played(video):
            self._add_frames(video, root)
        for target, label, method in video.maps():
            entity = f"{root}/{plain_name(label)}/{plain_name(method)}"
            self._add_heat(video, entity, method, target)
            self._curve(f"{entity}/evidence", video.stamps, explanation.evidence(method, video.stamps, target=target))
            verdict = explanation.verdict(method, target=target)
            self._text(f"{entity}/verdict", f"{verdict.word}: {verdict.reason}")
        middles = (explanation.timeline.starts + explanation.timeline.ends) / 2
        for label, maps in zip(explanation.labels, explanation.explanations, strict=True):
            if maps.activation != "none":
                self._curve(f"{root}/{plain_name(label)}/probability", middles, maps.probability)

    def _add_frames(self, video: ExportedVideo, root: str) -> None:
        """Add the video, and which of its frames is shown when."""
        asset = self._rerun.AssetVideo(path=video.path)
        self._stream.log(root, asset, static=True)
        nanoseconds = np.asarray(asset.read_frame_timestamps_nanos())
        if len(nanoseconds) == video.info.frame_count:  # by number: a file's own clock need not start at 0
            first = video.frame_number(float(video.stamps[0])) - 1
            nanoseconds = nanoseconds[first : first + video.stamps.size]
        else:
            nanoseconds = np.round(video.stamps * 1e9).astype(np.int64)
        columns = self._rerun.VideoFrameReference.columns_nanos(nanoseconds)
        self._stream.send_columns(root, indexes=[self._times(video.stamps)], columns=columns)

    def _add_heat(self, video: ExportedVideo, entity: str, method: str, target: int) -> None:
        """Add one map: small pictures with opacity, over the whole frame."""
        (height, width), grid, image = video.info.size, (1, 1), self._rerun.Image
        for seconds, heats in video.heats(method, target):
            grid = (heats.shape[1], heats.shape[2])
            columns = image.columns(buffer=_coloured(heats).reshape(len(heats), -1))
            self._stream.send_columns(entity, indexes=[self._times(seconds)], columns=columns)
        layout = self._rerun.components.ImageFormat(
            width=grid[1], height=grid[0], color_model="RGBA", channel_datatype="U8"
        )
        self._stream.log(entity, image.from_fields(format=layout, draw_order=1.0), static=True)
        scale = [width / grid[1], height / grid[0], 1.0]
        self._stream.log(entity, self._rerun.Transform3D(scale=scale), static=True)

    def _curve(self, entity: str, seconds: Seconds, values: Seconds) -> None:
        columns = self._rerun.Scalars.columns(scalars=values)
        self._stream.send_columns(entity, indexes=[self._times(seconds)], columns=columns)

    def _text(self, entity: str, text: str) -> None:
        self._stream.log(entity, self._rerun.TextDocument(text), static=True)

    def _times(self, seconds: Seconds) -> Any:
        return self._rerun.TimeColumn(TIME, duration=seconds)


def _coloured(heats: Bytes) -> Bytes:
    """Return the colours and opacities of an overlay, (..., 4)."""
    alpha = np.round(255 * opacity_curve(OPACITY)).astype(np.uint8)
    colours: Bytes = np.concatenate([colour_table(), alpha[:, None]], axis=1)[heats]
    return colours
