"""The videos that `explain` writes: one decoding serves all targets, methods and kinds, and the contact sheet."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vidcam.media import Frames, Seconds
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer, Kind, ShownMap
from vidcam.pipelines.render.sheet import SheetFrames, sheet_seconds
from vidcam.pipelines.render.stream import stream_frames
from vidcam.results.explanation import GUIDED
from vidcam.system.progress import Progress, StageTimer
from vidcam.video.reader import VideoReader
from vidcam.video.writer import VideoWriter


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
