"""What each architecture of Hugging Face allows: which methods, the probe, the cost, and whether relevance is right.

The networks are small and random. Relevance is compared with the rules by another way: a copy of the network in
float64, whose norms and activations are replaced by modules that do not differentiate their factors, with attention
written out and its softmax detached; then z · ∂S/∂z by autograd.
"""

from __future__ import annotations

import copy
import importlib
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import vidcam
from scripts import markdown
from vidcam.cam.layers import find_layer
from vidcam.errors import VidcamError
from vidcam.results.explanation import RELEVANCE

SIZE = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 4, "num_attention_heads": 3, "num_labels": 8}
POOLER = {"pred_hidden_size": 96, "pred_num_attention_heads": 3, "pred_num_hidden_layers": 1}
KINDS: Mapping[str, Mapping[str, Any]] = {
    "VideoMAE": {"num_frames": 8, "image_size": 112},
    "Timesformer": {"num_frames": 8, "image_size": 112, "patch_size": 16},
    "Vivit": {"num_frames": 8, "image_size": 112},
    "VJEPA2": {"frames_per_clip": 8, "crop_size": 112, "mlp_ratio": 4.0, **POOLER},
}
FRAMES, PIXELS = 8, 112


@click.command()
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Of each time; medians are shown.")
def transformer_kinds(*, runs: int) -> None:
    """Print one row for each architecture, in Markdown."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    header = ("architecture", "against the rules", *RELEVANCE, "layer of CAMs by itself, after the probe")
    click.echo("\n".join(markdown.table(header, [row(name, runs) for name in KINDS])))


def row(name: str, runs: int) -> tuple[str, ...]:
    """Measure one architecture: differences relative to the largest relevance, costs in forward passes."""
    network, clip = network_of(name), torch.rand(2, FRAMES, 3, PIXELS, PIXELS)
    double, wide = copy.deepcopy(network).double(), clip.double()
    found = vidcam.explain(double, wide, methods="token-lrp", target=1)
    expected = relevance_by_hand(double, wide, found.layer)
    error = float(np.abs(found.signed["token-lrp"] - expected).max() / np.abs(expected).max())
    costs = [cost(network, clip, method, runs) for method in RELEVANCE]
    return name, f"{error:.0e}", *costs, cam_layer(network, clip)


def network_of(name: str) -> nn.Module:
    """Build a random network, whose weights are large enough that its attention differs from the mean."""
    package = importlib.import_module("transformers")
    torch.manual_seed(0)
    config = getattr(package, f"{name}Config")(**SIZE, **KINDS[name], initializer_range=0.1)
    network: nn.Module = getattr(package, f"{name}ForVideoClassification")(config)
    return network.eval()


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
        return vidcam.explain(network, clip, methods="gradcam", target=1).layer
    except VidcamError as exc:
        return f"refused: {str(exc).partition(';')[0]}"


class FrozenNorm(nn.Module):
    """A LayerNorm whose standard deviation is a constant."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        centred = x - x.mean(-1, keepdim=True)
        scale = (x.var(-1, keepdim=True, unbiased=False) + self.norm.eps).rsqrt().detach()
        return torch.as_tensor(centred * scale * self.norm.weight + self.norm.bias)


class FrozenGate(nn.Module):
    """An activation f as x · f(x)/x, the factor a constant."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Activate."""
        factor = torch.where(x == 0, 0.5, self.activation(x) / torch.where(x == 0, 1.0, x)).detach()
        return torch.as_tensor(x * factor)


def relevance_by_hand(network: nn.Module, clip: Tensor, layer: str) -> np.ndarray[Any, Any]:
    """Return the signed relevance of class 1 at the layer, (N, t, h, w)."""
    copied: Any = copy.deepcopy(network)
    copied.set_attn_implementation("eager")
    for parent in list(copied.modules()):
        for child_name, child in list(parent.named_children()):
            if isinstance(child, nn.LayerNorm):
                setattr(parent, child_name, FrozenNorm(child))
            elif "GELU" in type(child).__name__:
                setattr(parent, child_name, FrozenGate(child))
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]

    find_layer(copied, layer).register_forward_hook(keep)
    with constant_softmax():
        copied(clip).logits[:, 1].sum().backward()
    (z,) = kept
    assert z.grad is not None
    relevance = (z * z.grad).sum(1)
    values: np.ndarray[Any, Any] = relevance.detach().numpy()
    return values if relevance.ndim == 4 else values.reshape(len(clip), -1, *values.shape[1:])


@contextmanager
def constant_softmax() -> Iterator[None]:
    """Detach each softmax for a while."""
    owners: tuple[Any, ...] = (functional, torch, Tensor)
    originals = [(owner, owner.softmax) for owner in owners]

    def detached(function: Any) -> Any:
        return lambda *args, **kwargs: function(*args, **kwargs).detach()

    for owner, original in originals:
        owner.softmax = detached(original)
    try:
        yield
    finally:
        for owner, original in originals:
            owner.softmax = original


if __name__ == "__main__":
    transformer_kinds()
