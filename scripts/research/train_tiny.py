"""Trains tiny_r3d and tiny_c3d on the motion set, on a CPU, and measures them on clips they have not seen.

The same arguments on the same machine give the same file, byte for byte: one stream of draws, a fixed number of
threads, deterministic kernels. Progress goes to standard error, figures to standard output.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional

from scripts.research.accuracy import ORDERS, report
from scripts.research.norms import fold, with_norms
from scripts.research.pool import HELD_OUT_SEED, TRAINING_SEED, Pool, make_pool, to_input, varied
from vidcam.models.families.tiny import TINY_SPECS, WEIGHTS_FOLDER, build

NetworkT = TypeVar("NetworkT", bound=nn.Module)

NAMES = tuple(spec.name for spec in TINY_SPECS)
STEPS = {"tiny_r3d": 700, "tiny_c3d": 1400}

FASTEST = 4e-3
"""The largest step of the schedule."""


@dataclass(frozen=True, slots=True)
class Training:
    """How one model is trained.

    Attributes:
        name: of the model.
        steps: batches.
        batch: clips in one.
        seed: of the weights, of the choice of clips and of how they are varied.
        order: in which the frames are shown, of `accuracy.ORDERS`.
    """

    name: str
    steps: int
    batch: int
    seed: int
    order: str = "true"


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
@click.option("--order", type=click.Choice(list(ORDERS)), default="true", show_default=True, help="Of the frames.")
@click.option("--threads", type=int, default=1, show_default=True, help="Another number gives other last digits.")
def train_tiny(
    *,
    names: tuple[str, ...],
    out: Path,
    steps: int | None,
    batch: int,
    clips: int,
    held_out: int,
    seed: int,
    order: str,
    threads: int,
) -> None:
    """Train, write safetensors files, and print how good they are."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    begun = time.monotonic()
    pool, unseen = make_pool(TRAINING_SEED, clips), make_pool(HELD_OUT_SEED, held_out)
    click.echo(f"{clips} + {held_out} clips in {time.monotonic() - begun:.0f} s", err=True)
    out.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        begun = time.monotonic()
        training = Training(name, steps or STEPS[name], batch, seed, order)
        network = trained(training, pool)
        seconds = time.monotonic() - begun
        path = out / f"{name}.safetensors"
        path.write_bytes(weights(network))
        click.echo(f"{name}: {training.steps} steps in {seconds:.0f} s, {path.stat().st_size:,} bytes")
        click.echo(report(network, unseen))


def trained(training: Training, pool: Pool) -> nn.Module:
    """A network in evaluation mode."""
    torch.manual_seed(training.seed)
    network = build(training.name)
    if not isinstance(network, nn.Sequential):
        return fitted(network, training, pool).eval()
    fold(fitted(with_norms(network), training, pool), network)
    return network.eval()


def fitted(network: NetworkT, training: Training, pool: Pool) -> NetworkT:
    """The network itself, after all steps."""
    network = network.to(memory_format=torch.channels_last_3d).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=FASTEST, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, FASTEST, total_steps=training.steps, pct_start=0.15)
    smoothed = 0.0
    for step, (clips, labels) in enumerate(batches(training, pool), start=1):
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
    """Model input (batch, 3, T, H, W) and classes (batch,), as often as there are steps."""
    generator = torch.Generator().manual_seed(training.seed)
    for _ in range(training.steps):
        chosen = torch.randint(len(pool), (training.batch,), generator=generator)
        clips = [varied(pool.frames[index], int(pool.labels[index]), generator) for index in chosen]
        frames = ORDERS[training.order](torch.stack([frames for frames, _ in clips]), generator)
        yield (
            to_input(frames).contiguous(memory_format=torch.channels_last_3d),
            torch.tensor([label for _, label in clips]),
        )


def weights(network: nn.Module) -> bytes:
    """The network's state as a safetensors file; without the counters of batches, which play no part afterwards."""
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    return save({key: value.contiguous() for key, value in state.items()}, {"licence": "MIT"})


if __name__ == "__main__":
    train_tiny()
