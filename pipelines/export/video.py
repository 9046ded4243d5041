"""One explained video as other programs want it: frames by number, heat on a grid over the whole frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.geometry import Geometry
from vidcam.maps import Floats, interpolation_matrix, resample_plane, to_unit
from vidcam.media import Seconds, VideoInfo
from vidcam.pipelines.render.saved import opened_source
from vidcam.pipelines.render.videos import drawn_seconds
from vidcam.pipelines.report.clip import span_of
from vidcam.results.video import CHUNK, VideoExplanation
from vidcam.system.progress import Progress
from vidcam.video.source import Source

Bytes = NDArray[np.uint8]
"""Heat of a grid in 255 steps, or its colours."""


@dataclass(frozen=True, slots=True)
class ExportedVideo:
    """An explanation, and the frames of its video.

    Attributes:
        explanation: the maps.
        info: the video.
        stamps: (F,) time stamps of the displayed frames of the explained part.
    """

    explanation: VideoExplanation
    info: VideoInfo
    stamps: Seconds

    @property
    def path(self) -> Path:
        """The file that is played."""
        return Path(self.info.files[0] if len(self.info.files) == 1 else self.info.path)

    def maps(self) -> Iterator[tuple[int, str, str]]:
        """Yield index and label of the target, and method, of each map."""
        for target, (label, maps) in enumerate(
            zip(self.explanation.labels, self.explanation.explanations, strict=True)
        ):
            yield from ((target, label, method) for method in maps.methods)

    def heats(self, method: str, target: int) -> Iterator[tuple[Seconds, Bytes]]:
        """Yield the heat of the explained frames, some at a time.

        Yields:
            (S,) their time stamps, and (S, h, w) uint8 on `frame_grid`; 255 is the strongest of the explanation's
            scale. A cell outside the model's view is 0.
        """
        for start in range(0, self.stamps.size, CHUNK):
            seconds = self.stamps[start : start + CHUNK]
            planes = self.explanation.scaled(method, seconds, target=target)
            unit = to_unit(planes, *self.explanation.bounds[method])
            grid = (planes.shape[1], planes.shape[2])
            heat = resample_plane(unit, *frame_grid(self.explanation.geometry, grid))
            yield seconds, np.round(255 * np.clip(heat, 0.0, 1.0)).astype(np.uint8)

    def frame_number(self, second: float) -> int:
        """Return the number of the frame that is shown at a moment; the first one of the video is 1."""
        return max(1, int(np.searchsorted(self.info.pts_seconds, second + 1e-9, side="right")))


def exported_video(explanation: VideoExplanation, source: Source, *, progress: Progress) -> ExportedVideo:
    """Open the video of an explanation and list its frames; errors as in `opened_source`."""
    with opened_source(explanation, source, progress=progress) as reader:
        return ExportedVideo(explanation, reader.info, drawn_seconds(reader.info, *span_of(explanation)))


@lru_cache(maxsize=16)
def frame_grid(geometry: Geometry, grid: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the weights that put an (h, w) map of the model's view on a grid over the whole frame.

    Its cells are about as large as those of the map; if the model sees the whole frame, they are the same cells.

    Returns:
        rows (H', h) and columns (W', w), for `maps.resample_plane`. Rows of cells outside the view are 0.
    """
    top, left, bottom, right = geometry.view_box
    edges = ((top, bottom), (left, right))
    rows, columns = (
        _axis_weights(size, edge, cells) for size, edge, cells in zip(geometry.source_size, edges, grid, strict=True)
    )
    return rows, columns


def _axis_weights(size: int, edges: tuple[float, float], cells: int) -> Floats:
    start, length = edges[0], edges[1] - edges[0]
    count = max(1, round(cells * size / length))
    positions = ((np.arange(count) + 0.5) * (size / count) - start) * (cells / length)
    weights: NDArray[Any] = interpolation_matrix(positions, cells).astype(np.float32)
    weights[(positions < 0) | (positions > cells)] = 0.0
    return weights


def plain_name(text: str) -> str:
    """Make a name of letters, digits and underscores: 'gradcam++' → 'gradcam_plus_plus'."""
    return re.sub(r"\W+", "_", text.replace("+", " plus")).strip("_") or "_"
