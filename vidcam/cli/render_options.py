"""The arguments of `vidcam render`, as click reads them; defaults are those of its options."""

from __future__ import annotations

import click

from vidcam.cli.completion import METHODS, complete_colormap, complete_style, one_of, several_of
from vidcam.cli.help import section
from vidcam.cli.options import CAPTIONS, DRAWING, JSON, PATH, RESULT, SCALE_TEXT, Function, choice, with_options
from vidcam.fill import FILLS

_encoding = section("Encoding")
_scored = section("Clips of a scored set (FOLDER)")


def _switch(name: str, field: str, explained: str, *, to: bool) -> Function:
    """An option without a value; None where it is not given, so that the default stays where it is."""
    return DRAWING(name, field, flag_value=to, default=None, help=explained)


_RENDER = (
    click.argument("explanation", metavar="FILE.npz|FOLDER", type=PATH),
    RESULT(
        "-o",
        "--out",
        required=True,
        metavar="FILE",
        type=PATH,
        help="File: .mp4, .webm, .gif, .webp, .png, .jpg, or .svg or .pdf for a sheet. A name without an ending makes "
        "a folder of PNGs.",
    ),
    RESULT(
        "--form",
        metavar="NAME",
        shell_complete=one_of("mp4", "webm", "gif", "webp", "frames", "sheet", "poster"),
        help="mp4, webm, gif, webp, frames, sheet or poster; default: by the file's ending.",
    ),
    RESULT("--overwrite", is_flag=True, help="Replace an existing result."),
    JSON,
    _scored(
        "--from-scores",
        "condition",
        metavar="CONDITION",
        help="Explain and draw the clips of a scored set for which a condition on scores.csv holds, such as "
        "'correct == false and probability > 0.8'.",
    ),
    _scored("--worst", type=int, metavar="N", help="Only the N clips with the largest mean drop, of these or of all."),
    _scored("--clips", type=PATH, metavar="MANIFEST|FOLDER", help="The set that was scored, if it was moved since."),
    DRAWING(
        "--style",
        metavar="NAME",
        shell_complete=complete_style,
        help="overlay (default), map, side-by-side, contour, heat or cells.",
    ),
    DRAWING(
        "--method",
        "methods",
        multiple=True,
        metavar="NAME",
        shell_complete=several_of(*METHODS),
        help="Method that was explained; repeat it to see several side by side.",
    ),
    DRAWING(
        "--target",
        "targets",
        multiple=True,
        metavar="LABEL|INDEX",
        help="Class that was explained; repeat it to see several side by side.",
    ),
    DRAWING("--start", type=float, metavar="SECONDS", help="Start of the drawn part."),
    DRAWING("--end", type=float, metavar="SECONDS", help="End of the drawn part."),
    DRAWING(
        "--height", type=int, metavar="ROWS", help="Height of the frame without margin and strip; default: its own."
    ),
    DRAWING(
        "--colormap",
        metavar="NAME",
        shell_complete=complete_colormap,
        help="Colour map: vidcam (default), or one of matplotlib.",
    ),
    choice(DRAWING, "--scale", ("video", "window"), f"{SCALE_TEXT}: video or window; default: as explained."),
    DRAWING("--opacity", type=float, metavar="SHARE", help="Opacity where the evidence is 1; default 0.65."),
    choice(
        DRAWING,
        "--fill",
        FILLS,
        "What hidden pixels become with --style map: black (default), mean, blur or frame-mean.",
    ),
    _switch("--strip", "strip", "Add a time strip below the picture.", to=True),
    CAPTIONS,
    _switch("--no-outline", "outline", "Leave out the outline of the model's crop.", to=False),
    _switch("--no-sound", "sound", "Leave out the sound.", to=False),
    DRAWING("--source", type=PATH, metavar="VIDEO", help="Path of the video, if it was moved since."),
    choice(_encoding, "--codec", ("h264", "hevc", "av1", "vp9"), "h264 (default), hevc, av1 or vp9 (default in WebM)."),
    _encoding(
        "--encoder",
        metavar="NAME",
        help="FFmpeg's name of an encoder, such as h264_nvenc; default auto: a software encoder.",
    ),
    _encoding("--preset", metavar="NAME", help="Preset of the encoder; default veryfast (x264)."),
    _encoding("--quality", type=int, metavar="N", help="Constant quality on the encoder's scale; default 18 (x264)."),
)


def render_arguments(function: Function) -> Function:
    """Give a command the arguments of `render`; what is not given comes as None or empty."""
    return with_options(function, _RENDER)
