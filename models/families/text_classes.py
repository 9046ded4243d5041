"""Networks that compare videos with texts: the classes are the user's texts. X-CLIP, and CLIP as a mean over frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class TextClasses(nn.Module):
    """A network of videos and texts as a classifier of clips (N, T, 3, H, W): logits are its scaled similarities.

    The features of the texts are computed once, by `encode_texts`, after the weights are loaded.

    Attributes:
        network: transformers' `CLIPModel` or `XCLIPModel`.
        texts: (K, D) features of the texts.
    """

    texts: Tensor

    def __init__(self, network: Any, tokens: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.tokens = dict(tokens)
        self.register_buffer("texts", torch.empty(0), persistent=False)

    @torch.no_grad()
    def encode_texts(self) -> None:
        """Compute the features of the texts."""
        features = self.network.eval().get_text_features(**self.tokens)
        self.texts = getattr(features, "pooler_output", features).detach()

    def forward(self, clip: Tensor) -> Tensor:
        """Return logits (N, K): the mean over the frames of CLIP's."""
        frames = self.network.get_image_features(clip.flatten(0, 1))
        features = normalize(getattr(frames, "pooler_output", frames), dim=-1)
        logits: Tensor = self.network.logit_scale.exp() * features @ normalize(self.texts, dim=-1).T
        return logits.reshape(*clip.shape[:2], -1).mean(dim=1)


class VideoTextClasses(TextClasses):
    """X-CLIP: the frames exchange messages, and the texts are adapted to the video."""

    def forward(self, clip: Tensor) -> Tensor:
        """Return X-CLIP's logits (N, K)."""
        network = self.network
        frames = network.vision_model(pixel_values=clip.flatten(0, 1))
        classes = network.visual_projection(frames.pooler_output).unflatten(0, clip.shape[:2])
        video = normalize(network.mit(classes).pooler_output, dim=-1)
        patches = network.prompts_visual_layernorm(frames.last_hidden_state[:, 1:]) @ network.prompts_visual_projection
        texts = self.texts.expand(len(clip), -1, -1)
        prompts = network.prompts_generator(texts, patches.unflatten(0, clip.shape[:2]).mean(dim=1))
        similarity = normalize(texts + prompts, dim=-1) @ video.unsqueeze(2)  # (N, K, 1)
        logits: Tensor = network.logit_scale.exp() * similarity.squeeze(2)
        return logits
