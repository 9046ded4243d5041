"""The arguments of `vidcam explain`, `score` and `render`, as click reads them; defaults are those of their options."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

Function = Callable[..., Any]


def _switch(name: str, field: str, explained: str, *, to: bool) -> Function:
    """An option without a value; None where it is not given, so that the default stays where it is."""
    return click.option(name, field, flag_value=to, default=None, help=explained)


def _rate(text: str) -> Fraction:
    """29.97 or 30000/1001; no exponents, as Fraction writes out all digits of 1e999999999."""
    try:
        return Fraction(text if re.fullmatch(r"[-+/.0-9]{1,40}", text) else "")
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is no rate; expected a number such as 29.97 or 30000/1001") from None


JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
DEVICE = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda:N", help="Where to run.")

_PATH = click.Path(path_type=Path)
_FOLDER = click.option("-o", "--out", required=True, metavar="FOLDER", type=_PATH, help="Where to write.")
_MODEL = click.option("--model", default="i3d", show_default=True, metavar="NAME", help="See `vidcam models`.")
_LABELS = click.option("--labels", type=_PATH, metavar="FILE", help="Names of a built-in's classes, one a line.")
_LAYER = click.option(
    "--layer", multiple=True, metavar="NAME", help="See `vidcam layers MODEL`; repeatable, then fused."
)
_FUSION = click.option("--fusion", metavar="NAME", help="mean or max of several layers' maps; default mean.")
_SCORE_SCALE = click.option(
    "--score-scale", "score_scale", type=float, metavar="L", help="gradcam++ through exp(L·score); default 1."
)
_HIDDEN = click.option(
    "--fill", metavar="NAME", help="What is hidden becomes black, mean, blur or frame-mean; default black."
)
_PRECISION = click.option("--precision", metavar="NAME", help="float32, or bf16 (fp16 on CUDA): faster, not exact.")

_EXPLAIN = (
    click.argument("videos", metavar="VIDEO...", nargs=-1, required=True, type=_PATH),
    _FOLDER,
    _MODEL,
    click.option(
        "--weights",
        default="pretrained",
        metavar="FILE|random",
        help="Default: those that come with the model; C3D needs FILE.",
    ),
    _LABELS,
    click.option(
        "--mean-cube",
        type=_PATH,
        metavar="FILE",
        help="What C3D subtracts, .npy; default its mean colour.",
    ),
    click.option(
        "--method",
        "methods",
        multiple=True,
        metavar="M",
        help="neutral-gradcam, gradcam, gradcam+, gradcam++, gradcam++softmax, gradcam++signed, cam, hirescam, "
        "layercam, guided-gradcam, guided-gradcam+, guided-gradcam++; repeatable; default: neutral-gradcam (where "
        "the head is not pooled and linear gradcam) and gradcam++.",
    ),
    click.option(
        "--target", "targets", multiple=True, metavar="LABEL|INDEX|per-window", help="Default: the top class."
    ),
    click.option(
        "--contrast", metavar="LABEL|INDEX", help="Explain the target against this class (S_target - S_contrast)."
    ),
    _LAYER,
    _FUSION,
    click.option("--score", metavar="NAME", help="logit or probability; default logit."),
    _SCORE_SCALE,
    click.option("--at", type=float, metavar="SECONDS", help="Explain only the window that starts here."),
    click.option("--start", type=float, metavar="SECONDS", help="Explain from here."),
    click.option("--end", type=float, metavar="SECONDS", help="Explain to here."),
    click.option("--overlap", type=float, metavar="SHARE", help="Of neighbouring windows, 0 to below 1; default 0.5."),
    click.option("--outputs", metavar="LIST", help="Of overlay,map,sheet,data; default overlay,sheet,data."),
    _HIDDEN,
    click.option("--batch-size", type=int, metavar="N", help="Windows that the model is shown at once."),
    _PRECISION,
    click.option("--fps", type=_rate, metavar="RATE", help="Images a second, for a folder of images; default 25."),
    click.option("--decoder", metavar="NAME", help="auto, pyav or decord; default auto, which is pyav."),
    click.option("--overwrite", is_flag=True, help="Replace existing results of the same video."),
    DEVICE,
    JSON,
)

_SCORE = (
    click.argument("clips", metavar="MANIFEST|FOLDER", type=_PATH),
    _FOLDER,
    _MODEL,
    click.option("--weights", default="pretrained", metavar="FILE|random", help="Default: those of the model."),
    _LABELS,
    click.option("--mean-cube", type=_PATH, metavar="FILE", help="What C3D subtracts, .npy."),
    click.option(
        "--method",
        "methods",
        multiple=True,
        metavar="M",
        help="Repeatable; default: gradcam, gradcam+, gradcam++ and neutral-gradcam.",
    ),
    click.option(
        "--measures",
        metavar="LIST",
        help="default (drop,relative,retention), all, or some of these and curve, insertion-deletion, localization, "
        "time.",
    ),
    click.option("--controls/--no-controls", default=None, help="Score the rows random and centre too; default: yes."),
    _HIDDEN,
    _LAYER,
    _FUSION,
    _SCORE_SCALE,
    click.option(
        "--min-confidence", type=float, metavar="P", help="Leave out clips of a lower probability; default 0."
    ),
    click.option("--correct-only", is_flag=True, default=None, help="Leave out clips whose class is not their label."),
    click.option(
        "--batch-size", metavar="auto|N", help="Masked clips that the model is shown at once; default auto, by device."
    ),
    _PRECISION,
    click.option("--workers", type=int, metavar="N", help="Threads that decode ahead; default 2."),
    click.option("--seed", type=int, metavar="N", help="Of ties, controls, shuffles and intervals; default 0."),
    click.option("--sanity", type=int, metavar="N", help="Compare the maps of N clips with those of random weights."),
    click.option("--render-worst", type=int, metavar="K", help="Overlay videos of the K clips with the largest drop."),
    click.option("--retry-failed", is_flag=True, default=None, help="Try clips again that failed in an earlier run."),
    click.option("--overwrite", is_flag=True, default=None, help="Begin anew, whatever is there."),
    DEVICE,
    JSON,
)

_RENDER = (
    click.argument("explanation", metavar="FILE.npz", type=_PATH),
    click.option(
        "-o",
        "--out",
        required=True,
        metavar="FILE",
        type=_PATH,
        help=".mp4, .webm, .gif, .webp, .png, .jpg; without an ending a folder of PNGs.",
    ),
    click.option(
        "--source",
        type=_PATH,
        metavar="VIDEO",
        help="The video, where it is not where explain read it.",
    ),
    click.option("--style", metavar="NAME", help="overlay, map, side-by-side, contour or heat; default overlay."),
    click.option(
        "--method", "methods", multiple=True, metavar="M", help="Of those explained; repeatable side by side."
    ),
    click.option(
        "--target", "targets", multiple=True, metavar="LABEL|INDEX", help="Of those explained; repeatable side by side."
    ),
    click.option("--fill", metavar="NAME", help="With --style map: black, mean, blur or frame-mean; default black."),
    click.option("--colormap", metavar="NAME", help="inferno (default), magma, viridis, plasma, turbo, gray, …"),
    click.option("--opacity", type=float, metavar="SHARE", help="Of the overlay where evidence is 1; default 0.6."),
    _switch("--no-caption", "caption", "No label, probability and method.", to=False),
    _switch("--no-colorbar", "colorbar", "No colour bar.", to=False),
    _switch("--no-outline", "outline", "No outline of what the model saw.", to=False),
    _switch("--no-sound", "sound", "Leave the sound out.", to=False),
    _switch("--strip", "strip", "Add a time strip below; the picture becomes higher.", to=True),
    click.option("--start", type=float, metavar="SECONDS", help="Draw from here."),
    click.option("--end", type=float, metavar="SECONDS", help="Draw to here."),
    click.option("--height", type=int, metavar="ROWS", help="Of the picture without the strip; default the source's."),
    click.option("--form", metavar="NAME", help="mp4, webm, gif, webp, frames, sheet or poster; default: by ending."),
    click.option("--codec", metavar="NAME", help="h264, hevc, av1 or vp9; default h264, in WebM vp9."),
    click.option("--encoder", metavar="NAME", help="auto (software), or FFmpeg's name of one, such as h264_nvenc."),
    click.option("--preset", metavar="NAME", help="The encoder's; default veryfast (x264)."),
    click.option("--quality", type=int, metavar="N", help="Constant quality, in its own scale; default 18 (x264)."),
    click.option("--overwrite", is_flag=True, help="Replace an existing result."),
    JSON,
)


def explain_arguments(function: Function) -> Function:
    """Give a command the arguments of `explain`; what is not given comes as None or empty."""
    return _with(function, _EXPLAIN)


def score_arguments(function: Function) -> Function:
    """Likewise those of `score`."""
    return _with(function, _SCORE)


def render_arguments(function: Function) -> Function:
    """Likewise those of `render`."""
    return _with(function, _RENDER)


def _with(function: Function, options: Sequence[Function]) -> Function:
    for option in reversed(options):
        function = option(function)
    return function
