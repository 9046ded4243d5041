"""What can be asked of `render`: one set of defaults for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vidcam.errors import InputError
from vidcam.fill import FILLS, Fill
from vidcam.render.colormap import DEFAULT_COLOURS

Style = Literal["overlay", "map", "side-by-side", "contour", "heat"]
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
    "": ("frames",),
}

LEAST_HEIGHT, MOST_HEIGHT = 16, 4320


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How a saved explanation is drawn; the defaults of the command line and of `render_film`.

    Attributes:
        source: the film, where it is not where `explain` read it.
        style: `overlay`, `map`, `side-by-side`, `contour` or `heat`.
        methods: of those that were explained; empty: the first one, side by side all.
        targets: labels or indices of those that were explained; empty: the first one, side by side all.
        fill: what the map style shows where nothing was used.
        colours: name of a colour map of matplotlib's.
        opacity: of the overlay where the evidence is 1, in [0, 1].
        has_caption: whether label, probability and method are written on the picture.
        has_bar: whether the colours are explained on the picture.
        has_outline: whether what the model saw is outlined.
        has_strip: whether the time strip is added below, which makes the picture higher.
        has_sound: whether the source's sound is kept, in MP4 and WebM.
        start_seconds: where drawing begins.
        end_seconds: where it ends, not included; None: with the explanation.
        height: rows of the picture without the strip; None: as the source.
        form: `mp4`, `webm`, `gif`, `webp`, `frames` (a folder of PNGs), `sheet` or `poster`; None: by the ending.
        codec: `h264`, `hevc`, `av1` or `vp9`; None: the container's usual one.
        encoder: `auto` (software), or FFmpeg's name of one, `h264_nvenc`.
        preset: the encoder's.
        quality: constant quality in the encoder's own scale.
        overwrite: replace an existing result.
    """

    source: str | Path | None = None
    style: Style = "overlay"
    methods: Sequence[str] = ()
    targets: Sequence[str | int] = ()
    fill: Fill = "black"
    colours: str = DEFAULT_COLOURS
    opacity: float = 0.6
    has_caption: bool = True
    has_bar: bool = True
    has_outline: bool = True
    has_strip: bool = False
    has_sound: bool = True
    start_seconds: float | None = None
    end_seconds: float | None = None
    height: int | None = None
    form: Form | None = None
    codec: str | None = None
    encoder: str = "auto"
    preset: str | None = None
    quality: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, given, known in (("style", self.style, STYLES), ("fill", self.fill, FILLS)):
            if given not in known:
                raise InputError(f"{name} is {given!r}, expected one of {', '.join(known)}")
        if self.form is not None and self.form not in FORMS:
            raise InputError(f"form is {self.form!r}, expected one of {', '.join(FORMS)}")
        if self.height is not None and not LEAST_HEIGHT <= self.height <= MOST_HEIGHT:
            raise InputError(f"height is {self.height}, expected {LEAST_HEIGHT} to {MOST_HEIGHT} rows")
        if not 0.0 <= self.opacity <= 1.0:
            raise InputError(f"opacity is {self.opacity}, it must be in [0, 1]; 0.6 shows both evidence and footage")

    def form_of(self, out: Path) -> Form:
        """The form of a result of this name.

        Raises:
            InputError: the ending says nothing, or another form than was asked for.
        """
        ending = out.suffix.lower()
        if ending not in _ENDINGS:
            if self.form == "frames":
                return self.form
            known = ", ".join(filter(None, _ENDINGS))
            raise InputError(
                f"{out.name!r} ends in {ending!r}, expected one of {known}, or none for a folder of PNGs; for a folder "
                "of that name pass --form frames"
            )
        fitting = _ENDINGS[ending]
        if self.form is not None and self.form not in fitting:
            wanted = next(end or "no ending" for end, forms in _ENDINGS.items() if self.form in forms)
            raise InputError(f"form is {self.form!r} and the result {out.name!r}, expected {wanted}; change either")
        return self.form or fitting[0]

    def without_effect(self, form: Form) -> tuple[str, ...]:
        """A sentence about the options that were given and mean nothing to the form, if there are any."""
        unused = [name for name in _WITHOUT_EFFECT[form] if getattr(self, name) != getattr(_DEFAULTS, name)]
        if self.style != "map" and self.fill != _DEFAULTS.fill:
            unused.append("fill")
        if not unused:
            return ()
        names = ", ".join(f"--{name.removeprefix('has_')}" for name in unused)
        return (
            f"{names} {'has' if len(unused) == 1 else 'have'} no effect on what was asked for ({form}, {self.style})",
        )


_DEFAULTS = RenderOptions()
_OF_VIDEO = ("codec", "encoder", "preset")
_OF_FRAMES = ("style", "has_caption", "has_bar", "has_strip", "height")
_WITHOUT_EFFECT: dict[Form, tuple[str, ...]] = {
    "mp4": (),
    "webm": (),
    "gif": _OF_VIDEO,
    "webp": _OF_VIDEO,
    "frames": (*_OF_VIDEO, "quality"),
    "poster": (*_OF_VIDEO, "quality"),
    "sheet": (*_OF_VIDEO, "quality", *_OF_FRAMES),
}
"""What a form cannot do; that it has no sound needs no saying."""
