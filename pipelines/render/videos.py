"""Draw the frames of a video in one pass: decode ahead and encode behind, each in a thread of its own.

One decoding serves all targets, methods and kinds that `explain` writes, and the contact sheet. Frames wait in short
queues, so that memory does not grow with the video. What fails in a thread is raised where the next frame is handed
over.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer, Kind, ShownMap
from vidcam.pipelines.render.sheet import SheetFrames, sheet_seconds
from vidcam.results.explanation import GUIDED
from vidcam.sampling import ROUNDING_SECONDS
from vidcam.system.progress import Progress, StageTimer
from vidcam.system.signals import defer_signals
from vidcam.system.threads import BackgroundWorker, prefetch
from vidcam.video.reader import VideoReader
from vidcam.video.writer import VideoWriter

DRAWING = "drawing frames"
"""Name of this pass for progress."""

AHEAD, BEHIND = 4, 2
"""Frames that wait at most before they are drawn, and before they are encoded."""


@dataclass(frozen=True, slots=True)
class Video:
    """One video to draw: its file name, which map it shows, and how."""

    name: str
    kind: Kind
    map: ShownMap


def draw_videos(
    renderer: FrameRenderer,
    reader: VideoReader,
    videos: Sequence[Video],
    folder: Path,
    *,
    pts_seconds: Seconds,
    end_seconds: float,
    clock: StageTimer,
    progress: Progress,
    sheet: SheetFrames | None = None,
) -> None:
    """Write the videos into a folder and collect the frames of the sheet.

    Args:
        renderer: draws a frame.
        reader: the source.
        videos: what to write; may be empty if only the sheet is wanted.
        folder: where to.
        pts_seconds: (S,) the displayed frames to draw.
        end_seconds: where drawing ends, not included.
        clock: takes the stages' times.
        progress: called after every frame.
        sheet: takes its frames.
    """
    chosen = frozenset() if sheet is None else sheet_seconds(pts_seconds)

    def pictures(second: float, frame: Frames) -> Generator[Frames, None, None]:
        context = FrameContext(renderer, second, frame)
        if sheet is not None and second in chosen:
            sheet.add(context)
        for video in videos:
            yield context.picture(video.kind, video.map)

    span = (float(pts_seconds[0]), end_seconds)
    writers = [partial(_writer, reader, span, folder / video.name) for video in videos]
    stream_frames(reader, pts_seconds, writers, pictures, clock=clock, progress=progress)


def _writer(reader: VideoReader, span_seconds: tuple[float, float], path: Path) -> VideoWriter:
    info, (start, end) = reader.info, span_seconds
    return VideoWriter(
        path,
        size=info.size,
        fps=info.fps,
        time_base=info.time_base,
        duration_seconds=end - start,
        audio_from=info.files[0] if info.has_audio else None,
        audio_start_seconds=start,
        audio_end_seconds=end,
    )


def video_list(
    stem: str, names: Sequence[str], methods: Sequence[str], kinds: Sequence[Kind]
) -> tuple[list[Video], list[Mapping[str, Mapping[str, str]]]]:
    """The videos of an explanation and, for each target, method → kind → file name.

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
                videos.append(Video(file, kind, ShownMap(target, method)))
                of_target.setdefault(method, {})[kind] = file
        files.append(of_target)
    return videos, files


class FrameWriter(Protocol):
    """Takes frames as they come; a context manager that leaves a whole result, or none."""

    def write(self, frame: Frames, pts_seconds: float, /) -> None:
        """Take a frame and when it is first displayed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...


class BackgroundWriter(BackgroundWorker):
    """Call a writer from a thread of its own, a few frames behind."""

    def __init__(self, writer: FrameWriter, clock: StageTimer) -> None:
        super().__init__(depth=BEHIND, thread_name="vidcam-encode")
        self._writer, self._clock = writer, clock

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Hand a frame over; waits while too many are waiting already."""
        self.submit(self._encode, frame, pts_seconds)

    def _encode(self, frame: Frames, pts_seconds: float) -> None:
        with self._clock.stage("encode"):
            self._writer.write(frame, pts_seconds)


def stream_frames(
    reader: VideoReader,
    pts_seconds: Seconds,
    writers: Sequence[Callable[[], AbstractContextManager[FrameWriter]]],
    pictures: Callable[[float, Frames], Generator[Frames, None, None]],
    *,
    clock: StageTimer,
    progress: Progress,
) -> None:
    """Draw each frame once for every writer.

    Args:
        reader: the source.
        pts_seconds: (S,) the displayed frames to draw; the first one becomes second 0.
        writers: open the results.
        pictures: of a frame (time stamp, (H, W, 3) uint8), one for each writer, in the same order.
        clock: takes the stages' times.
        progress: called after every frame.
    """
    start = float(pts_seconds[0])
    with ExitStack() as stack:
        behind = []
        for open_writer in writers:
            with defer_signals():  # an interruption waits until what is opened is sure to be closed
                writer = stack.enter_context(open_writer())
                behind.append(stack.enter_context(BackgroundWriter(writer, clock)))
        decoded = clock.timed("decode for drawing", _frames(reader, pts_seconds))
        ahead = stack.enter_context(closing(prefetch(decoded, depth=AHEAD)))
        for done, (second, frame) in enumerate(ahead, start=1):
            drawn = clock.timed("draw", pictures(second, frame))
            for each, picture in zip(behind, drawn, strict=True):
                each.write(picture, second - start)
            progress(DRAWING, done, pts_seconds.size)


def _frames(reader: VideoReader, pts_seconds: Seconds) -> Generator[tuple[float, Frames], None, None]:
    yield from reader.frames_at(pts_seconds)  # a generator, as `prefetch` closes it


def drawn_seconds(info: VideoInfo, start_seconds: float, end_seconds: float) -> Seconds:
    """The frames on display in [start, end), at least one; frames may be closer to each other than rounding."""
    pts = info.pts_seconds
    rounding = min(ROUNDING_SECONDS, float(np.diff(pts, append=info.duration_seconds).min()) / 2)
    begin = max(0, int(np.searchsorted(pts, start_seconds + rounding, side="right")) - 1)
    end = int(np.searchsorted(pts, end_seconds - rounding))
    return pts[begin : max(end, begin + 1)]
