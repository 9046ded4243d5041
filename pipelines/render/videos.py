"""Draw the frames of a video in one pass. Decoding and encoding run in their own threads.

The video is decoded once for all output videos and the contact sheet. The queues between the threads are short, so that
memory does not grow with the video. An error in a thread is raised with the next frame.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.pipelines.render.captions import CaptionDrawer, caption_tracks
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer, Kind, ShownMap
from vidcam.pipelines.render.sheet import SheetFrames
from vidcam.render.caption_text import CaptionPlace
from vidcam.results.explanation import GUIDED
from vidcam.sampling import rounding_seconds
from vidcam.system.progress import Progress, StageTimer
from vidcam.system.signals import defer_signals
from vidcam.system.threads import BackgroundWorker, prefetch
from vidcam.video.encoders import H264, Encoder
from vidcam.video.reader import VideoReader
from vidcam.video.writer import VideoWriter

DRAWING = "drawing frames"
"""Name of this pass in the progress display."""

AHEAD, BEHIND = 2, 4
"""Largest number of frames that wait for drawing, and for encoding."""


@dataclass(frozen=True, slots=True)
class Video:
    """One video to draw: its file name, the style of drawing, and the map."""

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
    captions: CaptionPlace = "inside",
    sheet: SheetFrames | None = None,
) -> tuple[str, ...]:
    """Write the videos into a folder and collect the frames of the sheet; returns notes.

    Drawn are the frames at `pts_seconds`, (S,). The part ends at `end_seconds`. There may be no videos.
    """
    tracks = None if captions == "none" else caption_tracks(renderer.explanation, [video.map for video in videos])
    drawers = [CaptionDrawer(renderer, video.kind, (video.map,), captions, tracks=tracks) for video in videos]
    renderer.expect(pts_seconds)
    moments = frozenset(() if sheet is None else sheet.moments)

    def draw(second: float, frame: Frames) -> Generator[Frames, None, None]:
        context = FrameContext(renderer, second, frame)
        if sheet is not None and second in moments:
            sheet.add(context)
        for video, drawer in zip(videos, drawers, strict=True):
            yield drawer.draw(context.picture(video.kind, video.map), video.map, context.second)

    info, span, lost = reader.info, (float(pts_seconds[0]), end_seconds), list[str]()
    sizes = [(info.size[0] + drawer.margin_px, info.size[1]) for drawer in drawers]
    writers = [
        partial(video_writer, folder / video.name, info, span, size=size, on_lost_audio=lost.append)
        for video, size in zip(videos, sizes, strict=True)
    ]
    stream_frames(reader, pts_seconds, writers, draw, clock=clock, progress=progress)
    return tuple(dict.fromkeys([*lost, *(note for drawer in drawers for note in drawer.notes)]))


def video_writer(
    path: Path,
    info: VideoInfo,
    span_seconds: tuple[float, float],
    *,
    size: tuple[int, int],
    sound: bool = True,
    encoder: Encoder = H264,
    on_lost_audio: Callable[[str], None] | None = None,
) -> VideoWriter:
    """Open a video of a part [start, end) of a source, with its frame rate and sound; `size` is (height, width)."""
    start, end = span_seconds
    return VideoWriter(
        path,
        size=size,
        fps=info.fps,
        time_base=info.time_base,
        duration_seconds=end - start,
        audio_from=info.files[0] if info.has_audio and sound else None,
        audio_start_seconds=start,
        audio_end_seconds=end,
        audio_clock=info.clock,
        on_lost_audio=on_lost_audio,
        encoder=encoder,
    )


def video_list(
    stem: str,
    names: Sequence[str],
    methods: Sequence[str],
    kinds: Sequence[Kind],
    *,
    targets: Collection[int] | None = None,
) -> tuple[list[Video], list[Mapping[str, Mapping[str, str]]]]:
    """List the videos of an explanation and, for each target, method → kind → file name.

    Args:
        stem: file name of the source without its ending.
        names: part of the file name for each target.
        methods: canonical names; guided methods have no map video.
        kinds: `overlay`, `map`.
        targets: positions of the targets that have videos; None: all.
    """
    videos: list[Video] = []
    files: list[Mapping[str, Mapping[str, str]]] = []
    for target, name in enumerate(names):
        of_target: dict[str, dict[str, str]] = {}
        for method in methods if targets is None or target in targets else ():
            for kind in kinds if method not in GUIDED else [kind for kind in kinds if kind == "overlay"]:
                file = f"{stem}_{name}_{method}{'_map' if kind == 'map' else ''}.mp4"
                videos.append(Video(file, kind, ShownMap(target, method)))
                of_target.setdefault(method, {})[kind] = file
        files.append(of_target)
    return videos, files


class FrameWriter(Protocol):
    """A writer of frames. What it has written when an exception ends it may stay: it lies in a hidden place."""

    def write(self, frame: Frames, pts_seconds: float, /) -> None:
        """Write a frame with its time stamp."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...


class BackgroundWriter(BackgroundWorker):
    """Runs a frame writer in a thread of its own."""

    def __init__(self, writer: FrameWriter, clock: StageTimer) -> None:
        super().__init__(depth=BEHIND, thread_name="vidcam-encode")
        self._writer, self._clock = writer, clock

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Queue a frame; waits while the queue is full."""
        self.submit(self._encode, frame, pts_seconds)

    def _encode(self, frame: Frames, pts_seconds: float) -> None:
        with self._clock.stage("encode"):
            self._writer.write(frame, pts_seconds)


def stream_frames(
    reader: VideoReader,
    pts_seconds: Seconds,
    writers: Sequence[Callable[[], AbstractContextManager[FrameWriter]]],
    draw: Callable[[float, Frames], Generator[Frames, None, None]],
    *,
    clock: StageTimer,
    progress: Progress,
) -> None:
    """Draw each frame once for every writer.

    Args:
        reader: the source.
        pts_seconds: (S,) time stamps of the frames to draw; the first one becomes second 0.
        writers: functions that open the outputs.
        draw: yields one picture per writer, in the same order, for a time stamp and a frame (H, W, 3) uint8.
        clock: measures the time of the stages.
        progress: called after each frame.
    """
    start = float(pts_seconds[0])
    with ExitStack() as stack:
        encoders = []
        for open_writer in writers:
            with defer_signals():  # an interrupt waits until the stack will close the writer
                writer = stack.enter_context(open_writer())
                encoders.append(stack.enter_context(BackgroundWriter(writer, clock)))
        decoded = clock.timed("decode for drawing", _frames(reader, pts_seconds))
        frames = stack.enter_context(closing(prefetch(decoded, depth=AHEAD)))
        for done, (second, frame) in enumerate(frames, start=1):
            pictures = clock.timed("draw", draw(second, frame))
            for encoder, picture in zip(encoders, pictures, strict=True):
                encoder.write(picture, second - start)
            progress(DRAWING, done, pts_seconds.size)


def _frames(reader: VideoReader, pts_seconds: Seconds) -> Generator[tuple[float, Frames], None, None]:
    yield from reader.frames_at(pts_seconds)  # a generator, because `prefetch` closes it


def drawn_seconds(info: VideoInfo, start_seconds: float, end_seconds: float) -> Seconds:
    """Return the time stamps of the frames displayed in [start, end), at least one."""
    pts, rounding = info.pts_seconds, rounding_seconds(info)
    begin = max(0, int(np.searchsorted(pts, start_seconds + rounding, side="right")) - 1)
    end = int(np.searchsorted(pts, end_seconds - rounding))
    return pts[begin : max(end, begin + 1)]
