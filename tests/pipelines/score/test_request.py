from __future__ import annotations

import pytest

from tests.helpers.nets import bright_image_model, hidden_model
from vidcam.pipelines.score.options import DEFAULT_METHODS, ScoreOptions
from vidcam.pipelines.score.request import ScoreRequest, resolve


def resolved(options: ScoreOptions, stated: int | None = None) -> ScoreRequest:
    return resolve(hidden_model(), options, stated)[0]


def test_names_are_resolved_and_defaults_filled_in() -> None:
    request = resolved(ScoreOptions(methods=("Grad-CAM", "gcam++")))
    assert request.methods == ("gradcam", "gradcam++")
    assert request.row_names == ("gradcam", "gradcam++", "random", "centre", "frame-difference", "uniform")
    assert request.layers == ("relu",)
    assert request.measures == ("drop", "relative", "retention")
    plain = resolved(ScoreOptions(controls=False, layer=["relu", "conv"]))
    assert plain.row_names == DEFAULT_METHODS
    assert plain.layers == ("relu", "conv")
    assert resolved(ScoreOptions(layer="conv")).layers == ("conv",)


def test_a_network_of_one_frame_has_no_frame_difference() -> None:
    request, _ = resolve(bright_image_model(), ScoreOptions())
    assert request.controls == ("random", "centre", "uniform")


def test_the_thetas_that_are_needed() -> None:
    assert resolved(ScoreOptions()).thetas == (0.25, 0.5, 0.75)
    assert resolved(ScoreOptions(measures="drop")).thetas == ()
    assert len(resolved(ScoreOptions(measures="all")).thetas) == 13


@pytest.mark.parametrize(("given", "stated", "batch_size"), [(None, None, 4), (None, 7, 7), (2, 7, 2)])
def test_the_batch_size_is_that_of_the_option_the_former_run_or_the_device(
    given: int | None, stated: int | None, batch_size: int
) -> None:
    assert resolved(ScoreOptions(batch_size=given), stated).batch_size == batch_size
