"""Videos explained with a transformer: relevance is the default, and needs neither a layer nor a layout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from tests.cam.test_token_layer import LARGE, LARGE_GRID, Plain
from tests.helpers.branches import ChannelsLast
from tests.helpers.nets import TINY_SPEC, random_clip
from tests.helpers.token_networks import CELLS, CLASSES, TokenNetwork, clip_of
from tests.helpers.videos import write_video
from vidcam import TokenGrid, explain, verdict
from vidcam.errors import LayerError
from vidcam.models.families.image import image_network
from vidcam.models.model import Model
from vidcam.pipelines.forward import is_transformer_model, plan_maps, prepare
from vidcam.pipelines.score.run import score_clips

SIZE = (CELLS[0], 2 * CELLS[1], 2 * CELLS[2])


def model_of() -> Model:
    spec = replace(TINY_SPEC, frames=SIZE[0], resize=SIZE[1:], crop_size=SIZE[1:], classes=CLASSES, layer=None)
    torch.manual_seed(0)
    return Model(spec, TokenNetwork().eval(), tuple("abcd"[:CLASSES]), "by hand")


def test_the_plan_of_a_transformer_is_relevance_without_a_layer() -> None:
    model = model_of()
    assert is_transformer_model(model)
    plan = plan_maps(model, None, ())
    assert (plan.methods, plan.layers) == (("token-lrp",), ())
    assert plan_maps(model, ("attnlrp", "rollout"), ()).layers == ()
    assert prepare(model, plan.layers, methods=plan.methods).baseline.layers == ("patches",)


def plain_model(**options: Any) -> Model:
    torch.manual_seed(0)
    spec = replace(TINY_SPEC, frames=LARGE[2], resize=LARGE[3:], crop_size=LARGE[3:], classes=5, layer=None)
    return Model(spec, Plain(**options).eval(), tuple("abcde"), "by hand")


@pytest.mark.parametrize("order", ["thw", "hwt"])
def test_class_activation_maps_are_planned_where_explain_makes_them(order: str) -> None:
    model = plain_model(class_tokens=1, order=order)
    plan = plan_maps(model, ("gradcam", "token-lrp"), ())
    found = explain(model.module, random_clip(*LARGE), methods="gradcam", target=1)
    assert (plan.layers, plan.note) == ((found.layer,), found.notes[0])
    assert plan.model.spec.layouts == (TokenGrid(LARGE_GRID, 1, order),)
    assert prepare(plan.model, plan.layers, methods=plan.methods).baseline.layers == plan.layers


def test_a_transformer_that_no_name_tells_has_relevance_by_default() -> None:
    plan = plan_maps(plain_model(), None, ())
    assert (plan.methods, plan.layers) == (("token-lrp",), ())


@pytest.mark.parametrize("layout", ["frames", None])
def test_a_transformer_of_images_has_relevance_by_default(layout: Any) -> None:
    """A clip of one frame is an image."""
    torch.manual_seed(0)
    net = VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5).eval()
    nn.init.normal_(net.get_parameter("heads.head.weight"))
    images = torch.rand(2, 3, 32, 32)
    expected = explain(net, images, target=1).signed["token-lrp"]
    spec = replace(TINY_SPEC, frames=1, resize=32, crop_size=(32, 32), classes=5, layer=None, layout=layout)
    model = Model(spec, image_network(net), tuple("abcde"), "by hand")
    assert plan_maps(model, None, ()).methods == ("token-lrp",)
    np.testing.assert_array_equal(explain(model, images, target=1).signed["token-lrp"][:, 0], expected)
    if layout is None:
        plan = plan_maps(model, ("gradcam",), ())
        assert (plan.layers, plan.model.spec.layouts) == (
            ("encoder.layers.encoder_layer_1.ln_1",),
            (TokenGrid((1, 4, 4)),),
        )


def test_where_no_layout_is_known_the_spec_has_to_state_it() -> None:
    with pytest.raises(LayerError, match=r"until 'stack.2'; give its spec a layer and a layout, or use token-lrp$"):
        plan_maps(plain_model(class_tokens=2), ("gradcam",), ())
    without_attention = replace(plain_model(), module=ChannelsLast().eval())
    with pytest.raises(LayerError, match=r"until 'blocks'; give its spec a layer and a layout$"):
        plan_maps(without_attention, None, ())


def test_a_named_layer_keeps_its_maps() -> None:
    plan = plan_maps(model_of(), ("gradcam", "token-lrp"), ("patches",))
    assert (plan.methods, plan.layers) == (("gradcam", "token-lrp"), ("patches",))


def test_the_verdict_judges_relevance_as_any_cheap_map() -> None:
    torch.manual_seed(0)
    net, clip = TokenNetwork().eval(), clip_of().float()
    found = explain(net, clip, methods=["token-lrp", "attention-cam"])
    verdicts = verdict(net, clip, found)
    assert list(verdicts) == ["token-lrp", "attention-cam"]
    assert verdicts["token-lrp"].checks["mirror"] is not None
    assert verdicts["attention-cam"].checks["mirror"] is None  # dear: not made again


@pytest.mark.parametrize("methods", [None, "token-lrp", ["gradcam", "token-lrp"]])
def test_explains_and_saves(methods: Any, tmp_path: Any) -> None:
    import vidcam

    layer = "patches" if methods is not None and "gradcam" in methods else None
    torch.manual_seed(0)
    found = explain(TokenNetwork().eval(), clip_of().float(), methods=methods, layer=layer)
    found.save(tmp_path / "found.npz")
    again: Any = vidcam.load(tmp_path / "found.npz")
    for name in found.volumes:
        np.testing.assert_array_equal(again.volumes[name], found.volumes[name])
    np.testing.assert_array_equal(again.signed["token-lrp"], found.signed["token-lrp"])


def test_scores_state_the_layer_that_relevance_found(tmp_path: Any) -> None:
    (tmp_path / "clips").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
    write_video(tmp_path / "clips" / "video.mp4", noise)
    scored = score_clips(tmp_path / "clips", tmp_path / "out", model=model_of(), methods="token-lrp", controls=False)
    assert scored.summary.settings.layer == ("patches",)
    assert list(scored.summary.methods) == ["token-lrp"]
