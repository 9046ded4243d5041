"""What each architecture allows: which methods, the probe, the cost, and whether relevance is right.

The networks are small and random. Relevance is compared in float64 with the same rules by another way, see
`transformer_rules`.
"""

from __future__ import annotations

import copy
import importlib
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

import vidcam
from scripts import markdown
from scripts.research.transformer_rules import relevance_by_hand
from vidcam.errors import VidcamError
from vidcam.models.families.image import FrameAverage
from vidcam.models.families.text_classes import TextClasses, VideoTextClasses
from vidcam.results.explanation import RELEVANCE

WIDTH = {"hidden_size": 192, "intermediate_size": 768, "num_attention_heads": 3}
SIZE = {**WIDTH, "num_hidden_layers": 4}
POOLER = {"pred_hidden_size": 96, "pred_num_attention_heads": 3, "pred_num_hidden_layers": 1}
TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}
MIT = {"mit_hidden_size": 96, "mit_intermediate_size": 192, "mit_num_attention_heads": 3, "mit_num_hidden_layers": 1}
TOKENS = {"input_ids": torch.tensor([[0, 5, 6, 7, 1], [0, 8, 9, 10, 1], [0, 11, 12, 13, 1]])}
FRAMES, PIXELS = 8, 112


def classifier(name: str, **options: Any) -> nn.Module:
    """Build a classifier of videos of transformers."""
    package = importlib.import_module("transformers")
    config = getattr(package, f"{name}Config")(**{**SIZE, "num_labels": 8, **options})
    network: nn.Module = getattr(package, f"{name.removesuffix('Vision')}ForVideoClassification")(config)
    return network


def texts(name: str, wrapper: type[TextClasses], **options: Any) -> nn.Module:
    """Build a network that compares videos with three texts."""
    package = importlib.import_module("transformers")
    config = getattr(package, f"{name}Config")(
        text_config={**TEXT, "max_position_embeddings": 8, "eos_token_id": 1, "bos_token_id": 0},
        vision_config={**SIZE, "patch_size": 16, "image_size": PIXELS, **options},
        projection_dim=96,
    )
    return wrapper(getattr(package, f"{name}Model")(config), TOKENS)


def timm_vit() -> nn.Module:
    """Build a ViT of timm, as a mean over frames."""
    build = importlib.import_module("timm").create_model
    sizes = {"embed_dim": 192, "num_heads": 3, "depth": 4, "img_size": PIXELS, "num_classes": 8}
    return FrameAverage(build("vit_base_patch16_224", pretrained=False, **sizes))


def mvit() -> nn.Module:
    """Build an MViT of pytorchvideo."""
    hub = importlib.import_module("pytorchvideo.models.hub")
    doubled = [[1, 2.0], [2, 2.0]]
    sizes = {"spatial_size": PIXELS, "temporal_size": FRAMES, "depth": 4, "patch_embed_dim": 48, "head_num_classes": 8}
    strides = {"pool_q_stride_size": [[1, 1, 2, 2], [2, 1, 2, 2]], "pool_kv_stride_adaptive": [1, 4, 4]}
    network: nn.Module = hub.mvit_base_16x4(
        pretrained=False, embed_dim_mul=doubled, atten_head_mul=doubled, **sizes, **strides
    )
    return network


BUILDERS: Mapping[str, Callable[[], nn.Module]] = {
    "VideoMAE": partial(classifier, "VideoMAE", num_frames=FRAMES, image_size=PIXELS),
    "TimeSformer": partial(classifier, "Timesformer", num_frames=FRAMES, image_size=PIXELS, patch_size=16),
    "ViViT": partial(classifier, "Vivit", num_frames=FRAMES, image_size=PIXELS),
    "V-JEPA 2": partial(classifier, "VJEPA2", frames_per_clip=FRAMES, crop_size=PIXELS, mlp_ratio=4.0, **POOLER),
    "VideoPrism": partial(
        classifier,
        "VideoPrismVision",
        num_frames=FRAMES,
        image_size=PIXELS,
        tubelet_size=[1, 16, 16],
        num_spatial_layers=3,
        num_temporal_layers=1,
    ),
    "X-CLIP": partial(texts, "XCLIP", VideoTextClasses, num_frames=FRAMES, **MIT),
    "CLIP, mean over frames": partial(texts, "CLIP", TextClasses),
    "ViT of timm, mean over frames": timm_vit,
    "MViT of pytorchvideo": mvit,
}


@click.command()
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Of each time; medians are shown.")
def transformer_kinds(*, runs: int) -> None:
    """Print one row for each architecture, in Markdown."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    header = ("architecture", "against the rules", *RELEVANCE, "layer of CAMs by itself, after the probe")
    click.echo("\n".join(markdown.table(header, [row(name, runs) for name in BUILDERS])))


def row(name: str, runs: int) -> tuple[str, ...]:
    """Measure one architecture: differences relative to the largest relevance, costs in forward passes."""
    network, clip = network_of(name), clip_for(name)
    costs = [cost(network, clip, method, runs) for method in RELEVANCE]
    return name, f"{difference(network, clip):.0e}", *costs, cam_layer(network, clip)


def clip_for(name: str) -> Tensor:
    """Two clips of noise, in the order of the axes that an architecture takes."""
    clip = torch.rand(2, FRAMES, 3, PIXELS, PIXELS)
    return clip.transpose(1, 2) if name == "MViT of pytorchvideo" else clip


def difference(network: nn.Module, clip: Tensor) -> float:
    """Largest difference of token-lrp from the rules by another way, relative to the largest relevance, in float64."""
    double, wide = copy.deepcopy(network).double(), clip.double()
    found = vidcam.explain(double, wide, methods="token-lrp", target=1)
    expected = relevance_by_hand(double, wide, found.layer)
    return float(np.abs(found.signed["token-lrp"] - expected).max() / np.abs(expected).max())


def network_of(name: str) -> nn.Module:
    """Build a random network, whose weights are large enough that its attention differs from the mean."""
    torch.manual_seed(0)
    network = BUILDERS[name]().eval()
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.1)
    if isinstance(network, TextClasses):
        network.encode_texts()
    return network


def cost(network: nn.Module, clip: Tensor, method: str, runs: int) -> str:
    """Processor time of a map in forward passes; the first sentence of the refusal where there is none."""
    try:
        vidcam.explain(network, clip, methods=method, target=1)
    except VidcamError as exc:
        return "refused: all tokens at once" if "all tokens at once" in str(exc) else f"refused: {exc}"

    def forward() -> object:
        with torch.no_grad():
            return network(clip)

    def explained() -> object:
        return vidcam.explain(network, clip, methods=method, target=1)

    return f"{statistics.median(seconds(explained) / seconds(forward) for _ in range(runs)):.1f}"


def seconds(function: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    before = time.process_time()
    function()
    return time.process_time() - before


def cam_layer(network: nn.Module, clip: Tensor) -> str:
    """Return the layer that gradcam takes by itself, after the probe; or the refusal."""
    try:
        return f"`{vidcam.explain(network, clip, methods='gradcam', target=1).layer}`"
    except VidcamError as exc:
        return f"refused: {str(exc).partition(';')[0]}"


if __name__ == "__main__":
    transformer_kinds()
