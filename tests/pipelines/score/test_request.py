from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.nets import TINY_SPEC, bright_image_model, hidden_model
from tests.helpers.token_networks import CELLS, CLASSES, TokenNetwork
from tests.pipelines.test_transformers import plain_model
from vidcam.models.model import Model
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


def transformer(layer: str | None) -> Model:
    size = (CELLS[0], 2 * CELLS[1], 2 * CELLS[2])
    spec = replace(TINY_SPEC, frames=size[0], resize=size[1:], crop_size=size[1:], classes=CLASSES, layer=layer)
    return Model(spec, TokenNetwork().eval(), tuple("abcd"), "by hand")


def test_relevance_is_a_default_of_a_transformer() -> None:
    cams = ("gradcam", "gradcam+", "neutral-gradcam")
    assert resolve(transformer("patches"), ScoreOptions())[0].methods == ("token-lrp", *cams)
    assert resolve(transformer(None), ScoreOptions())[0].methods == ("token-lrp", *cams)
    assert resolve(plain_model(class_tokens=2), ScoreOptions())[0].methods == ("token-lrp",)  # no layer is known
    assert resolve(transformer(None), ScoreOptions(layer="patches"))[0].methods == DEFAULT_METHODS
    assert resolve(transformer(None), ScoreOptions(methods="attnlrp"))[0].methods == ("attnlrp",)


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
