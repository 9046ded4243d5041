"""Sanity checks: do the maps depend on the trained weights (Adebayo et al., arXiv:1810.03292)?

The maps of the trained model are compared with maps of the same model with randomised layers: all layers from the last
one down (cascading), and each layer alone (independent). The explained class is always the prediction of the trained
model. A method passes if its maps change. Similarity is measured by rank correlation and by SSIM, because one measure
alone can be high only because the maps are smooth.
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
from vidcam.pipelines.score.sanity_figures import Sanity, SanityFigures
from vidcam.results.explanation import Explanation
from vidcam.system.progress import Progress

STAGES = 10
"""Largest number of randomised layers per scheme; in a deeper network they are evenly spread."""

Scheme = Literal["cascading", "independent"]
_Pair = tuple[Explanation | None, Explanation | None]
"""The maps of one clip: by the trained model, and by the randomised one."""


def sanity(model: Model, request: ScoreRequest, entries: Sequence[Entry], *, progress: Progress) -> Sanity:
    """Compare the maps of a model with those of randomised weights, on the first readable clips of the set.

    The request has their number, and the seed of the weights. The model's own weights are restored afterwards.
    """
    samples = list(islice(_readable(entries, model), request.sanity))
    names = weighted_layers(model.module)
    stages = [names[index] for index in _spread(len(names))]
    trained = replace(request, baseline_activations=_baseline_activations(model, request))
    originals = [_explanation(model, trained, sample, None) for sample in samples]

    def compare(scheme: Scheme) -> dict[str, SanityFigures]:
        pairs = []
        for number, stage in enumerate(stages, start=1):
            layers = names[names.index(stage) :] if scheme == "cascading" else (stage,)
            with Undo() as undo, undo:
                randomise(model.module, layers, undo, seed=request.seed)
                randomised = replace(request, baseline_activations=_baseline_activations(model, request))
                explanations = [
                    _explanation(model, randomised, sample, original)
                    for sample, original in zip(samples, originals, strict=True)
                ]
            pairs.append(list(zip(originals, explanations, strict=True)))
            before = 0 if scheme == "cascading" else len(stages)
            progress("checking with random weights", before + number, 2 * len(stages))
        return {method: _figures(pairs, method) for method in request.methods}

    return Sanity(
        requested_clips=request.sanity,
        clips=tuple(sample.entry.name for sample in samples),
        layers=tuple(stages),
        cascading=compare("cascading"),
        independent=compare("independent"),
    )


def _readable(entries: Sequence[Entry], model: Model) -> Iterator[Sample]:
    for entry in entries:
        sample = load_sample(entry, model.spec)
        if isinstance(sample, Sample):
            yield sample


def _spread(layers: int) -> list[int]:
    """Return the indices of at most STAGES layers, from the last to the first."""
    return sorted({round(index) for index in np.linspace(layers - 1, 0, min(STAGES, layers))}, reverse=True)


def _explanation(
    model: Model, request: ScoreRequest, sample: Sample, original: Explanation | None
) -> Explanation | None:
    """Explain a clip for the class of its original explanation; None if the model fails on it."""
    clip = sample.tensor.unsqueeze(0).to(model.device)
    target = None if original is None else original.target.tolist()
    try:
        with torch_errors(model, 1), Undo() as undo, undo:
            run = open_attribution(model.module, model.input_of(clip), request, undo)
            return run.explain(target)
    except VidcamError:  # random weights can overflow
        return None


def _baseline_activations(model: Model, request: ScoreRequest) -> Mapping[str, Tensor]:
    """Compute the activations of the model, with its current weights, on a grey clip."""
    try:
        return compute_grey_baseline(model, request.layers, methods=request.methods).activations
    except VidcamError:
        return {}


def _figures(stages: Sequence[Sequence[_Pair]], method: str) -> SanityFigures:
    """Collect the similarities of one method, one entry per randomised layer."""
    figures = [_similarity(pairs, method) for pairs in stages]
    return SanityFigures(
        correlation=[correlation for correlation, _, _ in figures],
        ssim=[similarity for _, similarity, _ in figures],
        empty=[empty for _, _, empty in figures],
    )


def _similarity(pairs: Sequence[_Pair], method: str) -> tuple[float | None, float | None, int]:
    """Return mean rank correlation, mean SSIM, and the number of clips where one of the maps is missing or empty."""
    correlations, similarities, empty = [], [], 0
    for trained, randomised in pairs:
        if trained is None or randomised is None or trained.empty[method][0] or randomised.empty[method][0]:
            empty += 1
            continue
        correlations.append(rank_correlation(trained.volumes[method][0], randomised.volumes[method][0]))
        similarities.append(ssim(trained.heat(method)[0], randomised.heat(method)[0]))
    return _mean(correlations), _mean(similarities), empty


def _mean(values: Sequence[float]) -> float | None:
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else None
