"""`render`: from saved maps and their film to a video, an animation, pictures or a sheet; no model, no torch.

One pass over the film, decoded ahead and encoded behind; memory is flat in its length. The colour scale is that of the
saved maps, over the whole film, also where only a part is drawn.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vidcam.media import Frames, Seconds
from vidcam.pipelines.audit import video_audit
from vidcam.pipelines.render.compose import Composition
from vidcam.pipelines.render.contact import contact_sheet
from vidcam.pipelines.render.draw import DRAWING, PIXEL_SECONDS, Stills, drawn_seconds, still_moments
from vidcam.pipelines.render.options import Form, RenderOptions
from vidcam.pipelines.render.paint import Look, Moment, Painter
from vidcam.pipelines.render.play import Sink, opened, played
from vidcam.pipelines.render.saved import open_saved, opened_source, require_other_place, require_range
from vidcam.pipelines.render.shown import Shown, Story, chosen
from vidcam.results.video import Film
from vidcam.system.progress import Progress, expect, silent
from vidcam.system.signals import held_back
from vidcam.system.threads import Clock
from vidcam.video.animation import AnimationWriter
from vidcam.video.encoders import choose_encoder
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
    asked, saved, destination, clock = options or RenderOptions(), Path(explanation), Path(out), Clock()
    form = asked.form_of(destination)
    with clock.stage("probe"):
        film, source = open_saved(saved, asked.source)
        shown = chosen(film, asked.targets, asked.methods, all_of_them=asked.style == "side-by-side" or form == "sheet")
    with opened_source(film, source) as reader:
        job = _Job(film, shown, asked, reader=reader, out=destination, clock=clock, progress=progress)
        if form == "sheet":
            job.sheet(tuple(video_audit(film)))
        elif form == "poster":
            job.poster()
        else:
            job.film(form)
    return Rendered(destination, form, job.drawn, tuple(job.notes), clock.seconds)


class _Job:
    """One film that is drawn."""

    def __init__(
        self,
        film: Film,
        shown: tuple[Shown, ...],
        options: RenderOptions,
        *,
        reader: VideoReader,
        out: Path,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._film, self._shown, self._options = film, shown, options
        self._reader, self._out, self._clock, self._progress = reader, out, clock, progress
        require_other_place(out, reader)
        explained = (float(film.timeline.starts[0]), float(film.timeline.ends.max()))
        span = explained if film.origin is None else film.origin.span_seconds
        start, self._end = require_range(span, options.start_seconds, options.end_seconds)
        self._pts = drawn_seconds(reader.info, start, self._end)
        self.drawn = 0
        self.notes = list(options.without_effect(options.form_of(out)))

    def film(self, form: Form) -> None:
        """Draw every frame into a video, an animation or a folder."""
        with self._clock.stage("set out"):
            composition = self._composition()
        self.notes += composition.notes
        pixels = np.prod(self._reader.info.size) + np.prod(composition.size)
        expect(self._progress, DRAWING, self._pts.size, float(pixels) * PIXEL_SECONDS)
        start = float(self._pts[0])
        with ExitStack() as stack:
            with held_back():  # an interruption waits until what is opened is sure to be closed
                sink = opened(stack, self._sink(form, composition.size), self._clock)
            for second, frame in stack.enter_context(played(self._frames(self._pts), self._clock)):
                with self._clock.stage("draw"):
                    picture = composition.picture(second, frame)
                sink.write(picture, second - start)
                self.drawn += 1
                self._progress(DRAWING, self.drawn, self._pts.size)
        self.notes += self._reader.notes

    def poster(self) -> None:
        """Draw the moment of the strongest evidence."""
        first = self._shown[0]
        seen = np.maximum(self._pts, float(self._film.timeline.starts[0]))
        evidence = self._film.evidence(first.method, seen, target=first.target)
        best = self._pts[[int(evidence.argmax())]]
        ((second, frame),) = self._frames(best)
        composition = self._composition()
        self.notes += composition.notes
        save_picture(self._out, composition.picture(second, frame), overwrite=self._options.overwrite)
        self.drawn = 1

    def sheet(self, audit: tuple[str, ...]) -> None:
        """Draw methods × frames with their time strip."""
        film, options = self._film, self._options
        several = len({each.target for each in self._shown}) > 1
        rows = {
            f"{each.method}, {film.labels[each.target]}" if several else each.method: (each.target, each.method)
            for each in self._shown
        }
        stills = Stills(rows)
        look = Look(colours=options.colours, opacity=options.opacity, has_outline=options.has_outline)
        painter, wanted = Painter(film, look), np.array(sorted(still_moments(self._pts)))
        for second, frame in self._frames(wanted):
            stills.add(Moment(painter, second, frame))
        seen = np.maximum(self._pts, float(film.timeline.starts[0]))
        sheet = contact_sheet(
            film,
            stills,
            self._document(audit),
            seen,
            colours=options.colours,
            span_seconds=(float(seen[0]), self._end),
        )
        save_picture(self._out, sheet, overwrite=options.overwrite)
        self.drawn = len(stills.seconds)

    def _composition(self) -> Composition:
        return Composition(self._film, self._shown, self._options, self._pts, self._end)

    def _frames(self, seconds: Seconds) -> Generator[tuple[float, Frames], None, None]:
        yield from self._reader.frames_at(seconds)

    def _document(self, audit: tuple[str, ...]) -> dict[str, Any]:
        """What the sheet needs of a film's JSON, from its maps."""
        story = Story(self._film, self._shown[0].target)
        foil = self._film.explanations[self._shown[0].target].foil
        return {
            "model": {"layer": self._film.explanations[0].layer},
            "targets": [
                {
                    "foil": None if foil is None else self._film.class_labels.get(int(foil[0]), f"class {foil[0]}"),
                    "probability": story.mean_probability,
                }
            ]
            * len({each.target for each in self._shown}),
            "windows": [
                {"start_seconds": start, "end_seconds": end, "target_probability": probability}
                for start, end, probability in story.windows
            ],
            "audit": list(audit),
        }

    def _sink(self, form: Form, size: tuple[int, int]) -> Sink:
        options, info, duration = self._options, self._reader.info, self._end - float(self._pts[0])
        if form == "frames":
            return PictureFolder(self._out, duration_seconds=duration, overwrite=options.overwrite)
        if form in {"gif", "webp"}:
            return AnimationWriter(
                self._out,
                size=size,
                count=self._pts.size,
                duration_seconds=duration,
                overwrite=options.overwrite,
                quality=options.quality,
            )
        encoder, notes = choose_encoder(
            options.codec, form, encoder=options.encoder, preset=options.preset, quality=options.quality, size=size
        )
        self.notes += notes
        return VideoWriter(
            self._out,
            size=size,
            fps=info.fps,
            time_base=info.time_base,
            duration_seconds=duration,
            audio_from=info.files[0] if info.has_audio and options.has_sound else None,
            audio_start_seconds=float(self._pts[0]),
            audio_end_seconds=self._end,
            overwrite=options.overwrite,
            encoder=encoder,
        )
