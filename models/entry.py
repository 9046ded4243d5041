"""How to make one model: what the registry holds for a name."""

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
    """How to make one model. Its functions import torch only when they are called, so that entries can be listed fast.

    Attributes:
        spec: what it expects and returns.
        build: makes the network with random weights.
        load: fills a network from `build` with its pretrained weights and returns their provenance; None: it has no
            weights but those in a user's file.
        labels: names of the K classes.
        cache_file: name in the cache folder of what `load` keeps there; empty if it fetches nothing.
        hub_file: likewise in torch's own cache of downloads.
        load_file: fills a network from `build` with weights in a file and returns their provenance; None: the file
            holds the network's own state dict.
        from_file: in place of `load_file`, where the file also says how frames are prepared: makes a model of a
            network from `build`, the file and one of a mean cube or None.
    """

    spec: ModelSpec
    build: Callable[[], nn.Module]
    load: Callable[[nn.Module, Progress | None], str] | None
    labels: Callable[[], tuple[str, ...]]
    cache_file: str = ""
    hub_file: str = ""
    load_file: Callable[[nn.Module, Path], str] | None = None
    from_file: Callable[[nn.Module, Path, Path | None], Model] | None = None

    @property
    def is_cached(self) -> bool:
        """Whether the weights can be had without a network; never of a model that waits for a file of the user's."""
        if self.hub_file:
            return (checkpoint_folder() / self.hub_file).is_file()
        if self.cache_file:
            return (cache_folder() / self.cache_file).is_file()
        return self.load is not None
