"""Train tiny_captioner on the caption set, on a CPU, and measure it on held-out clips.

The same arguments give the same bytes on the same machine, as in `train_tiny`. Progress goes to standard error, figures
to standard output.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from scripts.markdown import table
from scripts.research.caption_pool import CaptionPool, augmented, make_pool, tokens_of
from scripts.research.pool import HELD_OUT_SEED, TRAINING_SEED, to_input
from scripts.research.train_tiny import weights
from vidcam.models.families.tiny import WEIGHTS_FOLDER
from vidcam.models.families.tiny_captioner import END, STATE, TinyCaptioner
from vidcam.motion.captions import COLOURS, MOTIONS, PLACES, SHAPES, VOCABULARY

MAX_LEARNING_RATE = 3e-3
BATCH = 24
CHECKPOINT_STEPS = 50
WORDS = 16
"""Words of a caption, with the end."""

_PART = 50

KINDS = {"colour": tuple(COLOURS), "shape": tuple(SHAPES), "motion": MOTIONS, "place": PLACES}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=WEIGHTS_FOLDER, help="Folder; default: vidcam's own.")
@click.option("--steps", type=int, default=800, show_default=True, help="Batches of 24 clips.")
@click.option("--clips", type=int, default=1200, show_default=True, help="Clips to train on.")
@click.option("--held-out", type=int, default=300, show_default=True, help="Clips to measure on.")
@click.option("--seed", type=int, default=0, show_default=True)
def train_captioner(*, out: Path, steps: int, clips: int, held_out: int, seed: int) -> None:
    """Train, write a safetensors file, and print accuracies."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    started = time.process_time()
    pool, held_out_pool = make_pool(TRAINING_SEED, clips), make_pool(HELD_OUT_SEED, held_out)
    click.echo(f"{clips} + {held_out} clips in {time.process_time() - started:.0f} s of CPU time", err=True)
    started = time.process_time()
    out.mkdir(parents=True, exist_ok=True)
    path, checkpoint = out / "tiny_captioner.safetensors", out / f"tiny_captioner_seed{seed}_steps{steps}.checkpoint"
    network = trained(pool, steps, seed, checkpoint)
    path.write_bytes(weights(network))
    checkpoint.unlink(missing_ok=True)
    seconds = time.process_time() - started
    click.echo(f"tiny_captioner: {steps} steps in {seconds:.0f} s of CPU time, {path.stat().st_size:,} bytes")
    click.echo(report(network, held_out_pool))


class Learner(nn.Module):
    """The captioner, and for training alone a linear layer that says all words at once, from the clip's vector.

    The layer tells the convolutions what to look for, long before the LSTM has learned to remember it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.captioner = TinyCaptioner()
        self.at_once = nn.Linear(STATE, WORDS * len(VOCABULARY))

    def forward(self, clips: Tensor, tokens: Tensor) -> Tensor:
        """Compute the loss of a batch: clips (N, 3, T, H, W) and captions (N, L)."""
        encoded = self.captioner.encode(clips)
        at_once = self.at_once(encoded).unflatten(1, (WORDS, -1))
        both = (self.captioner.scores(encoded, tokens), at_once)
        return torch.stack([functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()) for logits in both]).sum()


def trained(pool: CaptionPool, steps: int, seed: int, checkpoint: Path) -> TinyCaptioner:
    """Train a network by the likelihood of each word given those before, and return it in evaluation mode.

    Every CHECKPOINT_STEPS the state is saved; a run that was interrupted goes on from there.
    """
    torch.manual_seed(seed)
    learner = Learner().to(memory_format=torch.channels_last_3d).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(learner.parameters(), lr=MAX_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, MAX_LEARNING_RATE, total_steps=steps, pct_start=0.15)
    generator, first = torch.Generator().manual_seed(seed), 1
    parts: dict[str, Any] = {"learner": learner, "optimiser": optimiser, "schedule": schedule}
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        first = saved["step"] + 1
        generator.set_state(saved["generator"])
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    for step in range(first, steps + 1):
        loss: Tensor = learner(*batch(pool, generator))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(learner.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if step % CHECKPOINT_STEPS == 0:
            click.echo(f"step {step} of {steps}, loss {loss.item():.3f}", err=True)
            states = {name: part.state_dict() for name, part in parts.items()}
            torch.save({"step": step, "generator": generator.get_state(), **states}, checkpoint)
    return learner.captioner.eval()


def batch(pool: CaptionPool, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw model inputs (N, 3, T, H, W) and captions (N, L)."""
    indices = torch.randint(len(pool), (BATCH,), generator=generator)
    clips = [augmented(pool.frames[index], pool.things[index], generator) for index in indices]
    frames = to_input(torch.stack([frames for frames, _ in clips]))
    return frames.contiguous(memory_format=torch.channels_last_3d), tokens_of([things for _, things in clips])


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
