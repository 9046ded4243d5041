"""The recipe of docs/captions.md for captioners of Hugging Face: small random BLIP, GIT and ViT-GPT2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.gallery.checkpoints import needs_transformers
from tests.gallery.hugging_face import SMALL, transformers

PICTURE = {**SMALL, "image_size": 32, "patch_size": 8}
WORDS = {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2}
IDS = torch.tensor([[1, 5, 6, 7, 2], [1, 8, 6, 9, 2]])
PATCHES = 17
"""Tokens of a picture of 4 × 4 patches and a class token."""


def blip() -> tuple[nn.Module, str]:
    text = {**SMALL, **WORDS, "max_position_embeddings": 16, "pad_token_id": 0, "encoder_hidden_size": 24}
    config = transformers().BlipConfig(text_config=text, vision_config=PICTURE)
    return transformers().BlipForConditionalGeneration(
        config
    ), "vision_model.post_layernorm#0"  # the second run is of the class token alone


def git(frames: int | None = None) -> tuple[nn.Module, str]:
    others = {"max_position_embeddings": 64, "pad_token_id": 0, "num_image_with_embedding": frames}
    config = transformers().GitConfig(**SMALL, **WORDS, **others, vision_config=PICTURE)
    return transformers().GitForCausalLM(config), "git.image_encoder.vision_model.post_layernorm"


def vit_gpt2() -> tuple[nn.Module, str]:
    sizes = {"n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 2, "initializer_range": 0.2}
    decoder = transformers().GPT2Config(**WORDS, **sizes, add_cross_attention=True, is_decoder=True)
    both = transformers().VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers().ViTConfig(**PICTURE), decoder
    )
    return transformers().VisionEncoderDecoderModel(both), "encoder.layernorm"


CAPTIONERS: Mapping[str, tuple[Callable[[], tuple[nn.Module, str]], str, int]] = {
    "BLIP": (blip, "input_ids", 0),
    "GIT": (git, "input_ids", PATCHES),
    "ViT-GPT2": (vit_gpt2, "decoder_input_ids", 0),
}
"""Name → maker, argument of the caption, row of the output that scores its second token."""


@pytest.fixture(params=CAPTIONERS)
def captioner(request: pytest.FixtureRequest) -> tuple[nn.Module, str, str, int]:
    """A network, its layer, the argument of the caption, and `start`."""
    make, argument, start = CAPTIONERS[request.param]
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        network, layer = make()
    return network.eval().double(), layer, argument, start


def pictures() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)).double()


@needs_transformers
def test_words_are_scored_given_the_words_before(captioner: tuple[nn.Module, str, str, int]) -> None:
    network, _, argument, start = captioner
    with torch.no_grad():
        output = network(pixel_values=pictures(), **{argument: IDS})
        for place in range(4):  # of the tokens after the first: the network sees no later one
            before = network(pixel_values=pictures(), **{argument: IDS[:, : place + 1]}).logits[:, -1]
            expected = before.log_softmax(1).gather(1, IDS[:, place + 1, None])[:, 0]
            score = vidcam.targets.log_prob(IDS[:, 1:], words=place, start=start)(output)
            assert torch.allclose(score, expected, atol=1e-9)


@needs_transformers
def test_the_map_of_a_word_is_that_of_its_gradient(captioner: tuple[nn.Module, str, str, int]) -> None:
    network, layer, argument, start = captioner
    seen: list[Tensor] = []
    handle = network.get_submodule(layer.partition("#")[0]).register_forward_hook(
        lambda _m, _i, output: seen.append(output)
    )
    logits: Any = network(pixel_values=pictures(), **{argument: IDS}).logits
    handle.remove()
    score = logits[:, start + 2].log_softmax(1)[[0, 1], IDS[:, 3]]
    (gradient,) = torch.autograd.grad(score.sum(), seen[0])
    expected = (gradient * seen[0].detach()).sum(dim=2)[:, 1:].relu().reshape(2, 4, 4)
    explanation = vidcam.explain(
        network,
        {"pixel_values": pictures(), argument: IDS},
        target=vidcam.targets.log_prob(IDS[:, 1:], words=2, start=start),
        methods="hirescam",
        layer=layer,
        reshape=vidcam.tokens((4, 4), class_tokens=1),
    )
    assert np.allclose(explanation.volumes["hirescam"].reshape(2, 4, 4), expected.numpy(), atol=1e-9)
    assert expected.max() > 0


@needs_transformers
def test_a_video_is_explained_frame_by_frame() -> None:
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        network, layer = git(frames=3)
    clip = torch.randn(1, 3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    explanation = vidcam.explain(
        network.eval(),
        {"pixel_values": clip, "input_ids": IDS[:1]},
        target=vidcam.targets.log_prob(IDS[:1, 1:], start=3 * PATCHES),
        methods="hirescam",
        layer=layer,
        axes="NTCHW",
        reshape=vidcam.tokens((4, 4), class_tokens=1),
    )
    assert explanation.volumes["hirescam"].shape == (1, 3, 4, 4)
