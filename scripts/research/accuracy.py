"""How good a model is on clips of the motion set, and what it can do without the order of the frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from scripts.markdown import table
from scripts.research.pool import Pool, to_input
from vidcam.motion import LABELS

_BATCH = 50


def report(network: nn.Module, pool: Pool, *, seed: int = 0) -> str:
    """Accuracy, confusion, and the same with frames shuffled and with one frame held, as lines of text."""
    generator = torch.Generator().manual_seed(seed)
    logits = scores(network, pool.frames)
    lines = [f"  as they are: {_accuracies(logits, pool.labels)}"]
    for count in sorted(set(pool.actors.tolist())):
        chosen = pool.actors == count
        lines.append(f"    {count} acting ({int(chosen.sum())}): {_accuracies(logits[chosen], pool.labels[chosen])}")
    otherwise = {name: scores(network, ORDERS[name](pool.frames, generator)) for name in ("shuffled", "held")}
    lines += (f"  {name}: {_accuracies(others, pool.labels)}" for name, others in otherwise.items())
    return "\n".join([*lines, *_confusion(logits.argmax(dim=1), pool.labels)])


@torch.inference_mode()
def scores(network: nn.Module, frames: Tensor) -> Tensor:
    """Logits (n, K) of clips (n, T, H, W, 3) uint8."""
    return torch.cat([network(to_input(part)) for part in torch.split(frames, _BATCH)])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Share of the clips whose class has the highest logit."""
    return float((logits.argmax(dim=1) == labels).double().mean())


def accuracy_within_pairs(logits: Tensor, labels: Tensor) -> float:
    """Share of the clips whose class has a higher logit than its reverse; one half is chance."""
    own, reverse = (logits.gather(1, index[:, None])[:, 0] for index in (labels, labels ^ 1))
    return float(((own > reverse).double() + 0.5 * (own == reverse).double()).mean())


def shuffled(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Each clip's frames in an order of its own."""
    return torch.stack([clip[torch.randperm(len(clip), generator=generator)] for clip in frames])


def held(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Each clip as one of its frames, shown throughout."""
    chosen = torch.randint(frames.shape[1], (len(frames),), generator=generator)
    stills = frames[torch.arange(len(frames)), chosen][:, None]
    return stills.expand(-1, frames.shape[1], -1, -1, -1)


ORDERS: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = MappingProxyType(
    {"true": lambda frames, _: frames, "shuffled": shuffled, "held": held}
)
"""Ways to show a clip: as it is, its frames in any order, or one frame throughout."""


def _accuracies(logits: Tensor, labels: Tensor) -> str:
    within = accuracy_within_pairs(logits, labels)
    return f"{100 * accuracy(logits, labels):.1f} % of eight, {100 * within:.1f} % within pairs"


def _confusion(said: Tensor, labels: Tensor) -> list[str]:
    counts = torch.zeros(len(LABELS), len(LABELS), dtype=torch.int64)
    counts.index_put_((labels, said), torch.ones_like(labels), accumulate=True)
    rows = [(name, *map(str, row)) for name, row in zip(LABELS, counts.tolist(), strict=True)]
    return table(("class / said, in the order of the rows", *map(str, range(len(LABELS)))), rows)
