"""Prefixes of model names, 'torchvision:NAME', behind which another package has the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from vidcam.models.entry import ModelEntry


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix.

    Attributes:
        form: how a name is typed, 'torchvision:NAME'.
        models: what such a name is, for lists.
        family: file of `vidcam.models.families` that has the function `entry`.
    """

    form: str
    models: str
    family: str

    def entry(self, name: str, labels: str | Path | Sequence[str] | None) -> ModelEntry:
        """Make the entry of the model behind the prefix, with the user's labels. This may import the package."""
        entry: ModelEntry = import_module(f"vidcam.models.families.{self.family}").entry(name, labels)
        return entry


PREFIXES: Mapping[str, Prefix] = MappingProxyType(
    {
        prefix.form.partition(":")[0]: prefix
        for prefix in (
            Prefix("torchvision:NAME", "any model of torchvision that classifies", "torchvision"),
            Prefix("hf:FOLDER or hf:OWNER/NAME", "a video classifier of transformers, X-CLIP or CLIP", "hugging_face"),
            Prefix("timm:NAME", "an image classifier of timm, averaged over 8 frames", "timm_models"),
            Prefix("pytorchvideo:NAME", "a network of pytorchvideo, with --weights FILE", "pytorchvideo_models"),
        )
    }
)
"""Prefixes, without the colon."""
