"""Render saved maps to a video, an animation, pictures or a contact sheet; needs no model and no torch.

The video is read once, and memory does not grow with its length. The colour scale always covers the whole explained
video, also if only a part is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from vidcam.fill import Fill
from vidcam.media import Frames, Seconds, VideoInfo
from vidcam.pipelines.render.composition import Composition
from vidcam.pipelines.render.frames import FrameContext, FrameRenderer
from vidcam.pipelines.render.options import Form, RenderOptions, Style
from vidcam.pipelines.render.request import RenderRequest, resolve
from vidcam.pipelines.render.saved import Saved, opened_source, require_other_place
from vidcam.pipelines.render.sheet import SheetFrames, contact_sheet
from vidcam.pipelines.render.videos import FrameWriter, drawn_seconds, stream_frames, video_writer
from vidcam.render.caption_text import CaptionPlace
from vidcam.render.colormap import DEFAULT_COLOURS
from vidcam.render.overlay import OPACITY
from vidcam.results.video import Scale, VideoExplanation
from vidcam.system.exchange import claimed_path
from vidcam.system.progress import Progress, StageTimer, progress_or_default, silent
from vidcam.video.animation import AnimationWriter
from vidcam.video.image_writer import ImageSequenceWriter, save_image
from vidcam.video.reader import VideoReader
from vidcam.video.source import Source


@dataclass(frozen=True, slots=True)
class Rendered:
    """The result of `render_video`.

    Attributes:
        path: the written file or folder.
        form: its form, such as 'mp4'.
        frames: number of drawn frames.
        notes: sentences about options that could not be followed.
        stage_seconds: time spent in each stage; stages overlap.
    """

    path: Path
    form: Form
    frames: int
    notes: tuple[str, ...]
    stage_seconds: dict[str, float] = field(repr=False, compare=False)

    def __repr__(self) -> str:
        notes = f", {len(self.notes)} notes" if self.notes else ""
        return f"Rendered({str(self.path)!r}, {self.form}, {self.frames} frames{notes})"

    def _repr_html_(self) -> str | None:
        """Show the result itself in a notebook, if it is small enough."""
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
    opacity: float = OPACITY,
    scale: Scale | None = None,
    captions: CaptionPlace = "inside",
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
    progress: Progress | None = None,
) -> Rendered:
    """Draw a saved explanation on its video.

    Args:
        explanation: the .npz file that `explain` saved, or a `VideoExplanation`.
        out: output file (.mp4, .webm, .gif, .webp, .png, .jpg, .svg, .pdf), or a name without an ending for a folder
            of PNGs.
        source: the video, if it was moved since `explain` read it; or the array or list that was explained.
        style: `overlay`, `map`, `side-by-side`, `contour`, `heat` or `cells`.
        methods: one or several of the explained methods. Empty: the first one, or all with `side-by-side`.
        targets: labels or indices of the explained targets. Empty: the first one, or all with `side-by-side`.
        fill: what the style `map` shows where there is no evidence.
        colormap: `vidcam`, or the name of a matplotlib colour map.
        opacity: largest opacity of the overlay, where the evidence is 1, in [0, 1].
        scale: 1 is the strongest evidence of the `video`. With `window` each window's map is first divided by its own
            maximum. None: as explained.
        captions: where label, probability, method, time and colour bar are: `inside` the frame, in a `margin` below it,
            or `none`.
        outline: whether the model's view of the frame is outlined.
        strip: whether a time strip is added below the picture.
        sound: whether the sound of the source is kept, in MP4 and WebM.
        start: start of the drawn part, in seconds.
        end: end of the drawn part, in seconds, not included. None: the end of the explanation.
        height: rows of the picture without margin and strip. None: as in the source.
        form: `mp4`, `webm`, `gif`, `webp`, `frames` (a folder of PNGs), `sheet` or `poster`. None: by the
            ending of `out`; .svg and .pdf are sheets.
        codec: `h264`, `hevc`, `av1` or `vp9`. None: the usual one of the container.
        encoder: `auto` (software), or the FFmpeg name of an encoder, such as h264_nvenc.
        preset: preset of the encoder.
        quality: constant quality, on the encoder's own scale.
        overwrite: replace an existing result.
        progress: called after each frame. None: a bar in notebooks.

    Raises:
        InputError: a file, name or option is invalid; nothing is written.
        RunError: rendering failed; unfinished files are removed.
    """
    options = RenderOptions(
        source=source,
        style=style,
        methods=methods,
        targets=targets,
        fill=fill,
        colormap=colormap,
        opacity=opacity,
        scale=scale,
        captions=captions,
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
    return render_saved(explanation, Path(out), options, progress=progress_or_default(progress))


def render_saved(explanation: Saved, out: Path, options: RenderOptions, *, progress: Progress = silent) -> Rendered:
    """Draw a saved explanation; arguments and errors as in `render_video`."""
    clock = StageTimer()
    with clock.stage("probe"):
        request = resolve(explanation, out, options)
    with (
        claimed_path(out, overwrite=options.overwrite) as hidden,
        opened_source(request.explanation, request.source, progress=progress) as reader,
    ):
        require_other_place(out, reader)
        request = replace(request, out=hidden)
        pts = drawn_seconds(reader.info, *request.span_seconds)
        count, notes = pts.size, request.notes
        if request.form == "sheet":
            count = _sheet(request, reader, pts)
        elif request.form == "poster":
            count = _poster(request, reader, pts)
        else:
            notes += _frames(request, reader, pts, clock=clock, progress=progress)
    return Rendered(out, request.form, count, notes, clock.seconds)


def _frames(
    request: RenderRequest, reader: VideoReader, pts_seconds: Seconds, *, clock: StageTimer, progress: Progress
) -> tuple[str, ...]:
    """Draw every frame into a video, an animation or a folder; returns notes."""
    with clock.stage("layout"):
        composition = _composition(request, pts_seconds)

    def draw(second: float, frame: Frames) -> Generator[Frames, None, None]:
        yield composition.picture(second, frame)

    lost: list[str] = []
    writer = partial(_writer, request, reader.info, pts_seconds, lost.append)
    stream_frames(reader, pts_seconds, [writer], draw, clock=clock, progress=progress)
    return (*reader.notes, *lost)


def _poster(request: RenderRequest, reader: VideoReader, pts_seconds: Seconds) -> int:
    """Draw the frame with the strongest evidence; returns the number of frames."""
    explanation, first = request.explanation, request.maps[0]
    seconds = np.maximum(pts_seconds, float(explanation.timeline.starts[0]))
    best = int(explanation.evidence(first.method, seconds, target=first.target).argmax())
    ((second, frame),) = reader.frames_at(pts_seconds[[best]])
    composition = _composition(request, pts_seconds)
    save_image(request.out, composition.picture(second, frame))
    return 1


def _sheet(request: RenderRequest, reader: VideoReader, pts_seconds: Seconds) -> int:
    """Draw the contact sheet; returns its number of frames."""
    frames = SheetFrames.plan(request.explanation, request.maps, pts_seconds)
    renderer = FrameRenderer(request.explanation, request.style)
    for second, frame in reader.frames_at(np.array(frames.moments)):
        frames.add(FrameContext(renderer, second, frame))
    start = max(float(pts_seconds[0]), float(request.explanation.timeline.starts[0]))
    sheet = contact_sheet(
        request.explanation,
        frames,
        pts_seconds,
        table=renderer.bar_colours("overlay"),
        span_seconds=(start, request.span_seconds[1]),
        form=request.sheet_format,
    )
    save_image(request.out, sheet)
    return len(frames.seconds)


def _composition(request: RenderRequest, pts_seconds: Seconds) -> Composition:
    return Composition(
        request.renderer,
        request.maps,
        request.layout,
        request.captions,
        pts_seconds=pts_seconds,
        end_seconds=request.span_seconds[1],
    )


def _writer(
    request: RenderRequest, info: VideoInfo, pts_seconds: Seconds, on_lost_audio: Callable[[str], None]
) -> AbstractContextManager[FrameWriter]:
    """Open the output file or folder."""
    out, size = request.out, request.layout.size
    start, end = span = float(pts_seconds[0]), request.span_seconds[1]
    if request.form == "frames":
        return ImageSequenceWriter(out, duration_seconds=end - start)
    if request.encoder is None:
        count, quality = pts_seconds.size, request.quality
        return AnimationWriter(out, size=size, count=count, duration_seconds=end - start, quality=quality)
    encoder, sound = request.encoder, request.sound
    return video_writer(out, info, span, size=size, sound=sound, encoder=encoder, on_lost_audio=on_lost_audio)
