"""Prefixes of model names, 'torchvision:NAME', behind which another package has the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from vidcam.models.entry import ModelEntry
from vidcam.models.labels import count_labels

Labels = str | Path | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix.

    Attributes:
        form: how a name is typed, 'torchvision:NAME'.
        models: what such a name is, for lists.
        entry: function from the name behind the prefix, and the user's labels, to the model's entry. It imports the
            package.
    """

    form: str
    models: str
    entry: Callable[[str, Labels], ModelEntry]


def _torchvision(name: str, labels: Labels) -> ModelEntry:
    from vidcam.models.builtin import torchvision_entry

    return torchvision_entry(name, None if labels is None else count_labels(labels))


def _hugging_face(name: str, labels: Labels) -> ModelEntry:
    from vidcam.models.families import hugging_face

    return hugging_face.entry(name, labels)


def _timm(name: str, _labels: Labels) -> ModelEntry:
    from vidcam.models.families import timm_models

    return timm_models.entry(name)


def _pytorchvideo(name: str, _labels: Labels) -> ModelEntry:
    from vidcam.models.families import pytorchvideo_models

    return pytorchvideo_models.entry(name)


PREFIXES: Mapping[str, Prefix] = MappingProxyType(
    {
        prefix.form.partition(":")[0]: prefix
        for prefix in (
            Prefix("torchvision:NAME", "any model of torchvision that classifies", _torchvision),
            Prefix("hf:FOLDER or hf:OWNER/NAME", "a video classifier of transformers, X-CLIP or CLIP", _hugging_face),
            Prefix("timm:NAME", "an image classifier of timm, averaged over 8 frames", _timm),
            Prefix("pytorchvideo:NAME", "a network of pytorchvideo, with --weights FILE", _pytorchvideo),
        )
    }
)
"""Prefixes, without the colon."""
