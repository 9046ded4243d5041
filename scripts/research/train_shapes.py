"""Train tiny_vgg and tiny_gap on the shape set, on a CPU, and measure them on held-out images.

Both learn on images whose one to four shapes are of one class. The same arguments give the same bytes on the same
machine, as in `train_tiny`. As there, normalisations are used in training and then folded into the weights.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

from scripts.research.pool import HELD_OUT_SEED, TRAINING_SEED
from scripts.research.train_tiny import weights
from vidcam.models.families.tiny import WEIGHTS_FOLDER, build
from vidcam.models.specs import TINY_GAP_SPEC, TINY_VGG_SPEC
from vidcam.motion.shapes import MAX_SHAPES, SHAPE_LABELS, SIZE, make_shape_image
from vidcam.preprocess import scale_pixels

NAMES = (TINY_GAP_SPEC.name, TINY_VGG_SPEC.name)

BATCH = 32
MAX_LEARNING_RATE = 4e-3

Pool = tuple[Tensor, Tensor]
"""Images (n, 3, H, W) uint8 and their classes (n,)."""


@click.command()
@click.option("--model", "names", multiple=True, type=click.Choice(NAMES), default=NAMES[:1], help="Default: tiny_gap.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=WEIGHTS_FOLDER, help="Default: where vidcam reads them."
)
@click.option("--steps", type=int, default=1400, show_default=True, help="Batches of 32 images.")
@click.option("--images", type=int, default=4000, show_default=True, help="Images to train on.")
@click.option("--held-out", type=int, default=800, show_default=True, help="Images to measure on.")
def train_shapes(*, names: tuple[str, ...], out: Path, steps: int, images: int, held_out: int) -> None:
    """Train, write safetensors files, and print accuracies."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    pool, held_out_pool = make_pool(TRAINING_SEED, images), make_pool(HELD_OUT_SEED, held_out)
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        started = time.process_time()
        network = trained(name, pool, steps)
        seconds = time.process_time() - started
        path = out / f"{name}.safetensors"
        path.write_bytes(weights(network))
        click.echo(f"{name}: {steps} steps in {seconds:.0f} s of CPU time, {path.stat().st_size:,} bytes")
        click.echo(report(network, held_out_pool))


def make_pool(first_seed: int, count: int) -> Pool:
    """Make images of consecutive seeds; every number of shapes and every class is as frequent as the others."""
    frames, labels = np.empty((count, *SIZE, 3), np.uint8), np.arange(count) // MAX_SHAPES % len(SHAPE_LABELS)
    for number, label in enumerate(labels.tolist()):
        frames[number] = make_shape_image(first_seed + number, [label] * (1 + number % MAX_SHAPES)).pixels
    return torch.from_numpy(frames).permute(0, 3, 1, 2), torch.from_numpy(labels)


def trained(name: str, pool: Pool, steps: int) -> nn.Module:
    """Train a network and return it in evaluation mode."""
    torch.manual_seed(0)
    network = build(name)
    assert isinstance(network, nn.Sequential)
    normed = with_norms(network).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(normed.parameters(), lr=MAX_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, MAX_LEARNING_RATE, total_steps=steps, pct_start=0.15)
    smoothed = 0.0
    for step, (images, labels) in enumerate(batches(pool, steps), start=1):
        loss = functional.cross_entropy(normed(images), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        smoothed += (loss.item() - smoothed) * max(0.02, 1 / step)
        if step % 50 == 0:
            click.echo(f"{name}: step {step} of {steps}, loss {smoothed:.3f}", err=True)
    fold(normed.eval(), network)
    return network.eval()


def batches(pool: Pool, steps: int) -> Iterator[Pool]:
    """Yield model inputs (batch, 3, H, W) and classes (batch,) for each step, augmented alike within a batch."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        indices = torch.randint(len(pool[1]), (BATCH,), generator=generator)
        images, flips = pool[0][indices], torch.rand(4, generator=generator) < 0.5
        for is_flipped, axis in zip(flips[:2], (2, 3), strict=True):
            images = images.flip(axis) if is_flipped else images
        images = images.transpose(2, 3) if flips[2] else images
        images = 255 - images if flips[3] else images
        inputs = to_input(images[:, torch.randperm(3, generator=generator)])
        yield inputs.contiguous(memory_format=torch.channels_last), pool[1][indices]


def to_input(images: Tensor) -> Tensor:
    """Convert images (n, 3, H, W) uint8 to model input (n, 3, H, W) float32."""
    return scale_pixels(images[:, :, None].float(), TINY_VGG_SPEC.scaling)[:, :, 0]


def with_norms(network: nn.Sequential) -> nn.Sequential:
    """Add a batch normalisation after each convolution."""
    layers: dict[str, nn.Module] = {}
    for name, layer in network.named_children():
        layers[name] = layer
        if isinstance(layer, nn.Conv2d):
            layers[f"{name}_norm"] = nn.BatchNorm2d(layer.out_channels)
    return nn.Sequential(OrderedDict(layers))


def fold(normed: nn.Sequential, network: nn.Sequential) -> None:
    """Fold the normalisations into the weights of the network that the layers came from."""
    layers = dict(normed.named_children())
    for name, layer in network.named_children():
        norm = layers.get(f"{name}_norm")
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layer.load_state_dict(fuse_conv_bn_eval(layer, norm).state_dict())


@torch.inference_mode()
def report(network: nn.Module, pool: Pool) -> str:
    """Report the accuracy by number of shapes."""
    logits = torch.cat([network(to_input(part)) for part in torch.split(pool[0], BATCH)])
    is_right = (logits.argmax(dim=1) == pool[1]).double()
    shares = [f"{count + 1}: {100 * is_right[count::MAX_SHAPES].mean():.1f}" for count in range(MAX_SHAPES)]
    return f"  {100 * is_right.mean():.1f} % correct; by number of shapes {', '.join(shares)}"


if __name__ == "__main__":
    train_shapes()
