"""Many versions of one clip through the model: batched, never together with another clip's, halved if memory runs out.

A version is made when its batch is, so memory holds one batch. The composition of the batches depends on nothing but
the clip and the batch size: the same clip gives the same bytes, whatever was scored before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from vidcam.cam.outputs import predicted, require_finite
from vidcam.explanation import Activation
from vidcam.metrics.probability import log_probability
from vidcam.models.model import Model

Key = tuple[str, ...]
Version = tuple[Key, Callable[[], Tensor]]
"""What it is called, and what makes it: (3, T, H, W)."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class MaskedForwards:
    """Runs versions of clips.

    Attributes:
        batch_size: versions at once; smaller than at first once memory has run out.
        forwards: versions that were run so far.
    """

    def __init__(self, model: Model, batch_size: int) -> None:
        self._model = model
        self.batch_size = batch_size
        self.forwards = 0

    def run(self, versions: Iterable[Version], target: int, activation: Activation) -> Mapping[Key, float]:
        """Log probability of class `target` for each version.

        Raises:
            NonFiniteError: NaN or infinity in the logits.
            RuntimeError: torch's own; out of memory only if a single clip does not fit.
        """
        found: dict[Key, float] = {}
        left = iter(versions)
        while chunk := list(islice(left, self.batch_size)):
            batch = torch.stack([make() for _, make in chunk])
            logs = self._log_probabilities(batch, target, activation)
            found.update(zip((key for key, _ in chunk), logs, strict=True))
        return found

    def _log_probabilities(self, batch: Tensor, target: int, activation: Activation) -> list[float]:
        """Of one batch, in pieces of the batch size, which may shrink on the way."""
        logs: list[float] = []
        while len(logs) < len(batch):
            piece = batch[len(logs) : len(logs) + self.batch_size]
            try:
                scores = predicted(self._model.module, piece)
            except RuntimeError as exc:
                if not is_out_of_memory(exc) or len(piece) == 1:
                    raise
                self.batch_size = max(1, self.batch_size // 2)
                continue
            require_finite(scores, "the logits of a masked clip")
            self.forwards += len(piece)
            logs += log_probability(scores, np.full(len(piece), target), activation).tolist()
        return logs


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory, on any device."""
    text = str(error).casefold()
    return isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _OUT_OF_MEMORY)
