"""Train tiny_captioner on the caption set, on a CPU, and measure it on held-out clips.

The same arguments give the same bytes on the same machine, as in `train_tiny`. Progress goes to standard error, figures
to standard output.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from scripts.markdown import table
from scripts.research.caption_pool import CaptionPool, augmented, make_pool, tokens_of
from scripts.research.pool import HELD_OUT_SEED, TRAINING_SEED, to_input
from scripts.research.train_tiny import weights
from vidcam.models.families.tiny import WEIGHTS_FOLDER
from vidcam.models.families.tiny_captioner import END, TinyCaptioner
from vidcam.motion.captions import COLOURS, MOTIONS, PLACES, SHAPES, VOCABULARY

MAX_LEARNING_RATE = 3e-3
BATCH = 24
_PART = 50

KINDS = {"colour": tuple(COLOURS), "shape": tuple(SHAPES), "motion": MOTIONS, "place": PLACES}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=WEIGHTS_FOLDER, help="Folder; default: vidcam's own.")
@click.option("--steps", type=int, default=1200, show_default=True, help="Batches of 24 clips.")
@click.option("--clips", type=int, default=1600, show_default=True, help="Clips to train on.")
@click.option("--held-out", type=int, default=400, show_default=True, help="Clips to measure on.")
@click.option("--seed", type=int, default=0, show_default=True)
def train_captioner(*, out: Path, steps: int, clips: int, held_out: int, seed: int) -> None:
    """Train, write a safetensors file, and print accuracies."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    started = time.process_time()
    pool, held_out_pool = make_pool(TRAINING_SEED, clips), make_pool(HELD_OUT_SEED, held_out)
    click.echo(f"{clips} + {held_out} clips in {time.process_time() - started:.0f} s of CPU time", err=True)
    started = time.process_time()
    network = trained(pool, steps, seed)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tiny_captioner.safetensors"
    path.write_bytes(weights(network))
    seconds = time.process_time() - started
    click.echo(f"tiny_captioner: {steps} steps in {seconds:.0f} s of CPU time, {path.stat().st_size:,} bytes")
    click.echo(report(network, held_out_pool))


def trained(pool: CaptionPool, steps: int, seed: int) -> TinyCaptioner:
    """Train a network by the likelihood of each word given those before, and return it in evaluation mode."""
    torch.manual_seed(seed)
    network = TinyCaptioner().to(memory_format=torch.channels_last_3d).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=MAX_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, MAX_LEARNING_RATE, total_steps=steps, pct_start=0.15)
    smoothed = 0.0
    for step, (clips, tokens) in enumerate(batches(pool, steps, seed), start=1):
        loss = functional.cross_entropy(network(clips, tokens).flatten(0, 1), tokens.flatten())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        smoothed += (loss.item() - smoothed) * max(0.02, 1 / step)
        if step % 50 == 0:
            click.echo(f"step {step} of {steps}, loss {smoothed:.3f}", err=True)
    return network.eval()


def batches(pool: CaptionPool, steps: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield model inputs (N, 3, T, H, W) and captions (N, L) for each step."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        indices = torch.randint(len(pool), (BATCH,), generator=generator)
        clips = [augmented(pool.frames[index], pool.things[index], generator) for index in indices]
        frames = to_input(torch.stack([frames for frames, _ in clips]))
        yield frames.contiguous(memory_format=torch.channels_last_3d), tokens_of([things for _, things in clips])


@torch.inference_mode()
def report(network: TinyCaptioner, pool: CaptionPool) -> str:
    """Report the share of right words given those before, by kind and thing, and of captions said right as a whole."""
    tokens = tokens_of(pool.things)
    said, whole = [], []
    for part, own in zip(torch.split(pool.frames, _PART), torch.split(tokens, _PART), strict=True):
        clips = to_input(part)
        said.append(network(clips, own).argmax(dim=2))
        generated = functional.pad(network.generate(clips), (0, own.shape[1]), value=END)[:, : own.shape[1]]
        whole.append((generated == own).all(dim=1))
    right = torch.cat(said) == tokens
    lines = [
        f"  words: {_percent(right)}, captions: {_percent(torch.cat(whole))} of {len(pool)}",
    ]
    half = (tokens == VOCABULARY.index("and")).int().argmax(dim=1)[0]
    is_first = torch.arange(tokens.shape[1]) < half
    rows = []
    for kind, words in KINDS.items():
        of_kind = torch.isin(tokens, torch.tensor([VOCABULARY.index(word) for word in words]))
        rows.append((kind, *(_percent(right[of_kind & thing]) for thing in (is_first, ~is_first))))
    return "\n".join([*lines, *table(("word", "first thing", "second thing"), rows)])


def _percent(right: Tensor) -> str:
    return f"{100 * right.double().mean():.1f} %"


if __name__ == "__main__":
    train_captioner()
