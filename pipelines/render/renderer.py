"""`render`: from saved maps and their video to a video, an animation, pictures or a sheet; no model, no torch.

One pass over the video, decoded ahead and encoded behind; memory is flat in its length. The colour scale is that of the
saved maps, over the whole video, also where only a part is drawn.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from vidcam.fill import Fill
from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.pipelines.audit import video_audit
from vidcam.pipelines.render.composition import Composition
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer
from vidcam.pipelines.render.options import Form, RenderOptions, Style
from vidcam.pipelines.render.request import RenderRequest, resolve
from vidcam.pipelines.render.saved import opened_source, require_other_place
from vidcam.pipelines.render.sheet import SheetFrames, contact_sheet, sheet_seconds
from vidcam.pipelines.render.videos import FrameWriter, drawn_seconds, stream_frames
from vidcam.render.colormap import DEFAULT_COLOURS
from vidcam.results.video import VideoExplanation
from vidcam.system.progress import Progress, StageTimer, silent
from vidcam.video.animation import AnimationWriter
from vidcam.video.image_writer import ImageSequenceWriter, save_image
from vidcam.video.reader import VideoReader
from vidcam.video.source import Source
from vidcam.video.writer import VideoWriter


@dataclass(frozen=True, slots=True)
class Rendered:
    """What `render_video` made.

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


def render_video(
    explanation: str | Path | VideoExplanation,
    out: str | Path,
    *,
    source: Source | None = None,
    style: Style = "overlay",
    methods: str | Sequence[str] = (),
    targets: str | int | Sequence[str | int] = (),
    fill: Fill = "black",
    colormap: str = DEFAULT_COLOURS,
    opacity: float = 0.6,
    caption: bool = True,
    colorbar: bool = True,
    outline: bool = True,
    strip: bool = False,
    sound: bool = True,
    start: float | None = None,
    end: float | None = None,
    height: int | None = None,
    form: Form | None = None,
    codec: str | None = None,
    encoder: str = "auto",
    preset: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Rendered:
    """Draw a saved explanation.

    Args:
        explanation: the .npz that `explain` saved, or the `VideoExplanation` itself.
        out: .mp4, .webm, .gif, .webp, .png, .jpg, or a name without an ending for a folder of PNGs.
        source: the video, if it is no longer where `explain` read it; the array or the list that was explained.
        style: `overlay`, `map`, `side-by-side`, `contour` or `heat`.
        methods: one or several of the explained methods. Empty: the first one; side by side all.
        targets: labels or indices of the explained targets. Empty: the first one; side by side all.
        fill: what the style `map` shows where there is no evidence.
        colormap: name of a colour map of matplotlib.
        opacity: largest opacity of the overlay, in [0, 1].
        caption: whether label, probability and method are written on the picture.
        colorbar: whether a colour bar is drawn on the picture.
        outline: whether the part of the frame that the model saw is outlined.
        strip: whether a time strip is added below; the picture becomes higher.
        sound: whether the sound of the source is kept, in MP4 and WebM.
        start: where drawing begins, in seconds.
        end: where it ends, in seconds, not included. None: with the explanation.
        height: rows of the picture without the strip. None: as the source.
        form: `mp4`, `webm`, `gif`, `webp`, `frames` (a folder of PNGs), `sheet` or `poster`. None: by the ending.
        codec: `h264`, `hevc`, `av1` or `vp9`. None: the usual one of the container.
        encoder: `auto` (software), or FFmpeg's name of an encoder, such as h264_nvenc.
        preset: of the encoder.
        quality: constant quality on the scale of the encoder.
        overwrite: replace an existing result.
        progress: called as work goes on.

    Raises:
        InputError: a file, a name or an option cannot be used; nothing is written.
        RunError: something failed while running; nothing is left behind.
    """
    options = RenderOptions(
        source=source,
        style=style,
        methods=methods,
        targets=targets,
        fill=fill,
        colormap=colormap,
        opacity=opacity,
        caption=caption,
        colorbar=colorbar,
        outline=outline,
        strip=strip,
        sound=sound,
        start=start,
        end=end,
        height=height,
        form=form,
        codec=codec,
        encoder=encoder,
        preset=preset,
        quality=quality,
        overwrite=overwrite,
    )
    return render_saved(explanation, Path(out), options, progress=progress)


def render_saved(
    explanation: str | Path | VideoExplanation, out: Path, options: RenderOptions, *, progress: Progress = silent
) -> Rendered:
    """Draw a saved explanation; arguments and errors as in `render_video`."""
    clock = StageTimer()
    with clock.stage("probe"):
        saved = explanation if isinstance(explanation, VideoExplanation) else Path(explanation)
        request = resolve(saved, out, options)
    with opened_source(request.explanation, request.source, progress=progress) as reader:
        require_other_place(request.out, reader)
        pts, notes = drawn_seconds(reader.info, *request.span_seconds), request.notes
        count = pts.size
        if request.form == "sheet":
            count = _sheet(request, reader, pts, tuple(video_audit(request.explanation)))
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
    explanation, first = request.explanation, request.maps[0]
    seen = np.maximum(pts_seconds, float(explanation.timeline.starts[0]))
    best = int(explanation.evidence(first.method, seen, target=first.target).argmax())
    ((second, frame),) = reader.frames_at(pts_seconds[[best]])
    composition = _composition(request, pts_seconds)
    save_image(request.out, composition.picture(second, frame), overwrite=request.overwrite)
    return composition.notes


def _sheet(request: RenderRequest, reader: VideoReader, pts_seconds: Seconds, audit: tuple[str, ...]) -> int:
    """Draw methods × frames with their time strip; returns how many frames."""
    frames, renderer = SheetFrames(request.maps), FrameRenderer(request.explanation, request.style)
    for second, frame in reader.frames_at(np.array(sorted(sheet_seconds(pts_seconds)))):
        frames.add(FrameContext(renderer, second, frame))
    start = max(float(pts_seconds[0]), float(request.explanation.timeline.starts[0]))
    sheet = contact_sheet(
        request.explanation,
        frames,
        pts_seconds,
        audit=audit,
        table=request.style.table,
        span_seconds=(start, request.span_seconds[1]),
    )
    save_image(request.out, sheet, overwrite=request.overwrite)
    return len(frames.seconds)


def _composition(request: RenderRequest, pts_seconds: Seconds) -> Composition:
    return Composition(
        request.explanation,
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
        return ImageSequenceWriter(out, duration_seconds=end - start, overwrite=overwrite)
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
        audio_from=info.files[0] if info.has_audio and request.sound else None,
        audio_start_seconds=start,
        audio_end_seconds=end,
        overwrite=overwrite,
        encoder=request.encoder,
    )
