"""Case `scaling`: how the cost grows with clips, methods, classes, a video's length and its pixels; medians."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import vidcam
from scripts.bench.timing import Work, interleaved
from scripts.bench.videos import SMALL, make_video
from scripts.library import PAIR_METHODS, explain_video, faster
from vidcam.models.registry import load_model

Series = dict[str, Any]

CLIPS, CLASSES = (1, 2, 4, 8, 16), (10, 50, 100, 200, 400, 800)
SECONDS, HEIGHTS = (5, 10, 20, 40), (180, 360, 720, 1080)


def scaling(name: str, runs: int) -> dict[str, Series]:
    """Axis → {"x", "y" (seconds), "x_label", "what"}."""
    model = load_model(name, device="cpu", weights="random")
    layer, cheap = str(model.spec.layer), list(PAIR_METHODS)
    module, clip = faster(model, layer), torch.randn(max(CLIPS), 3, *model.spec.input_size)
    explain = partial(vidcam.explain, module, layer=layer, target=0)
    by_clips = {count: partial(explain, clip[:count]) for count in CLIPS}
    by_methods = {count: partial(explain, clip[:1], methods=cheap[:count]) for count in range(1, len(cheap) + 1)}
    found = {
        "clips": _series(by_clips, runs, "clips at once", f"{name}, gradcam and gradcam++"),
        "methods": _series(by_methods, runs, "cheap methods", f"{name}, one clip"),
    }
    width = int(module.get_parameter("fc.weight").shape[1])
    heads = {count: nn.Linear(width, count).eval() for count in CLASSES}
    by_classes = {count: partial(_with_head, module, head, partial(explain, clip[:1])) for count, head in heads.items()}
    found["classes"] = _series(by_classes, runs, "classes", f"{name}, one clip, gradcam++softmax")
    with tempfile.TemporaryDirectory() as folder:
        by_length = {length: _explained(Path(folder), 25 * length, SMALL) for length in SECONDS}
        sizes = [(height, height * 16 // 9) for height in HEIGHTS]
        by_pixels = {height * width / 1e6: _explained(Path(folder), 50, (height, width)) for height, width in sizes}
        found["length"] = _series(by_length, runs, "seconds of video", "tiny_r3d, 340 × 256, overlay MP4")
        found["resolution"] = _series(by_pixels, runs, "megapixels a frame", "tiny_r3d, 2 s of video, overlay MP4")
    return found


def _with_head(module: nn.Module, head: nn.Module, explain: Callable[..., object]) -> object:
    module.fc = head
    return explain(methods=["gradcam++softmax"])


def _explained(folder: Path, count: int, size: tuple[int, int]) -> Work:
    video = make_video(folder / f"{count}-{size[0]}.mp4", count, size)
    return partial(explain_video, load_model("tiny_r3d", device="cpu"), video, folder / "out")


def _series(works: Mapping[Any, Work], runs: int, label: str, what: str) -> Series:
    rows = interleaved({str(x): work for x, work in works.items()}, runs).values()
    seconds: Sequence[float] = [row.seconds[1] for row in rows]
    return {"x": list(works), "y": list(seconds), "x_label": label, "what": what}
