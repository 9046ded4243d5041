"""Transformers of Hugging Face, small: as many tokens as the published ones, few channels and blocks."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

import vidcam
from tests.gallery.family import Family, Names, Patch, logits, nothing, run

SMALL = {
    "hidden_size": 24,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": 0.2,
}
TEXT = {**SMALL, "vocab_size": 50, "max_position_embeddings": 8, "eos_token_id": 1, "bos_token_id": 0}


def transformers() -> Any:
    """The package; imported when a test needs it."""
    return importlib.import_module("transformers")


def random_clip(*shape: int) -> Tensor:
    """Normal noise."""
    return torch.randn(shape)


def videomae(patch: Patch) -> Names:
    config = transformers().VideoMAEConfig(**SMALL, num_labels=5)
    _give(patch, "VideoMAEForVideoClassification", config)
    return {"clip": random_clip(1, 16, 3, 224, 224)}


def timesformer(patch: Patch) -> Names:
    config = transformers().TimesformerConfig(**SMALL, num_frames=8, num_labels=5)
    _give(patch, "TimesformerForVideoClassification", config)
    return {"clip": random_clip(1, 8, 3, 224, 224)}


def vivit(patch: Patch) -> Names:
    deeper = {**SMALL, "num_hidden_layers": 4}  # so that not nearly all of it is embeddings of positions
    config = transformers().VivitConfig(**deeper, num_frames=32, num_labels=5)
    _give(patch, "VivitForVideoClassification", config)
    return {"clip": random_clip(1, 32, 3, 224, 224)}


def vjepa2(patch: Patch) -> Names:
    sizes = {"frames_per_clip": 16, "crop_size": 256, "num_pooler_layers": 1, "mlp_ratio": 2.0, "num_labels": 5}
    predictor = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = transformers().VJEPA2Config(**SMALL, **sizes, **predictor)
    _give(patch, "VJEPA2ForVideoClassification", config)
    return {"clip": random_clip(1, 16, 3, 256, 256)}


def xclip(patch: Patch) -> Names:
    sizes = {
        "mit_hidden_size": 24,
        "mit_intermediate_size": 48,
        "mit_num_hidden_layers": 1,
        "mit_num_attention_heads": 2,
    }
    vision = {**SMALL, **sizes, "num_frames": 8, "patch_size": 32}
    config = transformers().XCLIPConfig(
        text_config=TEXT, vision_config=vision, projection_dim=24, prompt_layers=1, prompt_num_attention_heads=2
    )
    _give(patch, "XCLIPModel", config)
    return {"clip": random_clip(1, 8, 3, 224, 224), "text": _two_descriptions()}


class FrameAverage(nn.Module):
    """CLIP on each frame: the mean of the embeddings, times those of the descriptions."""

    def __init__(self, clip: nn.Module, descriptions: Any) -> None:
        super().__init__()
        self.clip = clip
        with torch.no_grad():
            self.register_buffer("text", _embedding(clip.get_text_features(**descriptions)))  # type: ignore[operator]

    def forward(self, clip: Tensor) -> Tensor:
        """(N, T, 3, H, W) → (N, K)."""
        features = _embedding(self.clip.get_image_features(clip.flatten(0, 1)))  # type: ignore[operator]
        mean = features.unflatten(0, (len(clip), -1)).mean(dim=1)
        scores: Tensor = 100 * nn.functional.normalize(mean) @ nn.functional.normalize(self.get_buffer("text")).T
        return scores


def clip_average(patch: Patch) -> Names:
    del patch
    config = transformers().CLIPConfig(text_config=TEXT, vision_config={**SMALL, "patch_size": 32}, projection_dim=24)
    network = FrameAverage(transformers().CLIPModel(config).eval(), _two_descriptions())
    return {"clip": random_clip(1, 8, 3, 224, 224), "network": network}


def _give(patch: Patch, name: str, config: Any) -> None:
    """Let `from_pretrained` of a class return a random network."""
    kind = getattr(transformers(), name)
    patch.setattr(kind, "from_pretrained", lambda _name: kind(config).eval())


def _two_descriptions() -> Any:
    """What a tokenizer returns for two descriptions of three words."""
    ids = torch.tensor([[0, 5, 6, 7, 1], [0, 8, 9, 10, 1]])
    return transformers().BatchEncoding({"input_ids": ids, "attention_mask": torch.ones_like(ids)})


def _embedding(features: Any) -> Any:
    return features if isinstance(features, Tensor) else features.pooler_output


def time_first(tokens: Tensor, grid: tuple[int, int, int], others: int) -> Tensor:
    """(N, others + t·h·w, D) → (N, D, t, h, w)."""
    t, h, w = grid
    columns = [tokens[:, others + i * w : others + (i + 1) * w] for i in range(t * h)]  # rows of w tokens
    return torch.stack([torch.stack(columns[i * h : (i + 1) * h], 1) for i in range(t)], 1).permute(0, 4, 1, 2, 3)


def folded_frames(tokens: Tensor) -> Tensor:
    """(8, 1 + h·h, D) of one clip's frames → (1, D, 8, h, h)."""
    side = round((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].reshape(1, 8, side, side, -1).permute(0, 4, 1, 2, 3)


def xclip_cams(network: nn.Module) -> Names:
    """The block before the last, after which all tokens are read, and its layout."""
    blocks: Any = network.get_submodule("vision_model.encoder.layers")
    return {"layer": blocks[-2], "reshape": vidcam.in_turn([vidcam.tokens((7, 7)), vidcam.frames(8)])}


FAMILIES = tuple(
    Family(title, "hugging-face", prepare, "transformers", layout, scores, "NTCHW", is_probed=True, cams=cams)
    for title, prepare, layout, scores, cams in (
        ("VideoMAE", videomae, lambda tokens: time_first(tokens, (8, 14, 14), 0), logits, nothing),
        ("TimeSformer", timesformer, folded_frames, logits, nothing),
        ("ViViT", vivit, lambda tokens: time_first(tokens, (16, 14, 14), 1), logits, nothing),
        ("V-JEPA 2", vjepa2, lambda tokens: time_first(tokens, (8, 16, 16), 0), logits, nothing),
        ("X-CLIP", xclip, folded_frames, run, xclip_cams),
        ("CLIP, averaged over frames", clip_average, folded_frames, logits, nothing),
    )
)
