"""The request of a rendering: its options, resolved and checked before the video is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vidcam.arguments import as_tuple, split_names
from vidcam.errors import InputError, name_not_found
from vidcam.pipelines.render.captions import CaptionDrawer
from vidcam.pipelines.render.composition import Grid, Layout, grid_of
from vidcam.pipelines.render.frames import FrameRenderer, RenderStyle, ShownMap
from vidcam.pipelines.render.options import Form, RenderOptions
from vidcam.pipelines.render.saved import Saved, open_saved
from vidcam.render.colormap import colour_table
from vidcam.render.sheet import SheetFormat
from vidcam.results.explanation import GUIDED
from vidcam.results.video import PER_WINDOW, VideoExplanation
from vidcam.system.atomic import require_writable
from vidcam.video.animation import require_quality
from vidcam.video.encoders import Encoder, choose_encoder
from vidcam.video.image_writer import require_sequence_place
from vidcam.video.source import Source


@dataclass(frozen=True, slots=True, eq=False)
class RenderRequest:
    """The resolved options of a rendering.

    Attributes:
        explanation: the saved maps.
        source: path or address of the video.
        out: the file or folder to write.
        form: form of the output.
        maps: the maps to draw, at least one.
        style: how maps are drawn.
        renderer: draws maps on frames of the layout's cells.
        captions: draws the captions of these cells.
        layout: layout of the picture.
        span_seconds: [start, end) of the drawn part.
        encoder: encoder of a video; None for other forms.
        quality: quality of an animation.
        sound: whether a video keeps the sound of the source.
        notes: sentences about options that could not be followed.
    """

    explanation: VideoExplanation
    source: Source
    out: Path
    form: Form
    maps: tuple[ShownMap, ...]
    style: RenderStyle
    renderer: FrameRenderer
    captions: CaptionDrawer
    layout: Layout
    span_seconds: tuple[float, float]
    encoder: Encoder | None
    quality: int | None
    sound: bool
    notes: tuple[str, ...]

    @property
    def sheet_format(self) -> SheetFormat:
        """The file format of a sheet, by the ending of its name."""
        ending = self.out.suffix.lower()
        return "svg" if ending == ".svg" else "pdf" if ending == ".pdf" else "png"


def resolve(saved: Saved, out: Path, options: RenderOptions) -> RenderRequest:
    """Load the explanation, and resolve and check all options that need no video.

    Raises:
        InputError: the file, a name or an option is invalid.
    """
    form = options.form_of(out)
    if form == "frames" and out.is_dir():
        require_sequence_place(out, overwrite=options.overwrite)
    else:
        require_writable(out, overwrite=options.overwrite)
    if form in {"gif", "webp"}:
        require_quality(form, options.quality)
    table = colour_table(options.colormap)
    explanation, source = open_saved(saved, options.source)
    if options.scale is not None and options.scale != explanation.scale:
        moments = np.unique(explanation.timeline.frame_seconds)  # maps hardly change between these
        explanation = explanation.rescaled(options.scale, moments)
    is_grid = options.style == "side-by-side" or form == "sheet"
    maps = select_maps(explanation, as_tuple(options.targets), split_names(options.methods), all_of_them=is_grid)
    mean_rgb = (0.0, 0.0, 0.0) if explanation.origin is None else explanation.origin.mean_rgb
    style = RenderStyle(options.fill, mean_rgb, table, options.opacity, options.outline)
    layout = _layout(options, form, explanation.geometry.source_size, len(maps))
    geometry = replace(explanation.geometry, source_size=layout.grid.cell)
    renderer = FrameRenderer(replace(explanation, geometry=geometry), style)
    captions = CaptionDrawer(renderer, layout.kind, maps, "none" if form == "sheet" else options.captions)
    layout = replace(layout, grid=replace(layout.grid, margin_px=captions.margin_px))
    encoder, notes = _encoder(options, form, layout.size)
    return RenderRequest(
        explanation=explanation,
        source=source,
        out=out,
        form=form,
        maps=maps,
        style=style,
        renderer=renderer,
        captions=captions,
        layout=layout,
        span_seconds=shown_span(explanation, options.start, options.end),
        encoder=encoder,
        quality=options.quality,
        sound=options.sound,
        notes=(*options.without_effect(form), *captions.notes, *notes),
    )


def select_maps(
    explanation: VideoExplanation, targets: Sequence[str | int], methods: Sequence[str], *, all_of_them: bool
) -> tuple[ShownMap, ...]:
    """Select the maps to draw, in the order of the names; without names the first one, or all.

    Raises:
        NameNotFoundError: a target or a method that was not explained.
        InputError: a guided method, or several maps in a style for one.
    """
    numbers = [_target_number(explanation, target) for target in targets] or range(
        len(explanation.labels) if all_of_them else 1
    )
    maps = []
    for number in dict.fromkeys(numbers):
        known = explanation.explanations[number].methods
        names = [_method_name(name, known) for name in methods] or (known if all_of_them else known[:1])
        maps += [ShownMap(number, name) for name in dict.fromkeys(names)]
    if len(maps) > 1 and not all_of_them:
        raise InputError(
            f"this style shows one map, not {len(maps)}; use --style side-by-side, or one --method and one --target"
        )
    return tuple(maps)


def _target_number(video_explanation: VideoExplanation, target: str | int) -> int:
    indices = [int(explanation.target[0]) for explanation in video_explanation.explanations]
    text = str(target)
    for number, label in enumerate(video_explanation.labels):
        if text.casefold() == label.casefold() or (label != PER_WINDOW and text == str(indices[number])):
            return number
    raise name_not_found(
        "target",
        text,
        video_explanation.labels,
        f"the explanation has {', '.join(video_explanation.labels)}",
    )


def _method_name(name: str, known: Sequence[str]) -> str:
    folded = name.strip().casefold()
    if folded in GUIDED:
        raise InputError(
            f"--method {folded} cannot be drawn from saved maps, only by vidcam explain; use one of {', '.join(known)}"
        )
    if folded not in known:
        raise name_not_found("method", name, known, f"the explanation has {', '.join(known)}")
    return folded


def _layout(options: RenderOptions, form: Form, size: tuple[int, int], count: int) -> Layout:
    """Return the layout for `count` maps of frames (height, width); a contact sheet does not use it."""
    if form == "sheet":
        return Layout(Grid(1, 1, size))
    if options.height is not None:
        size = (options.height, max(1, round(size[1] * options.height / size[0])))
    beside = options.style == "side-by-side"
    return Layout(
        grid=grid_of(count + 1, size) if beside else Grid(1, 1, size),
        kind="overlay" if options.style == "side-by-side" else options.style,
        has_source=beside,
        strip=options.strip,
    )


def _encoder(options: RenderOptions, form: Form, size: tuple[int, int]) -> tuple[Encoder | None, tuple[str, ...]]:
    """Choose the encoder of a video, None for other forms; with sentences about options that could not be followed."""
    if form not in {"mp4", "webm"}:
        return None, ()
    encoder, preset, quality = options.encoder, options.preset, options.quality
    return choose_encoder(options.codec, form, encoder=encoder, preset=preset, quality=quality, size=size)


def shown_span(
    explanation: VideoExplanation, start_seconds: float | None = None, end_seconds: float | None = None
) -> tuple[float, float]:
    """Return the part [start, end) to draw: the requested part, as far as it was explained.

    Raises:
        InputError: no requested moment was explained.
    """
    first, last = float(explanation.timeline.starts[0]), float(explanation.timeline.ends.max())
    if explanation.origin is not None:
        first, last = explanation.origin.span_seconds
    requested_start = first if start_seconds is None else start_seconds
    requested_end = last if end_seconds is None else end_seconds
    start, end = max(first, requested_start), min(last, requested_end)
    if not (requested_start < requested_end and start < end):
        raise InputError(
            f"--start ({requested_start:g} s) and --end ({requested_end:g} s) must select a part of the explained "
            f"{first:g} to {last:g} s"
        )
    return start, end
