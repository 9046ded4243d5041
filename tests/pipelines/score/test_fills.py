"""The measure `fills`: what is kept at half area with every fill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.score_results import DONE, scores
from tests.pipelines.score.test_clip import METHODS, rows, sample
from vidcam.fill import SCORE_FILLS, ScoreFill
from vidcam.metrics.infill import infill
from vidcam.metrics.retention import keep_top
from vidcam.pipelines.score.options import ScoreOptions
from vidcam.pipelines.score.perturbations import MaskedClip
from vidcam.pipelines.score.report import report
from vidcam.pipelines.score.summarise import summarise
from vidcam.pipelines.score.summary import FillAgreement
from vidcam.preprocess import scale_pixels, to_pixels
from vidcam.spec import Scaling


@pytest.mark.parametrize("fill", SCORE_FILLS)
def test_each_fill_has_the_retention_of_a_run_with_it(fill: ScoreFill) -> None:
    every = rows(ScoreOptions(methods=METHODS, measures="fills"), sample())
    alone = rows(ScoreOptions(methods=METHODS, measures="retention", fill=fill), sample())
    kept = [row[f"kept_{fill}"] for row in every]
    assert kept == pytest.approx([row["retention_0.5"] for row in alone], rel=1e-6)
    assert len(set(kept)) > 1


def test_the_infill_is_made_in_pixels_from_what_is_visible() -> None:
    """Scaling and the order of the channels do not change what is imputed."""
    scaling = Scaling(mean=(90.0, 97.0, 101.0), std=(1.0, 2.0, 4.0), channels="bgr")
    pixels = 255 * torch.rand(1, 3, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    clip, ranks = scale_pixels(pixels, scaling), torch.randperm(4 * 6 * 6).view(4, 6, 6)
    out = torch.empty(3, 4, 6, 6)
    MaskedClip(clip, scaling, "infill").keep(keep_top, ranks, 0.5, out)
    visible = keep_top(ranks, 0.5)
    assert torch.equal(out[:, visible], clip[0][:, visible])
    expected = torch.where(visible, pixels[0], infill(pixels[0], visible))
    torch.testing.assert_close(to_pixels(out[None], scaling)[0], expected, rtol=0, atol=0.1)


def test_the_agreement_of_fills_is_kendalls_tau_of_the_methods() -> None:
    table = scores()
    kept = {
        "black": [[0.9, 0.7], [0.5, 0.3], [0.0, 0.0]],
        "blur": [[0.2, 0.2], [0.5, 0.3], [1.0, 1.0]],
        **{fill: [[0.8, 0.8], [0.6, 0.6], [0.7, 0.7]] for fill in ("mean", "frame-mean", "infill")},
    }
    columns = {f"kept_{fill}": np.array(values) for fill, values in kept.items()}
    values = table._values | columns
    table = replace(table, columns=(*table.columns, *columns), _values=values)
    summary = summarise(table, DONE)
    assert FillAgreement("black", "blur", -1.0) in summary.fills
    assert FillAgreement("black", "infill", 1.0) in summary.fills
    assert len(summary.fills) == 10
    assert summary.methods["gradcam"].kept_by_fill["black"].value == pytest.approx(80.0)
    text = report(summary, {})
    assert "lowest for black and blur: -1.00" in text
    assert summarise(scores(), DONE).fills == ()
