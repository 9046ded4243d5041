"""How the cost grows: with clips, methods, classes, a film's length and its pixels; a point each, medians."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmark_render import make_film
from results_timing import timed
from torch import nn

import vidcam
from vidcam.cam.methods import PAIR_METHODS
from vidcam.models.optimise import optimised
from vidcam.models.registry import load_model
from vidcam.pipelines.explain.explainer import Explainer
from vidcam.pipelines.explain.options import ExplainOptions

Series = dict[str, Any]

CLIPS, CLASSES = (1, 2, 4, 8, 16), (10, 50, 100, 200, 400, 800)
SECONDS, HEIGHTS = (5, 10, 20, 40), (180, 360, 720, 1080)


def scaling(network: str, runs: int) -> dict[str, Series]:
    """Axis → {"x", "y" (seconds), "x_label", "what"}."""
    return {
        "clips": _clips(network, runs),
        "methods": _methods(network, runs),
        "classes": _classes(network, runs),
        "length": _length(runs),
        "resolution": _resolution(runs),
    }


def _clips(name: str, runs: int) -> Series:
    model, module, layer = _network(name)
    clip = torch.randn(max(CLIPS), 3, *model.spec.input_size)
    works = [partial(vidcam.explain, module, clip[:count], layer=layer, target=0) for count in CLIPS]
    return _series(CLIPS, works, runs, "clips at once", f"{name}, gradcam and gradcam++")


def _methods(name: str, runs: int) -> Series:
    model, module, layer = _network(name)
    clip, names = torch.randn(1, 3, *model.spec.input_size), list(PAIR_METHODS)
    counts = range(1, len(names) + 1)
    works = [partial(vidcam.explain, module, clip, layer=layer, methods=names[:count], target=0) for count in counts]
    return _series(tuple(counts), works, runs, "cheap methods", f"{name}, one clip")


def _classes(name: str, runs: int) -> Series:
    """The softmax form on a residual network's last features, of heads with more and more classes."""
    model, module, layer = _network(name)
    clip, works = torch.randn(1, 3, *model.spec.input_size), []
    width = int(module.get_parameter("fc.weight").shape[1])
    for count in CLASSES:
        head = nn.Linear(width, count).eval()
        works.append(partial(_with_head, module, head, clip, layer))
    return _series(CLASSES, works, runs, "classes", f"{name}, one clip, gradcam++softmax")


def _with_head(module: nn.Module, head: nn.Module, clip: torch.Tensor, layer: str) -> object:
    module.fc = head
    return vidcam.explain(module, clip, layer=layer, methods=["gradcam++softmax"], target=0)


def _length(runs: int) -> Series:
    with tempfile.TemporaryDirectory() as folder:
        films = [make_film(Path(folder) / f"{length}.mp4", (256, 340), 25 * length) for length in SECONDS]
        works = [_explain(film, Path(folder) / "out") for film in films]
        return _series(SECONDS, works, runs, "seconds of film", "tiny_r3d, 340 × 256, overlay MP4")


def _resolution(runs: int) -> Series:
    with tempfile.TemporaryDirectory() as folder:
        sizes = [(height, height * 16 // 9) for height in HEIGHTS]
        films = [make_film(Path(folder) / f"{size[0]}.mp4", size, 50) for size in sizes]
        works = [_explain(film, Path(folder) / "out") for film in films]
        pixels = tuple(height * width / 1e6 for height, width in sizes)
        return _series(pixels, works, runs, "megapixels a frame", "tiny_r3d, 2 s of film, overlay MP4")


def _explain(film: Path, out: Path) -> Callable[[], object]:
    options = ExplainOptions(methods=("gradcam++",), outputs=("overlay",), overwrite=True)
    return partial(Explainer(load_model("tiny_r3d", device="cpu"), options).explain, film, out)


def _network(name: str) -> tuple[vidcam.Model, nn.Module, str]:
    model = load_model(name, device="cpu", weights="random")
    layer = str(model.spec.layer)
    return model, optimised(model, [layer])[0].module, layer


def _series(x: tuple[float, ...], works: Sequence[Callable[[], object]], runs: int, label: str, what: str) -> Series:
    for work in works:
        work()
    found: list[list[float]] = [[] for _ in works]
    for _ in range(runs):
        for times, work in zip(found, works, strict=True):
            times.append(timed(work)[0])
    return {"x": list(x), "y": [statistics.median(times) for times in found], "x_label": label, "what": what}
