"""Train tiny_vit and tiny_vit_cls on the grating set, on a CPU, and measure them on held-out clips.

The first steps show clips in which all four gratings drift alike: a transformer learns slowly from a small target. The
same arguments give the same bytes on the same machine, as in `train_tiny`. Depth 2 and seed 0 are those of the
shipped models; others are trained for the truth table (docs/evidence/transformers.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from scripts.research.accuracy import report
from scripts.research.pool import HELD_OUT_SEED, TRAINING_SEED, Pool, augmented, to_input
from scripts.research.train_tiny import weights
from vidcam.models.families.tiny import GRATING_SPECS
from vidcam.models.families.tiny_vit import DEPTH, TinyViT
from vidcam.models.specs import TINY_VIT_CLS_SPEC
from vidcam.motion.clip import SIZE
from vidcam.motion.gratings import GRATING_LABELS, PATCHES, make_grating_clip
from vidcam.motion.paths import FRAMES

NAMES = tuple(spec.name for spec in GRATING_SPECS)

EASY_SEED = 2 * TRAINING_SEED
STEPS, EASY_STEPS = 500, 150
MAX_LEARNING_RATE = 2e-3

CHANGES = ((1, 0, 3, 2), (1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1))
"""The class after a reversal, after both mirrorings and after a transposition, by the class before."""


@dataclass(frozen=True, slots=True)
class Training:
    """How one network is trained.

    Attributes:
        name: the model.
        depth: number of blocks.
        seed: seed of the weights, the choice of clips and their augmentation.
        steps: number of batches.
        easy_steps: how many of them, the first, are of clips with four targets.
        batch: clips in a batch.
    """

    name: str
    depth: int = DEPTH
    seed: int = 0
    steps: int = STEPS
    easy_steps: int = EASY_STEPS
    batch: int = 16

    @property
    def stem(self) -> str:
        """File name without an ending: the model's name for the shipped one, else 'tiny_vit_depth3_seed1'."""
        is_shipped = (self.depth, self.seed) == (DEPTH, 0)
        return self.name if is_shipped else f"{self.name}_depth{self.depth}_seed{self.seed}"


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--model", "names", multiple=True, type=click.Choice(NAMES), default=NAMES, help="Default: both.")
@click.option("--depth", "depths", multiple=True, type=int, default=(DEPTH,), show_default=True, help="Blocks.")
@click.option("--seed", "seeds", multiple=True, type=int, default=(0,), show_default=True)
@click.option("--steps", type=int, default=STEPS, show_default=True, help="Batches of 16 clips.")
@click.option("--clips", type=int, default=3000, show_default=True, help="Clips to train on.")
@click.option("--held-out", type=int, default=800, show_default=True, help="Clips to measure on.")
def train_transformers(
    *,
    out: Path,
    names: Sequence[str],
    depths: Sequence[int],
    seeds: Sequence[int],
    steps: int,
    clips: int,
    held_out: int,
) -> None:
    """Train each model at each depth from each seed, write safetensors files into OUT, and print accuracies."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    started = time.monotonic()
    pools = make_pool(EASY_SEED, clips // 5, targets=PATCHES), make_pool(TRAINING_SEED, clips)
    held_out_pool = make_pool(HELD_OUT_SEED, held_out)
    click.echo(f"{sum(map(len, pools))} + {held_out} clips in {time.monotonic() - started:.0f} s", err=True)
    out.mkdir(parents=True, exist_ok=True)
    for training in [
        Training(name, depth, seed, steps, min(EASY_STEPS, steps))
        for depth in depths
        for seed in seeds
        for name in names
    ]:
        started = time.process_time()
        network = trained(training, *pools)
        seconds = time.process_time() - started
        path = out / f"{training.stem}.safetensors"
        path.write_bytes(weights(network))
        click.echo(f"{path.stem}: {steps} steps in {seconds:.0f} s of CPU time, {path.stat().st_size:,} bytes")
        click.echo(report(network, held_out_pool, labels=GRATING_LABELS))


def make_pool(first_seed: int, count: int, *, targets: int = 1) -> Pool:
    """Make clips of consecutive seeds whose targets are all of one class."""
    frames, labels = np.empty((count, FRAMES, *SIZE, 3), np.uint8), np.arange(count) % len(GRATING_LABELS)
    for number, label in enumerate(labels.tolist()):
        frames[number] = make_grating_clip(first_seed + number, [label] * targets).frames
    return Pool(torch.from_numpy(frames), torch.from_numpy(labels), torch.full((count,), targets))


def trained(training: Training, easy_pool: Pool, pool: Pool) -> TinyViT:
    """Train a network and return it in evaluation mode."""
    torch.manual_seed(training.seed)
    network = TinyViT(depth=training.depth, has_class_token=training.name == TINY_VIT_CLS_SPEC.name)
    optimiser = torch.optim.AdamW(network.parameters(), lr=MAX_LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, MAX_LEARNING_RATE, total_steps=training.steps, pct_start=0.1
    )
    smoothed = 0.0
    for step, (clips, labels) in enumerate(batches(training, easy_pool, pool), start=1):
        loss = functional.cross_entropy(network(clips), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        smoothed += (loss.item() - smoothed) * max(0.02, 1 / step)
        if step % 50 == 0:
            click.echo(f"{training.stem}: step {step} of {training.steps}, loss {smoothed:.3f}", err=True)
    return network.eval()


def batches(training: Training, easy_pool: Pool, pool: Pool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield model inputs (batch, 3, T, H, W) and classes (batch,) for each step."""
    generator = torch.Generator().manual_seed(training.seed)
    for step in range(training.steps):
        source = easy_pool if step < training.easy_steps else pool
        indices = torch.randint(len(source), (training.batch,), generator=generator)
        clips = [augmented(source.frames[index], int(source.labels[index]), generator, CHANGES) for index in indices]
        yield to_input(torch.stack([frames for frames, _ in clips])), torch.tensor([label for _, label in clips])


if __name__ == "__main__":
    train_transformers()
