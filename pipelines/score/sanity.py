"""Sanity checks on video: do the maps depend on what the model has learned (Adebayo et al., arXiv:1810.03292)?

For a few clips, the maps of the trained model are compared with those of the model whose layers were drawn anew:
cascading from the last layer down, and each layer alone. The class stays the one that the trained model predicted. A
method passes if its maps become unlike; two measures say how unlike, as one alone can be fooled by a map's smoothness.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from torch import Tensor

from vidcam.cam.preserve import Undo
from vidcam.cam.randomise import randomise, weighted_layers
from vidcam.errors import VidcamError
from vidcam.metrics.similarity import rank_correlation, ssim
from vidcam.models.model import Model
from vidcam.pipelines.forward import torch_errors, watched
from vidcam.pipelines.prepare import look_at_grey
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.samples import Sample, load_sample
from vidcam.results.explanation import Explanation
from vidcam.system.progress import Progress

STAGES = 10
"""Layers of a deep network are drawn in at most so many steps, evenly spread."""

Scheme = Literal["cascading", "independent"]


def sanity(
    model: Model, request: ScoreRequest, entries: Sequence[Entry], *, count: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """Rank correlation and SSIM of maps with those of randomised models, mean over clips.

    Args:
        model: left as it was.
        request: methods and layers.
        entries: of the set; the first `count` that can be read are taken.
        count: clips.
        seed: of the new weights.
        progress: told of each stage.

    Returns:
        {"clips": names, "layers": names, the last first, "cascading": {method: {"correlation": […], "ssim": […],
        "empty": […]}}, "independent": …}
    """
    samples = list(_readable(entries, model, count))
    names = weighted_layers(model.module)
    stages = [names[index] for index in _spread(len(names))]
    learned = replace(request, references=_references(model, request))
    originals = [_explained(model, learned, sample, None) for sample in samples]
    found: dict[str, Any] = {"clips": [sample.entry.name for sample in samples], "layers": stages}
    for done, scheme in enumerate(("cascading", "independent")):
        compared = []
        for place, stage in enumerate(stages):
            drawn = names[names.index(stage) :] if scheme == "cascading" else (stage,)
            with Undo() as undo, undo:
                randomise(model.module, drawn, undo, seed=seed)
                asked = replace(request, references=_references(model, request))
                pairs = [
                    (original, _explained(model, asked, sample, original))
                    for original, sample in zip(originals, samples, strict=True)
                ]
            compared.append({method: _alike(pairs, method) for method in request.methods})
            progress("checking with random weights", done * len(stages) + place + 1, 2 * len(stages))
        found[scheme] = {
            method: {name: [stage[method][name] for stage in compared] for name in ("correlation", "ssim", "empty")}
            for method in request.methods
        }
    return found


def _readable(entries: Sequence[Entry], model: Model, count: int) -> Iterator[Sample]:
    left = count
    for entry in entries:
        if not left:
            return
        sample = load_sample(entry, model.spec)
        if isinstance(sample, Sample):
            left -= 1
            yield sample


def _spread(layers: int) -> list[int]:
    """Indices of at most STAGES layers, the last first and the first last."""
    return sorted({round(index) for index in np.linspace(layers - 1, 0, min(STAGES, layers))}, reverse=True)


def _explained(model: Model, request: ScoreRequest, sample: Sample, like: Explanation | None) -> Explanation | None:
    """The maps of a clip, for the class of `like`; None where the randomised model gives none."""
    clip = sample.tensor.unsqueeze(0).to(model.device)
    target = None if like is None else like.target.tolist()
    try:
        with torch_errors(model, 1), watched(model, clip, request) as run:
            return run.explain(target)
    except VidcamError:  # weights that were drawn anew may overflow
        return None


def _references(model: Model, request: ScoreRequest) -> Mapping[str, Tensor]:
    """What the randomised model itself shows on grey."""
    try:
        return look_at_grey(model, request.layers).activations
    except VidcamError:
        return {}


def _alike(pairs: Sequence[tuple[Explanation | None, Explanation | None]], method: str) -> dict[str, Any]:
    """Means over the clips where both maps say something; how many do not."""
    correlations, likenesses, empty = [], [], 0
    for one, other in pairs:
        if one is None or other is None or one.empty[method][0] or other.empty[method][0]:
            empty += 1
            continue
        correlations.append(rank_correlation(one.volumes[method][0], other.volumes[method][0]))
        likenesses.append(ssim(one.heat(method)[0], other.heat(method)[0]))
    return {"correlation": _mean(correlations), "ssim": _mean(likenesses), "empty": empty}


def _mean(values: Sequence[float]) -> float | None:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else None
