"""Second pass over a film: decode, blend, encode. One decoding serves the videos of all targets and methods."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.pipelines.render.frames import GuidedValues, Look, Moment, Painter
from vidcam.pipelines.render.stream import opened, played
from vidcam.results.explanation import GUIDED
from vidcam.results.video import Film
from vidcam.sampling import ROUNDING_SECONDS
from vidcam.system.progress import Progress
from vidcam.system.threads import Clock
from vidcam.video.reader import VideoReader
from vidcam.video.writer import VideoWriter

DRAWING = "drawing frames"
"""The second pass, where progress is told."""

PIXEL_SECONDS = 2.5e-8
"""What a pixel of a video is thought to take, until it is seen, on two ordinary cores; decoding is one video."""

SHEET_COLUMNS = 8
SHEET_SIDE_PX = 480


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

    def add(self, moment: Moment) -> None:
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
        look: how evidence is shown.
    """

    film: Film
    info: VideoInfo
    pts_seconds: Seconds
    end_seconds: float
    look: Look


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
    wanted = still_moments(drawing.pts_seconds) if stills is not None else frozenset()
    painter = Painter(drawing.film, drawing.look, guided)
    with ExitStack() as stack:
        sinks = {video: opened(stack, _writer(drawing, folder / video.name), clock) for video in videos}
        frames = stack.enter_context(played(_frames(reader, drawing.pts_seconds), clock))
        for done, (second, frame) in enumerate(frames, start=1):
            moment = Moment(painter, second, frame)
            for video, sink in sinks.items():
                with clock.stage("blend"):
                    picture = moment.picture(video.kind, video.method, video.target)
                sink.write(picture, second - start)
            if stills is not None and second in wanted:
                stills.add(moment)
            progress(DRAWING, done, drawing.pts_seconds.size)


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


def drawn_seconds(info: VideoInfo, start_seconds: float, end_seconds: float) -> Seconds:
    """The frames on display in [start, end), at least one; frames may be closer to each other than rounding."""
    pts = info.pts_seconds
    rounding = min(ROUNDING_SECONDS, float(np.diff(pts, append=info.duration_seconds).min()) / 2)
    begin = max(0, int(np.searchsorted(pts, start_seconds + rounding, side="right")) - 1)
    end = int(np.searchsorted(pts, end_seconds - rounding))
    return pts[begin : max(end, begin + 1)]


def still_moments(pts_seconds: Seconds) -> frozenset[float]:
    """The moments that a sheet shows, of the displayed frames (S,)."""
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
