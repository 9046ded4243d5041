"""All perturbations of one clip through the model: batched, never with another clip's, halved if memory runs out.

A perturbed clip is made when its batch is, in a place that is used again, so memory holds one batch. The composition of
the batches depends on nothing but the clip and the batch size: the same clip gives the same bytes, whatever was scored
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from vidcam.cam.network import LogitTracer, class_scores, require_finite
from vidcam.metrics.faithfulness import log_probability
from vidcam.models.model import Model
from vidcam.results.explanation import Activation

Key = tuple[str, ...]
Perturbation = tuple[Key, Callable[[Tensor], object]]
"""What it is called, and what writes it to a place (3, T, H, W)."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class MaskedForwards:
    """Runs perturbed clips.

    Attributes:
        batch_size: perturbed clips at once; smaller than at first once memory has run out.
        forwards: perturbed clips that were run so far.
    """

    def __init__(self, model: Model, batch_size: int) -> None:
        self._model = model
        self._is_plain = False
        self._place = torch.empty(batch_size, 3, *model.spec.input_size, device=model.device)
        self.batch_size = batch_size
        self.forwards = 0

    def run(self, perturbations: Iterable[Perturbation], target: int, activation: Activation) -> Mapping[Key, float]:
        """Log probability of class `target` for each perturbation.

        Raises:
            NonFiniteError: NaN or infinity in the logits.
            RuntimeError: torch's own; out of memory only if a single clip does not fit.
        """
        keys: list[Key] = []
        scores: list[Tensor] = []
        left = iter(perturbations)
        while chunk := list(islice(left, self.batch_size)):
            for place, (key, write) in zip(self._place, chunk, strict=False):
                write(place)
                keys.append(key)
            scores += self._scores(self._place[: len(chunk)])
        if not keys:
            return {}
        logits = torch.cat(scores)
        require_finite(logits, "the logits of a masked clip")
        logs = log_probability(logits, np.full(len(keys), target), activation).tolist()
        return dict(zip(keys, logs, strict=True))

    def _scores(self, batch: Tensor) -> list[Tensor]:
        """Logits of one batch, in pieces of the batch size, which may shrink on the way."""
        found: list[Tensor] = []
        done = 0
        while done < len(batch):
            piece = batch[done : done + self.batch_size]
            try:
                found.append(self._logits(piece).clone())  # they may be a view of the place, which is used again
            except RuntimeError as exc:
                if not is_out_of_memory(exc) or len(piece) == 1:
                    raise
                self.batch_size = max(1, self.batch_size // 2)
                continue
            done += len(piece)
            self.forwards += len(piece)
        return found

    def _logits(self, piece: Tensor) -> Tensor:
        """As `predicted`; a model that was seen to end in no softmax or sigmoid is not watched for one again.

        Watching costs as much as a tenth of the forward pass of a small network.
        """
        if self._is_plain:
            with torch.no_grad():
                return class_scores(self._model.module(piece))[0]
        with torch.no_grad(), LogitTracer() as tracer:
            scores, activation = class_scores(self._model.module(piece), tracer)
        self._is_plain = activation is None
        return scores


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory, on any device."""
    text = str(error).casefold()
    return isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _OUT_OF_MEMORY)
