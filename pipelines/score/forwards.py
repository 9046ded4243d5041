"""Run the model on the perturbed versions of a clip, in batches.

A batch never mixes clips, so that the scores of a clip do not depend on the other clips. The batches reuse one buffer.
The batch size is halved if memory runs out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from vidcam.cam.network import predicted, require_finite
from vidcam.metrics.faithfulness import log_probability
from vidcam.models.model import Model
from vidcam.results.explanation import Activation

Key = tuple[str, ...]
Perturbation = tuple[Key, Callable[[Tensor], object]]
"""The key of a perturbed version, and a function that writes it to a tensor (3, T, H, W)."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


class MaskedForwards:
    """Runs a model that `preserve_model` holds on perturbed clips.

    Attributes:
        batch_size: perturbed clips per forward pass; halved whenever memory runs out.
        forwards: number of perturbed clips run so far.
    """

    def __init__(self, model: Model, batch_size: int) -> None:
        self._model = model
        self._has_no_activation = False
        self._buffer = torch.empty(batch_size, 3, *model.spec.input_size, device=model.device)
        self.batch_size = batch_size
        self.forwards = 0

    def run(self, perturbations: Iterable[Perturbation], target: int, activation: Activation) -> Mapping[Key, float]:
        """Return the log probability of class `target` for each perturbation.

        Raises:
            NonFiniteError: NaN or infinity in the logits.
            RuntimeError: PyTorch failed; out of memory only if a single clip does not fit.
        """
        keys: list[Key] = []
        scores: list[Tensor] = []
        remaining = iter(perturbations)
        while chunk := list(islice(remaining, self.batch_size)):
            for row, (key, write) in zip(self._buffer, chunk, strict=False):
                write(row)
                keys.append(key)
            scores += self._scores(self._buffer[: len(chunk)])
        if not keys:
            return {}
        logits = torch.cat(scores)
        require_finite(logits, "the logits of a masked clip")
        logs = log_probability(logits, np.full(len(keys), target), activation).tolist()
        return dict(zip(keys, logs, strict=True))

    def _scores(self, batch: Tensor) -> list[Tensor]:
        """Return the logits of one batch, in pieces of the batch size, which may be halved on the way."""
        logits: list[Tensor] = []
        done = 0
        while done < len(batch):
            piece = batch[done : done + self.batch_size]
            try:
                logits.append(self._logits(piece).clone())  # they may be a view of the buffer
            except RuntimeError as exc:
                if not is_out_of_memory(exc) or len(piece) == 1:
                    raise
                self.batch_size = max(1, self.batch_size // 2)
                continue
            done += len(piece)
            self.forwards += len(piece)
        return logits

    def _logits(self, piece: Tensor) -> Tensor:
        """Return the logits; the model is traced for a final softmax or sigmoid only until a pass shows none."""
        clips, classes = self._model.input_of(piece), self._model.spec.classes
        scores = predicted(self._model.module, clips, classes=classes, is_traced=not self._has_no_activation)
        self._has_no_activation = scores.activation is None
        return scores.logits


def is_out_of_memory(error: RuntimeError) -> bool:
    """Check whether an error means that PyTorch ran out of memory, on any device."""
    text = str(error).casefold()
    return isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _OUT_OF_MEMORY)
