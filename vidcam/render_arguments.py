"""The arguments of `vidcam render`, as click reads them; defaults are those of `RenderOptions`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_STYLE = "overlay, map, side-by-side, contour or heat; default overlay."

Function = Callable[..., Any]


def _switch(name: str, field: str, explained: str, *, to: bool) -> Function:
    """An option without a value; None where it is not given, so that the default stays where it is."""
    return click.option(name, field, flag_value=to, default=None, help=explained)


_OPTIONS = (
    click.argument("explanation", metavar="FILE.npz", type=click.Path(path_type=Path)),
    click.option(
        "-o",
        "--out",
        required=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help=".mp4, .webm, .gif, .webp, .png, .jpg; without an ending a folder of PNGs.",
    ),
    click.option(
        "--source",
        type=click.Path(path_type=Path),
        metavar="VIDEO",
        help="The film, where it is not where explain read it.",
    ),
    click.option("--style", metavar="NAME", help=_STYLE),
    click.option(
        "--method", "methods", multiple=True, metavar="M", help="Of those explained; repeatable side by side."
    ),
    click.option(
        "--target", "targets", multiple=True, metavar="LABEL|INDEX", help="Of those explained; repeatable side by side."
    ),
    click.option("--fill", metavar="NAME", help="With --style map: black, mean, blur or frame-mean; default black."),
    click.option("--colours", metavar="NAME", help="inferno (default), magma, viridis, plasma, turbo, gray, …"),
    click.option("--opacity", type=float, metavar="SHARE", help="Of the overlay where evidence is 1; default 0.6."),
    _switch("--no-caption", "has_caption", "No label, probability and method.", to=False),
    _switch("--no-bar", "has_bar", "No colour bar.", to=False),
    _switch("--no-outline", "has_outline", "No outline of what the model saw.", to=False),
    _switch("--no-sound", "has_sound", "Leave the sound out.", to=False),
    _switch("--strip", "has_strip", "Add a time strip below; the picture becomes higher.", to=True),
    click.option("--start", "start_seconds", type=float, metavar="SECONDS", help="Draw from here."),
    click.option("--end", "end_seconds", type=float, metavar="SECONDS", help="Draw to here."),
    click.option("--height", type=int, metavar="ROWS", help="Of the picture without the strip; default the source's."),
    click.option("--form", metavar="NAME", help="mp4, webm, gif, webp, frames, sheet or poster; default: by ending."),
    click.option("--codec", metavar="NAME", help="h264, hevc, av1 or vp9; default h264, in WebM vp9."),
    click.option("--encoder", metavar="NAME", help="auto (software), hardware, or FFmpeg's name, such as h264_nvenc."),
    click.option("--preset", metavar="NAME", help="The encoder's; default veryfast (x264)."),
    click.option("--quality", type=int, metavar="N", help="Constant quality, in its own scale; default 18 (x264)."),
    click.option("--overwrite", is_flag=True, help="Replace an existing result."),
)


def render_arguments(function: Function) -> Function:
    """Give a command the arguments of `render`; what is not given comes as None or empty."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
