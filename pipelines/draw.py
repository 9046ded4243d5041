"""Second pass over a film: decode, blend, encode. One decoding serves the videos of all targets and methods."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidcam.cam.methods import GUIDED
from vidcam.fill import Fill
from vidcam.film import Film
from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.pipelines.stages import Clock, prefetch
from vidcam.progress import Progress
from vidcam.render.colormap import colour_table
from vidcam.render.guided import guided_picture
from vidcam.render.overlay import Overlay, explanation_map, outline
from vidcam.video.reader import VideoReader
from vidcam.video.writer import VideoWriter

SHEET_COLUMNS = 8
SHEET_SIDE_PX = 480


class GuidedValues(Protocol):
    """Guided maps of a film, asked for in the order of time; see `pipelines.guided`."""

    def values(self, method: str, second: float, *, target: int) -> NDArray[np.float32]:
        """Signed values inside the view, (H', W', 3)."""

    def scale(self, method: str, *, target: int) -> float:
        """The magnitude that is drawn as black or white."""


@dataclass(frozen=True, slots=True)
class Video:
    """One video to draw: what it shows of which target and method."""

    name: str
    kind: str
    target: int
    method: str


@dataclass(slots=True)
class Stills:
    """Frames for the sheet.

    Attributes:
        rows: name of each row → its target and method.
        seconds: moments, filled while drawing.
        source: the source there, shrunk.
        overlays: row → overlays, shrunk.
    """

    rows: Mapping[str, tuple[int, str]]
    seconds: list[float] = field(default_factory=list)
    source: list[Frames] = field(default_factory=list)
    overlays: dict[str, list[Frames]] = field(default_factory=dict)

    def add(self, moment: _Moment) -> None:
        """Keep a moment, shrunk."""
        self.seconds.append(moment.second)
        self.source.append(_shrunk(moment.frame))
        for row, (target, method) in self.rows.items():
            self.overlays.setdefault(row, []).append(_shrunk(moment.picture("overlay", method, target)))


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn of a film, and how.

    Attributes:
        film: the explanation.
        info: its source.
        pts_seconds: (S,) the displayed frames that are drawn.
        end_seconds: where drawing ends, not included.
        fill: what the map video hides with.
        mean_rgb: the dataset's mean colour, for that fill.
    """

    film: Film
    info: VideoInfo
    pts_seconds: Seconds
    end_seconds: float
    fill: Fill
    mean_rgb: tuple[float, float, float]


def draw_videos(
    drawing: Drawing,
    reader: VideoReader,
    videos: Sequence[Video],
    folder: Path,
    *,
    clock: Clock,
    progress: Progress,
    stills: Stills | None = None,
    guided: GuidedValues | None = None,
) -> None:
    """Write the videos into a folder and collect the stills of the sheet.

    Args:
        drawing: what and how.
        reader: the source.
        videos: what to write; may be empty when only stills are wanted.
        folder: where to.
        clock: takes the stages' times.
        progress: told of every frame.
        stills: filled when given.
        guided: needed where a guided method is drawn.
    """
    start = float(drawing.pts_seconds[0])
    wanted = _still_moments(drawing.pts_seconds) if stills is not None else frozenset()
    painter = _Painter(drawing, guided)
    source = clock.timed("decode for drawing", _frames(reader, drawing.pts_seconds))
    with ExitStack() as stack:
        writers = {video: stack.enter_context(_writer(drawing, folder / video.name)) for video in videos}
        frames = stack.enter_context(closing(prefetch(source, depth=4)))
        for done, (second, frame) in enumerate(frames, start=1):
            moment = _Moment(drawing.film, painter, max(second, float(drawing.film.timeline.starts[0])), frame)
            for video, writer in writers.items():
                with clock.stage("blend"):
                    picture = moment.picture(video.kind, video.method, video.target)
                with clock.stage("encode"):
                    writer.write(picture, second - start)
            if stills is not None and second in wanted:
                stills.add(moment)
            progress("drawing frames", done, drawing.pts_seconds.size)


class _Painter:
    """Draws one kind of picture of a frame; tables and the view are worked out once."""

    def __init__(self, drawing: Drawing, guided: GuidedValues | None) -> None:
        self._drawing, self._guided = drawing, guided
        self._view = drawing.film.geometry.view_slices()
        self._overlay = Overlay(colour_table())

    def paint(self, kind: str, frame: Frames, heat: NDArray[np.float32]) -> Frames:
        """An overlay with the model's view outlined, or the explanation map."""
        if kind == "overlay":
            return outline(self._overlay.blend(frame, heat, self._view), self._view)
        return explanation_map(
            frame,
            heat,
            self._view,
            fill=self._drawing.fill,
            mean_rgb=self._drawing.mean_rgb,
        )

    def paint_guided(self, frame: Frames, method: str, second: float, target: int) -> Frames:
        """Guided values around grey, with the model's view outlined."""
        assert self._guided is not None, "guided methods are drawn with guided values"
        values = self._guided.values(method, second, target=target)
        scale = self._guided.scale(method, target=target)
        return guided_picture(values, self._view, (frame.shape[0], frame.shape[1]), scale)


class _Moment:
    """One displayed frame; heat is worked out once for each method and target, when it is first asked for."""

    def __init__(self, film: Film, painter: _Painter, second: float, frame: Frames) -> None:
        self._film, self._painter = film, painter
        self.second, self.frame = second, frame
        self._heat: dict[tuple[str, int], NDArray[np.float32]] = {}

    def picture(self, kind: str, method: str, target: int) -> Frames:
        """The frame as a video of that kind shows it."""
        if method in GUIDED:
            return self._painter.paint_guided(self.frame, method, self.second, target)
        key = (method, target)
        if key not in self._heat:
            heat = self._film.source_heat(method, self.second, target=target)
            self._heat[key] = heat.astype(np.float32, copy=False)
        return self._painter.paint(kind, self.frame, self._heat[key])


def _frames(reader: VideoReader, pts_seconds: Seconds) -> Generator[tuple[float, Frames], None, None]:
    yield from reader.frames_at(pts_seconds)


def _writer(drawing: Drawing, path: Path) -> VideoWriter:
    start = float(drawing.pts_seconds[0])
    return VideoWriter(
        path,
        size=drawing.info.size,
        fps=drawing.info.fps,
        time_base=drawing.info.time_base,
        duration_seconds=drawing.end_seconds - start,
        audio_from=drawing.info.files[0] if drawing.info.has_audio else None,
        audio_start_seconds=start,
        audio_end_seconds=drawing.end_seconds,
    )


def _still_moments(pts_seconds: Seconds) -> frozenset[float]:
    columns = min(SHEET_COLUMNS, pts_seconds.size)
    middles = ((np.arange(columns) + 0.5) * pts_seconds.size / columns).astype(int)
    return frozenset(pts_seconds[middles].tolist())


def _shrunk(frame: Frames) -> Frames:
    step = max(1, max(frame.shape[:2]) // SHEET_SIDE_PX)
    return np.asarray(Image.fromarray(frame).reduce(step))


def video_list(
    stem: str, names: Sequence[str], methods: Sequence[str], kinds: Sequence[str]
) -> tuple[list[Video], list[Mapping[str, Mapping[str, str]]]]:
    """The videos of a film and, for each target, method → kind → file name.

    Args:
        stem: of the source.
        names: each target's part of the file name.
        methods: canonical names; guided ones have no map video.
        kinds: `overlay`, `map`.
    """
    videos: list[Video] = []
    files: list[Mapping[str, Mapping[str, str]]] = []
    for target, name in enumerate(names):
        of_target: dict[str, dict[str, str]] = {}
        for method in methods:
            for kind in kinds if method not in GUIDED else [kind for kind in kinds if kind == "overlay"]:
                file = f"{stem}_{name}_{method}{'_map' if kind == 'map' else ''}.mp4"
                videos.append(Video(file, kind, target, method))
                of_target.setdefault(method, {})[kind] = file
        files.append(of_target)
    return videos, files
