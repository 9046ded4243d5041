"""The scores against torchcam's metrics that have the same definition: drop, increase, insertion, deletion.

torchcam masks the model's input, so that hidden is 0 there; here the model's scaling makes that black. It takes ten
steps of whole voxels; the number of voxels is a multiple of ten. Its drop has 1e-7 in the denominator.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.helpers.nets import TINY_SPEC, HiddenHead, seeded
from vidcam.cam.explain import explain
from vidcam.models.model import Model
from vidcam.pipelines.score.clip import ClipScorer
from vidcam.pipelines.score.clips import Entry
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.request import resolve
from vidcam.pipelines.score.samples import Sample

METHODS = ("gradcam", "gradcam+", "hirescam")
CLIPS = 6
FRAMES = 5


class OurMaps:
    """An extractor for torchcam that returns vidcam's maps."""

    def __init__(self, model: Model, method: str) -> None:
        self.model, self.method = model.module, method
        self.clip = torch.empty(0)

    def __call__(self, *_: Any, **__: Any) -> list[Tensor]:
        explained = explain(self.model, self.clip, layer="relu", methods=[self.method])
        return [torch.from_numpy(explained.heat(self.method))]

    def fuse_cams(self, cams: list[Tensor]) -> Tensor:
        return cams[0]

    def _hooks_off(self) -> AbstractContextManager[None]:
        return nullcontext()


def model() -> Model:
    spec = replace(TINY_SPEC, frames=FRAMES)
    return Model(spec, seeded(HiddenHead, grid=(FRAMES, 16, 16), classes=3).eval(), ("a", "b", "c"), "random")


def clip(number: int) -> Tensor:
    return torch.rand(3, FRAMES, 16, 16, generator=torch.Generator().manual_seed(number))


@pytest.fixture(scope="module")
def ours() -> list[list[dict[str, Any]]]:
    chosen = model()
    options = ScoreOptions(
        methods=METHODS, measures=("drop", "insertion-deletion"), controls=False, layer="relu", batch_size=8
    )
    scorer = ClipScorer(chosen, resolve(chosen, options)[0], None)
    samples = (Sample(Entry(n, str(n), str(n)), clip(n), 0.0, None) for n in range(CLIPS))
    return [scorer.score((sample,)) for sample in samples]


@pytest.mark.parametrize("method", METHODS)
def test_torchcam_gets_the_same_numbers(method: str, ours: list[list[dict[str, Any]]]) -> None:
    metrics = pytest.importorskip("torchcam.metrics")
    extractor, softmax = OurMaps(model(), method), partial(torch.softmax, dim=-1)
    confidence = metrics.ClassificationMetric(extractor, softmax)
    curves = metrics.DeletionInsertionMetric(extractor, softmax, steps=10)
    for number in range(CLIPS):
        extractor.clip = clip(number).unsqueeze(0)
        confidence.update(extractor.clip)
        curves.update(extractor.clip)
    rows = [clip_rows[METHODS.index(method)] for clip_rows in ours]
    mean = {name: sum(row[name] for row in rows) / CLIPS for name in ("drop", "increase", "insertion", "deletion")}
    assert confidence.summary() == pytest.approx(
        {"avg_drop": mean["drop"], "conf_increase": mean["increase"]}, abs=1e-6
    )
    tolerance = 1e-6 if method == "gradcam+" else 1e-3  # the others' maps have ties, which torchcam breaks by index
    assert curves.summary()["insertion_auc"] == pytest.approx(mean["insertion"], abs=tolerance)
    assert curves.summary()["deletion_auc"] == pytest.approx(mean["deletion"], abs=tolerance)
