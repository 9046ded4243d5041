"""`render`: from saved maps and their video to a video, an animation, pictures or a sheet; no model, no torch.

One pass over the video, decoded ahead and encoded behind; memory is flat in its length. The colour scale is that of the
saved maps, over the whole video, also where only a part is drawn.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.pipelines.audit import video_audit
from vidcam.pipelines.render.composition import Composition
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer
from vidcam.pipelines.render.options import Form, RenderOptions
from vidcam.pipelines.render.request import RenderRequest, resolve
from vidcam.pipelines.render.saved import opened_source, require_other_place
from vidcam.pipelines.render.sheet import SheetFrames, contact_sheet, sheet_seconds
from vidcam.pipelines.render.videos import FrameWriter, drawn_seconds, stream_frames
from vidcam.system.progress import Progress, StageTimer, silent
from vidcam.video.animation import AnimationWriter
from vidcam.video.pictures import PictureFolder, save_picture
from vidcam.video.reader import VideoReader
from vidcam.video.writer import VideoWriter


@dataclass(frozen=True, slots=True)
class Rendered:
    """What `render_film` made.

    Attributes:
        path: the file or folder.
        form: which kind.
        frames: how many were drawn.
        notes: what could not be had as asked, as sentences.
        stage_seconds: time spent in each stage; stages overlap.
    """

    path: Path
    form: Form
    frames: int
    notes: tuple[str, ...]
    stage_seconds: dict[str, float] = field(repr=False, compare=False)

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the result itself, if it is not too large."""
        from vidcam.render.notebook import html_of

        return html_of(self.path)


def render_film(
    explanation: str | Path,
    out: str | Path,
    *,
    options: RenderOptions | None = None,
    progress: Progress = silent,
) -> Rendered:
    """Draw a saved explanation.

    Args:
        explanation: the .npz that `explain` saved.
        out: .mp4, .webm, .gif, .webp, .png, .jpg, or a name without an ending for a folder of PNGs.
        options: what is drawn and how.
        progress: called as work goes on.

    Raises:
        InputError: a file, a name or an option cannot be used; nothing is written.
        RunError: something failed while running; nothing is left behind.
    """
    saved, clock = Path(explanation), StageTimer()
    with clock.stage("probe"):
        request = resolve(saved, Path(out), options or RenderOptions())
    with opened_source(request.film, request.source) as reader:
        require_other_place(request.out, reader)
        pts, notes = drawn_seconds(reader.info, *request.span_seconds), request.notes
        count = pts.size
        if request.form == "sheet":
            count = _sheet(request, reader, pts, tuple(video_audit(request.film)))
        elif request.form == "poster":
            count = 1
            notes += _poster(request, reader, pts)
        else:
            notes += _moving(request, reader, pts, clock=clock, progress=progress)
    return Rendered(request.out, request.form, count, notes, clock.seconds)


def _moving(
    request: RenderRequest, reader: VideoReader, pts_seconds: Seconds, *, clock: StageTimer, progress: Progress
) -> tuple[str, ...]:
    """Draw every frame into a video, an animation or a folder; returns notes."""
    with clock.stage("set out"):
        composition = _composition(request, pts_seconds)

    def pictures(second: float, frame: Frames) -> Generator[Frames, None, None]:
        yield composition.picture(second, frame)

    writer = partial(_writer, request, reader.info, pts_seconds)
    stream_frames(reader, pts_seconds, [writer], pictures, clock=clock, progress=progress)
    return (*composition.notes, *reader.notes)


def _poster(request: RenderRequest, reader: VideoReader, pts_seconds: Seconds) -> tuple[str, ...]:
    """Draw the moment of the strongest evidence; returns notes."""
    film, first = request.film, request.maps[0]
    seen = np.maximum(pts_seconds, float(film.timeline.starts[0]))
    best = int(film.evidence(first.method, seen, target=first.target).argmax())
    ((second, frame),) = reader.frames_at(pts_seconds[[best]])
    composition = _composition(request, pts_seconds)
    save_picture(request.out, composition.picture(second, frame), overwrite=request.overwrite)
    return composition.notes


def _sheet(request: RenderRequest, reader: VideoReader, pts_seconds: Seconds, audit: tuple[str, ...]) -> int:
    """Draw methods × frames with their time strip; returns how many frames."""
    frames, renderer = SheetFrames(request.maps), FrameRenderer(request.film, request.style)
    for second, frame in reader.frames_at(np.array(sorted(sheet_seconds(pts_seconds)))):
        frames.add(FrameContext(renderer, second, frame))
    start = max(float(pts_seconds[0]), float(request.film.timeline.starts[0]))
    sheet = contact_sheet(
        request.film,
        frames,
        pts_seconds,
        audit=audit,
        table=request.style.table,
        span_seconds=(start, request.span_seconds[1]),
    )
    save_picture(request.out, sheet, overwrite=request.overwrite)
    return len(frames.seconds)


def _composition(request: RenderRequest, pts_seconds: Seconds) -> Composition:
    return Composition(
        request.film,
        request.maps,
        request.style,
        request.layout,
        pts_seconds=pts_seconds,
        end_seconds=request.span_seconds[1],
    )


def _writer(request: RenderRequest, info: VideoInfo, pts_seconds: Seconds) -> AbstractContextManager[FrameWriter]:
    """Open the result."""
    out, size, overwrite = request.out, request.layout.size, request.overwrite
    start, end = float(pts_seconds[0]), request.span_seconds[1]
    if request.form == "frames":
        return PictureFolder(out, duration_seconds=end - start, overwrite=overwrite)
    if request.encoder is None:
        return AnimationWriter(
            out,
            size=size,
            count=pts_seconds.size,
            duration_seconds=end - start,
            overwrite=overwrite,
            quality=request.quality,
        )
    return VideoWriter(
        out,
        size=size,
        fps=info.fps,
        time_base=info.time_base,
        duration_seconds=end - start,
        audio_from=info.files[0] if info.has_audio and request.has_sound else None,
        audio_start_seconds=start,
        audio_end_seconds=end,
        overwrite=overwrite,
        encoder=request.encoder,
    )
