"""Small random checkpoints of Hugging Face, saved to a folder: config, processor, tokenizer and safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.gallery.hugging_face import SMALL, TEXT, transformers
from vidcam.models.model import Model
from vidcam.models.registry import load_model

LABELS = {index: f"class {index} of the folder" for index in range(5)}
TEXTS = ("a person shoots an arrow", "a dog runs", "an empty room")
NAMED = {"id2label": LABELS, "label2id": {label: index for index, label in LABELS.items()}}
MIT = {"mit_hidden_size": 24, "mit_intermediate_size": 48, "mit_num_hidden_layers": 1, "mit_num_attention_heads": 2}


@dataclass(frozen=True, slots=True)
class Kind:
    """One architecture.

    Attributes:
        network: makes a small network.
        processor: makes its processor, with sizes unlike the default ones.
        order: order of the tokens of a whole clip; empty: the layer sees single frames.
        class_tokens: tokens without a place, in the layer's output.
        has_texts: whether its classes are texts.
    """

    network: Callable[[], Any]
    processor: Callable[[], Any]
    order: str
    class_tokens: int
    has_texts: bool = False


def _videomae() -> Any:
    config = transformers().VideoMAEConfig(**SMALL, **NAMED, image_size=64, num_frames=8)
    return transformers().VideoMAEForVideoClassification(config)


def _timesformer(attention_type: str = "divided_space_time") -> Any:
    sizes = {"image_size": 64, "num_frames": 6, "attention_type": attention_type}
    config = transformers().TimesformerConfig(**SMALL, **NAMED, **sizes)
    return transformers().TimesformerForVideoClassification(config)


def _vivit() -> Any:
    config = transformers().VivitConfig(**SMALL, **NAMED, image_size=64, num_frames=8)
    return transformers().VivitForVideoClassification(config)


def _vjepa2() -> Any:
    sizes = {"frames_per_clip": 8, "crop_size": 64, "num_pooler_layers": 1, "mlp_ratio": 2.0}
    predictor = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = transformers().VJEPA2Config(**SMALL, **NAMED, **sizes, **predictor)
    return transformers().VJEPA2ForVideoClassification(config)


def _videoprism() -> Any:
    small = {key: value for key, value in SMALL.items() if key != "num_hidden_layers"}
    sizes = {"image_size": 72, "num_frames": 4, "num_spatial_layers": 2, "num_temporal_layers": 1}
    config = transformers().VideoPrismVisionConfig(**small, **NAMED, **sizes)
    return transformers().VideoPrismForVideoClassification(config)


def _xclip() -> Any:
    vision = {**SMALL, **MIT, "num_frames": 4, "patch_size": 16, "image_size": 64}
    config = transformers().XCLIPConfig(
        text_config={**TEXT, "vocab_size": 300, "max_position_embeddings": 40},
        vision_config=vision,
        projection_dim=24,
        prompt_layers=1,
        prompt_num_attention_heads=2,
    )
    return transformers().XCLIPModel(config)


def _clip() -> Any:
    config = transformers().CLIPConfig(
        text_config={**TEXT, "vocab_size": 300, "max_position_embeddings": 40},
        vision_config={**SMALL, "patch_size": 16, "image_size": 64},
        projection_dim=24,
    )
    return transformers().CLIPModel(config)


def _processor(name: str, edge: int, crop: int, **options: Any) -> Callable[[], Any]:
    sizes = {"size": {"shortest_edge": edge}, "crop_size": {"height": crop, "width": crop}}
    return lambda: getattr(transformers(), name)(**sizes, **options)


_RANDOM_COLOURS = {"image_mean": [0.4, 0.5, 0.45], "image_std": [0.2, 0.25, 0.3]}

KINDS: Mapping[str, Kind] = {
    "videomae": Kind(_videomae, _processor("VideoMAEImageProcessor", 64, 64, **_RANDOM_COLOURS), "thw", 0),
    "videomae-video-processor": Kind(_videomae, _processor("VideoMAEVideoProcessor", 72, 64), "thw", 0),
    "timesformer": Kind(_timesformer, _processor("VideoMAEImageProcessor", 70, 64, **_RANDOM_COLOURS), "", 1),
    "timesformer-joint": Kind(
        lambda: _timesformer("joint_space_time"), _processor("TimesformerVideoProcessor", 70, 64), "hwt", 1
    ),
    "timesformer-space": Kind(lambda: _timesformer("space_only"), _processor("VideoMAEImageProcessor", 64, 64), "", 1),
    "vivit": Kind(_vivit, _processor("VivitImageProcessor", 73, 64), "thw", 1),
    "vivit-video-processor": Kind(_vivit, _processor("VivitVideoProcessor", 73, 64), "thw", 1),
    "vjepa2": Kind(_vjepa2, lambda: transformers().VJEPA2VideoProcessor(crop_size=64), "thw", 0),
    "videoprism": Kind(
        _videoprism,
        lambda: transformers().LlavaOnevisionVideoProcessor(size={"height": 72, "width": 72}, do_normalize=False),
        "",
        0,
    ),
    "xclip": Kind(_xclip, _processor("VideoMAEImageProcessor", 64, 64), "", 1, has_texts=True),
    "clip": Kind(_clip, _processor("CLIPImageProcessor", 64, 64), "", 1, has_texts=True),
}


def save_checkpoint(kind: str, folder: Path) -> Any:
    """Save a small network of a kind with random weights, its processor and, if it has texts, a tokenizer.

    Returns:
        The network, in evaluation mode.
    """
    state = torch.get_rng_state()
    torch.manual_seed(1)
    network = KINDS[kind].network().eval()
    torch.set_rng_state(state)
    network.save_pretrained(folder)
    KINDS[kind].processor().save_pretrained(folder)
    if KINDS[kind].has_texts:
        _save_tokenizer(folder)
    return network


def _save_tokenizer(folder: Path) -> None:
    """Save a tokenizer of single letters, as CLIP's without merges. Its end token is that of the config."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 40}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


def needs_transformers(test: Any) -> Any:
    """Mark a test as one of the gallery."""
    return pytest.mark.gallery(pytest.mark.filterwarnings("default")(test))  # the package's own warnings


def load(folder: Path, kind: str, **options: Any) -> Model:
    """Load a checkpoint by name."""
    texts = TEXTS if KINDS[kind].has_texts else None
    return load_model(f"hf:{folder}", device="cpu", labels=texts, **options)


def noise(count: int, height: int, width: int) -> Any:
    """Frames (count, height, width, 3) uint8."""
    return np.random.default_rng(7).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
