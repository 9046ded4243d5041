"""Sanity checks on video: do the maps depend on what the model has learned (Adebayo et al., arXiv:1810.03292)?

For a few clips, the maps of the trained model are compared with those of the model whose layers were drawn anew:
cascading from the last layer down, and each layer alone. The class stays the one that the trained model predicted. A
method passes if its maps become unlike; two measures say how unlike, as one alone can be fooled by a map's smoothness.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal

import numpy as np
from torch import Tensor

from vidcam.cam.attribution import open_attribution
from vidcam.cam.preserve import Undo
from vidcam.cam.randomise import randomise, weighted_layers
from vidcam.errors import VidcamError
from vidcam.metrics.similarity import rank_correlation, ssim
from vidcam.models.model import Model
from vidcam.pipelines.forward import compute_grey_baseline, torch_errors
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.request import ScoreRequest
from vidcam.pipelines.score.samples import Sample, load_sample
from vidcam.pipelines.score.summary import Sanity, SanityFigures
from vidcam.results.explanation import Explanation
from vidcam.system.progress import Progress

STAGES = 10
"""Layers of a deep network are drawn in at most so many steps, evenly spread."""

Scheme = Literal["cascading", "independent"]
_Pair = tuple[Explanation | None, Explanation | None]
"""Of one clip: the maps of the trained model, and those of the randomised one."""


def sanity(model: Model, request: ScoreRequest, entries: Sequence[Entry], *, progress: Progress) -> Sanity:
    """Rank correlation and SSIM of maps with those of randomised models, mean over clips.

    Args:
        model: left as it was.
        request: methods, layers, how many clips, and the seed of the new weights.
        entries: of the set; the first ones that can be read are taken.
        progress: told of each stage.
    """
    samples = list(islice(_readable(entries, model), request.sanity))
    names = weighted_layers(model.module)
    stages = [names[index] for index in _spread(len(names))]
    learned = replace(request, baseline_activations=_baseline_activations(model, request))
    originals = [_explained(model, learned, sample, None) for sample in samples]

    def compared(scheme: Scheme) -> dict[str, SanityFigures]:
        pairs = []
        for place, stage in enumerate(stages, start=1):
            drawn = names[names.index(stage) :] if scheme == "cascading" else (stage,)
            with Undo() as undo, undo:
                randomise(model.module, drawn, undo, seed=request.seed)
                changed = replace(request, baseline_activations=_baseline_activations(model, request))
                others = [
                    _explained(model, changed, sample, original)
                    for sample, original in zip(samples, originals, strict=True)
                ]
            pairs.append(list(zip(originals, others, strict=True)))
            before = 0 if scheme == "cascading" else len(stages)
            progress("checking with random weights", before + place, 2 * len(stages))
        return {method: _figures(pairs, method) for method in request.methods}

    return Sanity(
        asked=request.sanity,
        clips=tuple(sample.entry.name for sample in samples),
        layers=tuple(stages),
        cascading=compared("cascading"),
        independent=compared("independent"),
    )


def _readable(entries: Sequence[Entry], model: Model) -> Iterator[Sample]:
    for entry in entries:
        sample = load_sample(entry, model.spec)
        if isinstance(sample, Sample):
            yield sample


def _spread(layers: int) -> list[int]:
    """Indices of at most STAGES layers, the last first and the first last."""
    return sorted({round(index) for index in np.linspace(layers - 1, 0, min(STAGES, layers))}, reverse=True)


def _explained(model: Model, request: ScoreRequest, sample: Sample, like: Explanation | None) -> Explanation | None:
    """The maps of a clip, for the class of `like`; None where the randomised model gives none."""
    clip = sample.tensor.unsqueeze(0).to(model.device)
    target = None if like is None else like.target.tolist()
    try:
        with torch_errors(model, 1), Undo() as undo, undo:
            run = open_attribution(model.module, clip, request, undo)
            return run.explain(target)
    except VidcamError:  # weights that were drawn anew may overflow
        return None


def _baseline_activations(model: Model, request: ScoreRequest) -> Mapping[str, Tensor]:
    """What the randomised model itself shows on grey."""
    try:
        return compute_grey_baseline(model, request.layers).activations
    except VidcamError:
        return {}


def _figures(stages: Sequence[Sequence[_Pair]], method: str) -> SanityFigures:
    """One method's figures, one entry a stage."""
    figures = [_alike(pairs, method) for pairs in stages]
    return SanityFigures(
        correlation=[correlation for correlation, _, _ in figures],
        ssim=[likeness for _, likeness, _ in figures],
        empty=[empty for _, _, empty in figures],
    )


def _alike(pairs: Sequence[_Pair], method: str) -> tuple[float | None, float | None, int]:
    """Rank correlation and SSIM, means over the clips where both maps say something; how many do not."""
    correlations, likenesses, empty = [], [], 0
    for one, other in pairs:
        if one is None or other is None or one.empty[method][0] or other.empty[method][0]:
            empty += 1
            continue
        correlations.append(rank_correlation(one.volumes[method][0], other.volumes[method][0]))
        likenesses.append(ssim(one.heat(method)[0], other.heat(method)[0]))
    return _mean(correlations), _mean(likenesses), empty


def _mean(values: Sequence[float]) -> float | None:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else None
