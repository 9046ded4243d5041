"""Registry entry: the functions that make one model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidcam.models.model import Model
from vidcam.models.weights.cache import cache_folder
from vidcam.models.weights.hub import checkpoint_folder
from vidcam.spec import ModelSpec
from vidcam.system.progress import Progress

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """The functions that make one model. They import torch when called, so listing entries is fast.

    Attributes:
        spec: spec of the model.
        build: builds the network with random weights.
        load: loads the pretrained weights into a network from `build` and returns their provenance; None: the model
            has no pretrained weights, and the user must pass a file.
        labels: returns the K labels.
        cache_file: name of the weights file in vidcam's cache folder; empty: `load` does not use that folder.
        hub_file: name of the weights file in torch.hub's cache; empty: `load` does not use that cache.
        load_file: loads a weights file into a network from `build` and returns its provenance; None: the file is read
            as the network's state dict.
        from_file: replaces `load_file` where the file also decides the preprocessing. Makes a model from a network of
            `build`, the weights file, and a mean cube file or None.
        load_network: builds the network with its pretrained weights at once, instead of `build` and `load`; returns it
            and the weights' provenance.
        loads_all: whether `load` replaces every parameter, so that `build` need not compute their initial values.
    """

    spec: ModelSpec
    build: Callable[[], nn.Module]
    load: Callable[[nn.Module, Progress | None], str] | None
    labels: Callable[[], tuple[str, ...]]
    cache_file: str = ""
    hub_file: str = ""
    load_file: Callable[[nn.Module, Path], str] | None = None
    from_file: Callable[[nn.Module, Path, Path | None], Model] | None = None
    load_network: Callable[[Progress | None], tuple[nn.Module, str]] | None = None
    loads_all: bool = False

    @property
    def is_cached(self) -> bool:
        """Whether `load` needs no download. False for a model without pretrained weights."""
        if self.hub_file:
            return (checkpoint_folder() / self.hub_file).is_file()
        if self.cache_file:
            return (cache_folder() / self.cache_file).is_file()
        return self.load is not None
