"""The shipped image networks: their accuracy on unseen images, and their heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import vidcam
from vidcam.models.families.tiny import SHAPE_SPECS, build
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.models.specs import TINY_VGG_SPEC
from vidcam.pipelines.study.shape_set import one_class
from vidcam.preprocess import scale_pixels

UNSEEN_SEED = 700_000


@pytest.fixture(params=[spec.name for spec in SHAPE_SPECS])
def model(request: pytest.FixtureRequest) -> Model:
    return load_model(str(request.param), device="cpu")


def unseen(model: Model, count: int) -> tuple[Tensor, Tensor]:
    """Clips of one frame (n, 3, 1, H, W) as the model takes them, and their classes (n,)."""
    images = [request.image() for request in one_class(count, first_seed=UNSEEN_SEED)]
    pixels = torch.from_numpy(np.stack([image.pixels for image in images])).permute(0, 3, 1, 2)[:, :, None]
    return scale_pixels(pixels.float(), model.spec.scaling), torch.tensor([image.labels[0] for image in images])


def test_accuracy_on_unseen_images(model: Model) -> None:
    images, labels = unseen(model, 96)
    with torch.inference_mode():
        assert (model.module(images).argmax(dim=1) == labels).double().mean() >= 0.85
        assert torch.equal(model.module(images[:, :, 0]), model.module(images))


@pytest.mark.parametrize(("name", "is_same"), [("tiny_gap", True), ("tiny_vgg", False)])
def test_the_gradient_is_the_same_at_every_position_only_behind_pooling(name: str, *, is_same: bool) -> None:
    images, labels = unseen(load_model("tiny_gap", device="cpu"), 8)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        network = build(name).eval()
    maps = vidcam.explain(
        network, images[:, :, 0], methods=("gradcam", "hirescam"), target=labels.tolist(), layer="relu4"
    )
    assert maps.volumes["gradcam"].shape[-2:] == (12, 12)
    assert np.allclose(maps.volumes["gradcam"], maps.volumes["hirescam"], rtol=1e-3, atol=1e-6) == is_same
    assert TINY_VGG_SPEC.parameters == sum(part.numel() for part in build("tiny_vgg").parameters())
