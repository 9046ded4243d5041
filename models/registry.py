"""The built-in models by name, and how a name becomes a model.

An entry names functions that import torch only when called, so that the list can be read at once. A model that is not
built in is named 'package.module:factory': a function without arguments that returns a `Model`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from vidcam.errors import InputError, name_not_found
from vidcam.models.cache import cache_folder
from vidcam.models.device import resolve_device
from vidcam.models.labels import kinetics400
from vidcam.models.model import Model
from vidcam.models.specs import I3D_CACHE_FILE, I3D_SPEC
from vidcam.progress import Progress
from vidcam.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """How to make one model.

    Attributes:
        spec: what it expects and returns.
        build: makes the network with random weights.
        load: fills a network from `build` with its pretrained weights and returns their provenance.
        labels: names of the K classes.
        cache_file: name in the cache folder of what `load` keeps there; empty if it fetches nothing.
    """

    spec: ModelSpec
    build: Callable[[], nn.Module]
    load: Callable[[nn.Module, Progress | None], str]
    labels: Callable[[], tuple[str, ...]]
    cache_file: str = ""

    @property
    def is_cached(self) -> bool:
        """Whether the weights can be had without a network."""
        return not self.cache_file or (cache_folder() / self.cache_file).is_file()


def _build_i3d() -> nn.Module:
    from vidcam.models.i3d import build

    return build()


def _load_i3d(module: nn.Module, progress: Progress | None) -> str:
    from vidcam.models.i3d import load

    return load(module, progress)


_ENTRIES: Mapping[str, ModelEntry] = MappingProxyType(
    {entry.spec.name: entry for entry in (ModelEntry(I3D_SPEC, _build_i3d, _load_i3d, kinetics400, I3D_CACHE_FILE),)}
)


def model_names() -> tuple[str, ...]:
    """Names of the built-in models, the default first."""
    return tuple(_ENTRIES)


def model_entries() -> tuple[ModelEntry, ...]:
    """The built-in models, the default first."""
    return tuple(_ENTRIES.values())


def is_cached(name: str) -> bool:
    """Whether the weights of a built-in model can be had without a network.

    Raises:
        NameNotFoundError: no built-in model has this name.
    """
    return _entry(name).is_cached


def build_module(name: str) -> nn.Module:
    """The network alone, in evaluation mode: random weights for a built-in model, its own for a user's.

    Raises:
        NameNotFoundError: no model has this name.
        InputError: 'package.module:factory' does not lead to a `Model`.
    """
    return _call_factory(name).module if ":" in name else _entry(name).build().eval()


def load_model(
    name_or_entry: str | ModelEntry = "i3d",
    *,
    device: str = "auto",
    weights: Literal["pretrained", "random"] = "pretrained",
    progress: Progress | None = None,
) -> Model:
    """A model that is ready to run.

    Args:
        name_or_entry: a built-in name, 'package.module:factory' for a function without arguments that returns a
            `Model`, or an entry of one's own.
        device: 'auto', 'cpu' or 'cuda:N'.
        weights: 'random' takes seed 0 and fetches nothing; for trying things out.
        progress: told of a download.

    Raises:
        NameNotFoundError: no model has this name.
        InputError: the device is not there, or the factory does not return a `Model`.
        WeightsError: the weights are not in the cache and cannot be fetched, or are damaged.
        OutputError: the cache folder cannot be written to.
    """
    where = resolve_device(device)
    if isinstance(name_or_entry, str) and ":" in name_or_entry:
        if weights == "random":
            raise InputError(
                f"random weights were asked for {name_or_entry!r}, expected a built-in model; "
                "leave the weights to the factory"
            )
        return _call_factory(name_or_entry).to(where)
    entry = _entry(name_or_entry) if isinstance(name_or_entry, str) else name_or_entry
    module, provenance = _random(entry) if weights == "random" else _pretrained(entry, progress)
    return Model(entry.spec, module, entry.labels(), provenance).to(where)


def _pretrained(entry: ModelEntry, progress: Progress | None) -> tuple[nn.Module, str]:
    module, _ = _random(entry)
    return module, entry.load(module, progress)


def _random(entry: ModelEntry) -> tuple[nn.Module, str]:
    import torch

    with torch.random.fork_rng(devices=()):  # leaves the caller's random state as it was
        torch.default_generator.manual_seed(0)
        return entry.build().eval(), "random (seed 0)"


def _entry(name: str) -> ModelEntry:
    if name not in _ENTRIES:
        raise name_not_found("model", name, _ENTRIES, "run `vidcam models` for all, or pass package.module:factory")
    return _ENTRIES[name]


def _call_factory(name: str) -> Model:
    """The model that 'package.module:factory' makes; errors inside the factory are its own and pass through."""
    module_name, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as exc:
        raise InputError(
            f"model {name!r} cannot be imported ({exc}); expected package.module:factory; "
            "check that the package is installed or on PYTHONPATH"
        ) from exc
    model = factory() if callable(factory) else factory
    if not isinstance(model, Model):
        raise InputError(
            f"{name!r} gives {type(model).__name__}, expected a function without arguments that returns "
            "vidcam.models.Model; wrap the network in one"
        )
    return model
