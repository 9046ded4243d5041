"""Train tiny_r3d and tiny_c3d on the motion set, on a CPU, and measure them on held-out clips.

The same arguments give the same bytes on the same machine: one random stream, a fixed number of threads and
deterministic kernels. Progress goes to standard error, figures to standard output.

tiny_c3d has no batch normalisation, and is slow to train without. It is trained with normalisations, which are then
folded into its weights. The folded network gives the same logits up to rounding.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval, fuse_linear_bn_eval

from scripts.research.accuracy import report
from scripts.research.pool import HELD_OUT_SEED, TRAINING_SEED, Pool, augmented, make_pool, to_input
from vidcam.models.families.tiny import TINY_SPECS, WEIGHTS_FOLDER, build

NetworkT = TypeVar("NetworkT", bound=nn.Module)

NAMES = tuple(spec.name for spec in TINY_SPECS)
STEPS = {"tiny_r3d": 700, "tiny_c3d": 1400}

MAX_LEARNING_RATE = 4e-3


@dataclass(frozen=True, slots=True)
class Training:
    """How one model is trained.

    Attributes:
        name: the model.
        steps: number of batches.
        batch: clips in a batch.
        seed: seed of the weights, the choice of clips and their augmentation.
        learning_rate: the highest of the schedule.
    """

    name: str
    steps: int
    batch: int
    seed: int
    learning_rate: float = MAX_LEARNING_RATE


@click.command()
@click.option("--model", "names", multiple=True, type=click.Choice(NAMES), help="Default: both.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=WEIGHTS_FOLDER, help="Default: where vidcam reads them."
)
@click.option("--steps", type=int, help="Batches; default: 700 for tiny_r3d, 1400 for tiny_c3d.")
@click.option("--batch", type=int, default=32, show_default=True, help="Clips in a batch.")
@click.option("--clips", type=int, default=3000, show_default=True, help="Clips to train on.")
@click.option("--held-out", type=int, default=800, show_default=True, help="Clips to measure on.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=int, default=1, show_default=True, help="Other numbers change the last digits.")
def train_tiny(
    *,
    names: tuple[str, ...],
    out: Path,
    steps: int | None,
    batch: int,
    clips: int,
    held_out: int,
    seed: int,
    threads: int,
) -> None:
    """Train, write safetensors files, and print accuracies."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    started = time.monotonic()
    pool, held_out_pool = make_pool(TRAINING_SEED, clips), make_pool(HELD_OUT_SEED, held_out)
    click.echo(f"{clips} + {held_out} clips in {time.monotonic() - started:.0f} s", err=True)
    out.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        started = time.monotonic()
        training = Training(name, steps or STEPS[name], batch, seed)
        network = trained(training, pool)
        seconds = time.monotonic() - started
        path = out / f"{name}.safetensors"
        path.write_bytes(weights(network))
        click.echo(f"{name}: {training.steps} steps in {seconds:.0f} s, {path.stat().st_size:,} bytes")
        click.echo(report(network, held_out_pool))


def trained(training: Training, pool: Pool) -> nn.Module:
    """Train a network and return it in evaluation mode."""
    torch.manual_seed(training.seed)
    network = build(training.name)
    if not isinstance(network, nn.Sequential):
        return fitted(network, training, batches(training, pool)).eval()
    fold(fitted(with_norms(network), training, batches(training, pool)), network)
    return network.eval()


def with_norms(network: nn.Sequential) -> nn.Sequential:
    """Add a batch normalisation after each convolution and each linear layer but the last."""
    layers: dict[str, nn.Module] = {}
    children = list(network.named_children())
    for name, layer in children:
        layers[name] = layer
        if isinstance(layer, nn.Conv3d):
            layers[f"{name}_norm"] = nn.BatchNorm3d(layer.out_channels)
        elif isinstance(layer, nn.Linear) and name != children[-1][0]:
            layers[f"{name}_norm"] = nn.BatchNorm1d(layer.out_features)
    return nn.Sequential(OrderedDict(layers))


def fold(normed: nn.Sequential, network: nn.Sequential) -> None:
    """Fold the normalisations into the weights of the network that the layers came from."""
    normed.eval()
    layers = dict(normed.named_children())
    for name, layer in network.named_children():
        norm = layers.get(f"{name}_norm")
        if isinstance(layer, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
            layer.load_state_dict(fuse_conv_bn_eval(layer, norm).state_dict())
        elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            layer.load_state_dict(fuse_linear_bn_eval(layer, norm).state_dict())


def fitted(network: NetworkT, training: Training, data: Iterable[tuple[Tensor, Tensor]]) -> NetworkT:
    """Train the network in place on batches of model inputs and classes."""
    network = network.to(memory_format=torch.channels_last_3d).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=training.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, training.learning_rate, total_steps=training.steps, pct_start=0.15
    )
    smoothed = 0.0
    for step, (clips, labels) in enumerate(data, start=1):
        loss = functional.cross_entropy(network(clips), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        smoothed += (loss.item() - smoothed) * max(0.02, 1 / step)
        if step % 50 == 0:
            click.echo(f"{training.name}: step {step} of {training.steps}, loss {smoothed:.3f}", err=True)
    return network


def batches(training: Training, pool: Pool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield model inputs (batch, 3, T, H, W) and classes (batch,) for each step."""
    generator = torch.Generator().manual_seed(training.seed)
    for _ in range(training.steps):
        indices = torch.randint(len(pool), (training.batch,), generator=generator)
        clips = [augmented(pool.frames[index], int(pool.labels[index]), generator) for index in indices]
        frames = torch.stack([frames for frames, _ in clips])
        yield (
            to_input(frames).contiguous(memory_format=torch.channels_last_3d),
            torch.tensor([label for _, label in clips]),
        )


def weights(network: nn.Module) -> bytes:
    """Serialise the network as safetensors, without the batch counters, which only training uses."""
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    return save({key: value.contiguous() for key, value in state.items()}, {"licence": "MIT"})


if __name__ == "__main__":
    train_tiny()
