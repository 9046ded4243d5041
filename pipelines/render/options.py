"""The options of `render`: one set of defaults for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vidcam.arguments import as_tuple, require_one_of, require_range, split_names
from vidcam.errors import InputError
from vidcam.fill import FILLS, Fill
from vidcam.render.caption_text import CAPTION_PLACES, CaptionPlace
from vidcam.render.colormap import DEFAULT_COLOURS
from vidcam.render.overlay import OPACITY
from vidcam.results.video import SCALES, Scale
from vidcam.video.source import Source

Style = Literal["overlay", "map", "side-by-side", "contour", "heat", "cells"]
STYLES: tuple[Style, ...] = get_args(Style)

Form = Literal["mp4", "webm", "gif", "webp", "frames", "sheet", "poster"]
FORMS: tuple[Form, ...] = get_args(Form)

_ENDINGS: dict[str, tuple[Form, ...]] = {
    ".mp4": ("mp4",),
    ".webm": ("webm",),
    ".gif": ("gif",),
    ".webp": ("webp",),
    ".png": ("poster", "sheet"),
    ".jpg": ("poster",),
    ".jpeg": ("poster",),
    ".svg": ("sheet",),
    ".pdf": ("sheet",),
    "": ("frames",),
}

LEAST_HEIGHT, MOST_HEIGHT = 16, 4320


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """The options of `render_video` and `vidcam render`, with their defaults; `render_video` describes them.

    Raises:
        InputError: an unknown name, or a number out of range.
    """

    source: Source | None = None
    style: Style = "overlay"
    methods: str | Sequence[str] = ()
    targets: str | int | Sequence[str | int] = ()
    fill: Fill = "black"
    colormap: str = DEFAULT_COLOURS
    opacity: float = OPACITY
    scale: Scale | None = None
    captions: CaptionPlace = "inside"
    outline: bool = True
    strip: bool = False
    sound: bool = True
    start: float | None = None
    end: float | None = None
    height: int | None = None
    form: Form | None = None
    codec: str | None = None
    encoder: str = "auto"
    preset: str | None = None
    quality: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "methods", split_names(self.methods))
        object.__setattr__(self, "targets", as_tuple(self.targets))
        require_one_of("style", self.style, STYLES)
        require_one_of("fill", self.fill, FILLS)
        require_one_of("captions", self.captions, CAPTION_PLACES)
        if self.scale is not None:
            require_one_of("scale", self.scale, SCALES)
        if self.form is not None:
            require_one_of("form", self.form, FORMS)
        if self.height is not None and not LEAST_HEIGHT <= self.height <= MOST_HEIGHT:
            raise InputError(f"--height is {self.height}; it must be from {LEAST_HEIGHT} to {MOST_HEIGHT} rows")
        require_range("opacity", self.opacity, 0, 1)

    def form_of(self, out: Path) -> Form:
        """Return the form of an output with this name.

        Raises:
            InputError: the ending is unknown, or does not fit `--form`.
        """
        ending = out.suffix.lower()
        if ending not in _ENDINGS:
            if self.form == "frames":
                return self.form
            known = ", ".join(filter(None, _ENDINGS))
            raise InputError(
                f"-o {out.name!r} has the unknown ending {ending!r}; use one of {known}, or --form frames for a folder "
                "of PNGs"
            )
        fitting = _ENDINGS[ending]
        if self.form is not None and self.form not in fitting:
            ending_of_form = next(end or "no ending" for end, forms in _ENDINGS.items() if self.form in forms)
            raise InputError(f"--form {self.form} does not fit -o {out.name!r}; it needs {ending_of_form}")
        return self.form or fitting[0]

    def without_effect(self, form: Form) -> tuple[str, ...]:
        """Return a sentence about options that have no effect on this form, if there are any."""
        unused = [name for name in _WITHOUT_EFFECT[form] if getattr(self, name) != getattr(_DEFAULTS, name)]
        if self.style != "map" and self.fill != _DEFAULTS.fill:
            unused.append("fill")
        if not unused:
            return ()
        names = ", ".join(f"--{name}" for name in unused)
        return (f"{names} {'has' if len(unused) == 1 else 'have'} no effect with --form {form} --style {self.style}",)


_DEFAULTS = RenderOptions()
_OF_VIDEO = ("codec", "encoder", "preset")
_OF_FRAMES = ("style", "captions", "strip", "height")
_WITHOUT_EFFECT: dict[Form, tuple[str, ...]] = {
    "mp4": (),
    "webm": (),
    "gif": _OF_VIDEO,
    "webp": _OF_VIDEO,
    "frames": (*_OF_VIDEO, "quality"),
    "poster": (*_OF_VIDEO, "quality"),
    "sheet": (*_OF_VIDEO, "quality", *_OF_FRAMES),
}
"""Options without effect on a form. `sound` is not listed: it is on by default."""
