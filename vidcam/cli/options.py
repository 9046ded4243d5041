"""The arguments of `vidcam explain` and `score`, as click reads them; defaults are those of their options."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from vidcam.cli.completion import (
    METHODS,
    complete_layer,
    complete_model,
    complete_target,
    one_of,
    several_of,
)
from vidcam.cli.config import config_option
from vidcam.cli.help import section
from vidcam.devices import DEVICE_EXAMPLES, DEVICE_FORM
from vidcam.fill import FILLS, SCORE_FILLS
from vidcam.pipelines.score.measures import DEFAULT_MEASURES, MEASURES

Function = Callable[..., Any]

PATH = click.Path(path_type=Path)


def _rate(value: str | float) -> Fraction:
    """29.97 or 30000/1001; no exponents, as Fraction writes out all digits of 1e999999999."""
    text = str(value)
    try:
        return Fraction(text if re.fullmatch(r"[-+/.0-9]{1,40}", text) else "")
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is no rate; expected a number such as 29.97 or 30000/1001") from None


RESULT, _question = section("Result"), section("What is explained")
_model, _details, DRAWING = section("Model"), section("Details"), section("Drawing")
_scored, _clips = section("What is scored"), section("Which clips count")


def choice(make: Callable[..., Function], option: str, names: Sequence[str], explained: str) -> Function:
    """An option whose value is one of a few names."""
    return make(option, metavar="NAME", shell_complete=one_of(*names), help=explained)


JSON = RESULT("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
DEVICE = _model(
    "--device",
    default="auto",
    show_default=True,
    metavar=DEVICE_FORM,
    shell_complete=one_of(*DEVICE_EXAMPLES),
    help="Device that runs the model.",
)
_MODEL_HELP = "Name from `vidcam models`, hf:FOLDER, torchvision:NAME, timm:NAME, or your own package.module:factory."
_ONE_MODEL = _model(
    "--model", default="i3d", show_default=True, metavar="NAME", shell_complete=complete_model, help=_MODEL_HELP
)
_MODELS = _model(
    "--model",
    multiple=True,
    default=("i3d",),
    show_default=True,
    metavar="NAME",
    shell_complete=complete_model,
    help=f"{_MODEL_HELP} Repeat it to compare models.",
)
_MODEL_FILES = (
    _model(
        "--weights",
        default="pretrained",
        show_default=True,
        metavar="FILE|random",
        type=click.Path(),
        help="File of weights, or random for untrained weights.",
    ),
    _model("--labels", type=PATH, metavar="FILE", help="File with one class name per line."),
    _model("--mean-cube", type=PATH, metavar="FILE.npy", help="Mean cube that C3D subtracts; default: a mean colour."),
    DEVICE,
)
_LAYER = _model(
    "--layer",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_layer,
    help="Layer from `vidcam layers MODEL`; repeat it to fuse the maps of several.",
)
_AXES = _model("--axes", metavar="ORDER", help="Order of the axes in the clips that your network takes, such as NTCHW.")
_FUSION = choice(
    _details,
    "--fusion",
    ("mean", "max", "sum"),
    "Fuse maps of several layers by mean, max or sum; default: sum for parallel branches, else mean.",
)
_SCORE_SCALE = _details(
    "--score-scale", "score_scale", type=float, metavar="L", help="λ of gradcam++ in exp(λ·score); default 1."
)
_STEPS = _details(
    "--steps", type=int, metavar="N", help="Steps of fine maps, each a forward and backward; default 16, products 4."
)
_FINE = choice(
    _details,
    "--fine",
    ("coarse", "pooled", "full"),
    "Grid of fine maps: coarse (8×14×14 at most), pooled (16×28×28, default), or full, every pixel.",
)
_BUDGET = _details(
    "--budget", type=int, metavar="N", help="Forward passes of occlusion and of rise for each window; default 200."
)
_FILL = choice(_details, "--fill", FILLS, "What hidden pixels become: black (default), mean, blur or frame-mean.")
SCALE_TEXT = "Evidence is relative to the maximum of the whole video or of each window"
CAPTIONS = DRAWING(
    "--captions",
    metavar="none|inside|margin",
    shell_complete=one_of("none", "inside", "margin"),
    help="Label, probability, method, time and colour bar: inside the frame (default), in a margin below it, or none.",
)
_PRECISION = choice(
    _details,
    "--precision",
    ("float32", "bf16", "fp16"),
    "Precision of the network: float32 (default), or bf16 or fp16, faster and less exact.",
)
_THREADS = _details(
    "--threads", type=int, metavar="N", help="Threads of PyTorch on the CPU; default: PyTorch's own number."
)

_EXPLAIN = (
    click.argument("videos", metavar="VIDEO|FOLDER...", nargs=-1, required=True, type=PATH),
    RESULT(
        "-o",
        "--out",
        metavar="FOLDER|FILE.mp4",
        type=PATH,
        help="Folder for all results, or file for one overlay video.",
    ),
    RESULT(
        "--outputs",
        metavar="LIST",
        shell_complete=several_of("overlay", "map", "sheet", "report", "data", "none"),
        help="Any of overlay,map,sheet,report,data. Default: all but map. With none, only the top 5 classes are "
        "printed.",
    ),
    RESULT(
        "--sheet-format",
        metavar="NAME",
        shell_complete=one_of("png", "svg", "pdf"),
        help="File format of the sheet: png (default), svg or pdf.",
    ),
    RESULT("--overwrite", is_flag=True, help="Replace existing results of the same video."),
    JSON,
    config_option("Result"),
    _question(
        "--target",
        "targets",
        multiple=True,
        metavar="CLASS",
        shell_complete=complete_target,
        help="Label or index of the class to explain, repeatable; default: the top class of the video. above:0.2: "
        "every class with a mean probability of 0.2 or more. per-window: the top class of each window.",
    ),
    _question(
        "--contrast",
        metavar="CLASS",
        shell_complete=complete_target,
        help="Class to contrast the target with: the score is S_target - S_contrast.",
    ),
    _question(
        "--caption",
        multiple=True,
        metavar="WORDS",
        help="Caption to explain word by word, repeatable, with a captioner such as tiny_captioner; or generated, the "
        "caption that it says (default).",
    ),
    _question(
        "--method",
        "methods",
        multiple=True,
        metavar="NAME",
        shell_complete=several_of(*METHODS),
        help=f"Method, repeatable: {', '.join(METHODS)}. `best` is neutral-gradcam-ig. Default: neutral-gradcam and "
        "gradcam; of transformers token-lrp.",
    ),
    _question(
        "--truth",
        metavar="FILE|folders",
        help="True classes: a manifest with the columns path and label, or folders: the name of each video's folder.",
    ),
    _question("--only-wrong", is_flag=True, help="With --truth, explain only the videos that are predicted wrongly."),
    _question("--at", type=float, metavar="SECONDS", help="Explain only the window that starts at this time."),
    _question("--start", type=float, metavar="SECONDS", help="Start of the explained part."),
    _question("--end", type=float, metavar="SECONDS", help="End of the explained part."),
    _question(
        "--view",
        metavar="NAME",
        shell_complete=one_of("centre", "full", "three-crop"),
        help="Part of the frame that the model sees: centre (default), full, or three-crop (merged).",
    ),
    _MODELS,
    *_MODEL_FILES,
    _LAYER,
    _AXES,
    CAPTIONS,
    _details("--overlap", type=float, metavar="SHARE", help="Fraction by which windows overlap; default 0.5."),
    _details(
        "--verdict-forwards",
        type=int,
        metavar="N",
        help="Most clips run again to check the maps; default 16, over 30 s at most 10 % of the windows; 0: none.",
    ),
    choice(_details, "--score", ("logit", "probability"), "Score that is explained: logit (default) or probability."),
    _SCORE_SCALE,
    _STEPS,
    _FINE,
    _BUDGET,
    _FUSION,
    choice(_details, "--scale", ("video", "window"), f"{SCALE_TEXT}: video (default) or window."),
    _FILL,
    _details("--batch-size", type=int, metavar="N", help="Windows per forward pass; default: by device."),
    _PRECISION,
    _details("--fps", type=_rate, metavar="RATE", help="Frames per second of a folder of images; default 25."),
    choice(_details, "--decoder", ("auto", "pyav", "decord"), "Decoder: auto (default, PyAV), pyav or decord."),
    choice(_details, "--engine", ("local", "ray"), "What runs the videos: local (default), or ray, a Ray cluster."),
    _THREADS,
)

_SCORE = (
    click.argument("clips", metavar="MANIFEST|FOLDER", nargs=-1, required=True, type=PATH),
    RESULT("-o", "--out", required=True, metavar="FOLDER", type=PATH, help="Folder for the results."),
    RESULT("--shard", metavar="I/N", help="Score only shard I of N, into a folder of its own."),
    RESULT("--merge", is_flag=True, help="Merge the folders of all shards: vidcam score --merge FOLDER… -o FOLDER."),
    RESULT("--overwrite", is_flag=True, default=None, help="Replace existing results, even if their settings differ."),
    RESULT("--addresses", is_flag=True, default=None, help="Read the addresses (https://…) that a manifest names."),
    RESULT("--retry-failed", is_flag=True, default=None, help="Try clips again that failed in an earlier run."),
    RESULT(
        "--against",
        multiple=True,
        metavar="FOLDER",
        type=PATH,
        help="Compare with the results of another run, clip by clip: another model, checkpoint or layer; repeatable.",
    ),
    RESULT("--render-worst", type=int, metavar="K", help="Overlay videos of the K clips with the largest drop."),
    JSON,
    config_option("Result"),
    _scored(
        "--method",
        "methods",
        multiple=True,
        metavar="NAME",
        shell_complete=several_of(*(name for name in METHODS if not name.startswith("guided"))),
        help="Method, repeatable; default: gradcam, gradcam+, neutral-gradcam, and gradcam++ or token-lrp.",
    ),
    _scored(
        "--measures",
        metavar="LIST",
        shell_complete=several_of("default", "all", *MEASURES),
        help=f"Any of {','.join(MEASURES)}; or all. Default: {','.join(DEFAULT_MEASURES)}.",
    ),
    _scored(
        "--controls/--no-controls", default=None, help="Also score maps that know nothing of the network; default: yes."
    ),
    _scored(
        "--maps",
        multiple=True,
        metavar="FOLDER",
        type=PATH,
        help="Also score maps of another tool: a folder with a .npy or .npz for each clip; repeatable.",
    ),
    _scored(
        "--windows",
        metavar="central|N|all",
        shell_complete=one_of("central", "all"),
        help="Windows of each video: the central one (default), N spread over it, or all that explain shows.",
    ),
    _scored("--sanity", type=int, metavar="N", help="Compare the maps of N clips with those of random weights."),
    _clips(
        "--min-confidence",
        type=float,
        metavar="P",
        help="Leave out clips whose class has a probability below P; default 0.",
    ),
    _clips("--correct-only", is_flag=True, default=None, help="Leave out clips whose top class is not their label."),
    _clips(
        "--label-in-top",
        type=int,
        metavar="N",
        help="Explain the label if it is among the N likeliest classes, else leave the clip out; 0: explain the "
        "predicted class. Default: 5 for Pascal VOC and COCO, else 0.",
    ),
    _ONE_MODEL,
    *_MODEL_FILES,
    _LAYER,
    _AXES,
    _FUSION,
    _SCORE_SCALE,
    _STEPS,
    _FINE,
    _BUDGET,
    choice(
        _details,
        "--fill",
        SCORE_FILLS,
        "What hidden pixels become: black (default), mean, blur, frame-mean, or infill from the pixels around.",
    ),
    _details("--batch-size", metavar="auto|N", help="Perturbed clips per forward pass; default: by device."),
    _PRECISION,
    _details("--workers", type=int, metavar="N", help="Threads that decode ahead; default: as the model needs them."),
    choice(_details, "--engine", ("local", "ray"), "What runs the clips: local (default), or ray, a Ray cluster."),
    _THREADS,
    _details(
        "--seed",
        type=int,
        metavar="N",
        help="Random seed for tie-breaking, controls, shuffles and intervals; default 0.",
    ),
)


def given_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given; the others keep the defaults of the pipeline."""
    return {name: value for name, value in values.items() if value not in (None, ())}


def explain_arguments(function: Function) -> Function:
    """Give a command the arguments of `explain`; what is not given comes as None or empty."""
    return with_options(function, _EXPLAIN)


def score_arguments(function: Function) -> Function:
    """Give a command the arguments of `score`; what is not given comes as None or empty."""
    return with_options(function, _SCORE)


def with_options(function: Function, options: Sequence[Function]) -> Function:
    """Give a command some arguments, in this order."""
    for option in reversed(options):
        function = option(function)
    return function
