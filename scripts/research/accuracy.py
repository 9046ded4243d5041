"""Accuracy of a model on made clips, also with shuffled frames and with one frame repeated."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scripts.markdown import table
from scripts.research.pool import Pool, to_input
from vidcam.motion import LABELS

_BATCH = 50


def report(network: nn.Module, pool: Pool, *, seed: int = 0, labels: Sequence[str] = LABELS) -> str:
    """Report the accuracies, in the true order, shuffled and of still frames, and the confusion matrix."""
    generator = torch.Generator().manual_seed(seed)
    logits = scores(network, pool.frames)
    lines = [f"  true order: {_accuracies(logits, pool.labels)}"]
    for count in sorted(set(pool.actors.tolist())):
        subset = pool.actors == count
        lines.append(f"    {count} actors ({int(subset.sum())}): {_accuracies(logits[subset], pool.labels[subset])}")
    for change in (shuffled, still):
        changed = scores(network, change(pool.frames, generator))
        lines.append(f"  {change.__name__}: {_accuracies(changed, pool.labels)}")
    return "\n".join([*lines, *_confusion(logits.argmax(dim=1), pool.labels, labels)])


@torch.inference_mode()
def scores(network: nn.Module, frames: Tensor) -> Tensor:
    """Logits (n, K) of clips (n, T, H, W, 3) uint8."""
    return torch.cat([network(to_input(part)) for part in torch.split(frames, _BATCH)])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of clips whose class has the highest logit."""
    return float((logits.argmax(dim=1) == labels).double().mean())


def accuracy_within_pairs(logits: Tensor, labels: Tensor) -> float:
    """Share of clips whose class has a higher logit than its reverse; chance is one half."""
    own, reverse = (logits.gather(1, index[:, None])[:, 0] for index in (labels, labels ^ 1))
    return float(((own > reverse).double() + 0.5 * (own == reverse).double()).mean())


def shuffled(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Shuffle the frames of each clip."""
    return torch.stack([clip[torch.randperm(len(clip), generator=generator)] for clip in frames])


def still(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Repeat one random frame of each clip."""
    indices = torch.randint(frames.shape[1], (len(frames),), generator=generator)
    stills = frames[torch.arange(len(frames)), indices][:, None]
    return stills.expand(-1, frames.shape[1], -1, -1, -1)


def _accuracies(logits: Tensor, labels: Tensor) -> str:
    within = accuracy_within_pairs(logits, labels)
    return f"{100 * accuracy(logits, labels):.1f} % correct, {100 * within:.1f} % within pairs"


def _confusion(predicted: Tensor, labels: Tensor, names: Sequence[str]) -> list[str]:
    counts = torch.zeros(len(names), len(names), dtype=torch.int64)
    counts.index_put_((labels, predicted), torch.ones_like(labels), accumulate=True)
    rows = [(name, *map(str, row)) for name, row in zip(names, counts.tolist(), strict=True)]
    return table(("class / predicted, in the order of the rows", *map(str, range(len(names)))), rows)
