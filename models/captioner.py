"""Captioners: networks that describe a clip in words, and score given captions.

The score of a caption is the log probability of its words, each given the clip and the words before it. A caption takes
the place of a class: `with_captions` makes a model whose classes are captions, which every method can explain.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vidcam.errors import InputError, name_not_found
from vidcam.models.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class CaptionScores:
    """What a captioner returns for given captions.

    Attributes:
        words: for each caption (N, L), the log probability of each of its words given those before.
    """

    words: tuple[Tensor, ...]

    @property
    def logits(self) -> Tensor:
        """The log probability of each caption, (N, C): the sum over its words."""
        return torch.stack([each.sum(dim=1) for each in self.words], dim=1)


class Captioner(nn.Module):
    """A network from clips (N, 3, T, H, W) to the scores of words, in three steps that a subclass writes.

    Attributes:
        end: index of the word that ends a caption.
        captions: tokens (L,) of the captions that `forward` scores; empty: it scores the tokens that it is given.
    """

    end: int
    captions: tuple[Tensor, ...] = ()

    @abstractmethod
    def encode(self, clip: Tensor) -> Tensor:
        """Encode clips (N, 3, T, H, W); returns what `scores` and `decode` read, (N, …)."""

    @abstractmethod
    def scores(self, encoded: Tensor, tokens: Tensor) -> Tensor:
        """Compute the logits of each word given those before it, (N, L, V), of captions (N, L)."""

    @abstractmethod
    def decode(self, encoded: Tensor) -> Tensor:
        """Decode greedily, the likeliest word each time; returns captions (N, L), filled up with `end`."""

    def generate(self, clip: Tensor) -> Tensor:
        """Generate the caption of each clip, (N, L)."""
        with torch.no_grad():
            return self.decode(self.encode(clip))

    def forward(self, clip: Tensor, tokens: Tensor | None = None) -> Any:
        """Score words.

        Args:
            clip: (N, 3, T, H, W).
            tokens: (N, L) or (L,), a caption whose words are scored, each given those before it. None: `captions`, or
                without them the caption that the network generates.

        Returns:
            Logits (N, L, V); for `captions` a `CaptionScores`.
        """
        encoded = self.encode(clip)
        if tokens is None and self.captions:
            return CaptionScores(tuple(self._log_probabilities(encoded, caption) for caption in self.captions))
        tokens = self.decode(encoded) if tokens is None else tokens.expand(len(clip), -1)
        return self.scores(encoded, tokens)

    def _log_probabilities(self, encoded: Tensor, caption: Tensor) -> Tensor:
        tokens = caption.to(encoded.device).expand(len(encoded), -1)
        logits = self.scores(encoded, tokens)
        logs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=2)
        return torch.gather(logs, 2, tokens.unsqueeze(2)).squeeze(2)


def with_captions(model: Model, captions: Sequence[str]) -> Model:
    """Return a model whose classes are captions. It shares the network's weights.

    Args:
        model: its network is a `Captioner`, its labels are the words.
        captions: words that are separated by spaces.

    Raises:
        InputError: the network is no captioner, a caption is empty, or holds a word that the model does not know.
    """
    if not isinstance(model.module, Captioner):
        raise InputError(f"--caption needs a captioner such as tiny_captioner; {model.spec.name!r} names classes")
    texts = tuple(dict.fromkeys(" ".join(caption.casefold().split()) for caption in captions))
    if not all(texts):
        raise InputError("--caption is empty; pass words, or generated")
    words = {word: index for index, word in enumerate(model.labels) if index != model.module.end}
    unknown = next((word for text in texts for word in text.split() if word not in words), None)
    if unknown is not None:
        raise name_not_found("word", unknown, list(words), f"--caption takes the {len(words)} words of the model")
    network = copy(model.module)  # shares the parameters; only its captions are its own
    network.captions = tuple(torch.tensor([words[word] for word in text.split()]) for text in texts)
    return replace(model, spec=replace(model.spec, classes=len(texts), activation="none"), module=network, labels=texts)


def generate_captions(model: Model, clips: Tensor) -> tuple[str, ...]:
    """Return the caption that a captioner generates for each clip, (N, 3, T, H, W), as words; '' if there are none."""
    network = model.module
    assert isinstance(network, Captioner)
    rows = network.generate(clips).tolist()
    return tuple(" ".join(model.labels[k] for k in row[: (*row, network.end).index(network.end)]) for row in rows)
