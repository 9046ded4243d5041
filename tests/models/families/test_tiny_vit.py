"""The shipped transformers: their accuracy on unseen clips, their attention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import vidcam
from tests.helpers.motion import UNSEEN_SEED, tiny_input
from vidcam.errors import ShapeError
from vidcam.models.families.tiny import GRATING_SPECS, build
from vidcam.models.families.tiny_vit import HEADS, WIDTH, TinyAttention
from vidcam.models.model import Model
from vidcam.models.registry import load_model
from vidcam.motion import make_grating_clip


@pytest.fixture(params=[spec.name for spec in GRATING_SPECS])
def model(request: pytest.FixtureRequest) -> Model:
    return load_model(str(request.param), device="cpu")


def test_accuracy_on_unseen_clips_comes_from_the_order_of_their_frames(model: Model) -> None:
    labels = torch.arange(40) % 4
    clips = [make_grating_clip(UNSEEN_SEED + number, [label]) for number, label in enumerate(labels.tolist())]
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    with torch.inference_mode():
        predictions = [model.module(tiny_input(part)).argmax(dim=1) for part in (frames, frames.flip(1))]
        still = model.module(tiny_input(frames[:, 7:8].expand_as(frames))).argmax(dim=1)
    assert (predictions[0] == labels).double().mean() >= 0.95
    assert (predictions[1] == labels ^ 1).double().mean() >= 0.95
    assert (still == labels).double().mean() < 0.5


def test_maps_lie_on_the_grid_of_the_tokens(model: Model) -> None:
    clip = make_grating_clip(UNSEEN_SEED, [0])
    result = vidcam.explain(model, tiny_input(torch.from_numpy(clip.frames[None])), methods="hirescam", target=0)
    assert result.volumes["hirescam"].shape == (1, 4, 8, 8)
    assert result.layer == "blocks.1.norm1"


def test_attention_equals_that_of_torch() -> None:
    own, reference = TinyAttention(), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    reference.load_state_dict(
        {
            "in_proj_weight": own.qkv.weight,
            "in_proj_bias": own.qkv.bias,
            "out_proj.weight": own.proj.weight,
            "out_proj.bias": own.proj.bias,
        }
    )
    tokens = torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(own(tokens), reference(tokens, tokens, tokens)[0], rtol=1e-4, atol=1e-5)


def test_one_size() -> None:
    with pytest.raises(ShapeError, match=r"TinyViT takes clips \(N, 3, 16, 64, 64\), got \(1, 3, 16, 32, 64\)"):
        build("tiny_vit")(torch.zeros(1, 3, 16, 32, 64))
