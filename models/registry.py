"""The built-in models by name, and how a name becomes a model.

An entry names functions that import torch only when called, so that the list can be read at once. Two kinds of names
have a colon: 'torchvision:NAME' is any model of torchvision that classifies films or images; anything else is
'package.module:factory', a function without arguments that returns a `Model`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from vidcam.errors import InputError, name_not_found
from vidcam.models.device import resolve_device
from vidcam.models.families import c3d_weights, tiny
from vidcam.models.families.torchvision_specs import PUBLISHED, TORCHVISION_SPECS
from vidcam.models.labels import kinetics400, read_labels
from vidcam.models.model import Model
from vidcam.models.specs import C3D_SPORTS1M_SPEC, C3D_UCF101_SPEC, I3D_CACHE_FILE, I3D_SPEC
from vidcam.models.weights.cache import cache_folder
from vidcam.models.weights.hub import checkpoint_folder
from vidcam.spec import ModelSpec
from vidcam.system.progress import Progress

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
        hub_file: likewise in torch's own cache of downloads.
        load_file: fills a network from `build` with weights in a file and returns their provenance; None: the file
            holds the network's own state dict.
        from_file: in place of `load_file`, where the file also says how frames are prepared: makes a model of a
            network from `build`, the file and one of a mean cube or None. Such a model has no weights but a user's.
    """

    spec: ModelSpec
    build: Callable[[], nn.Module]
    load: Callable[[nn.Module, Progress | None], str]
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
        return self.from_file is None


def _build_i3d() -> nn.Module:
    from vidcam.models.families.i3d import build

    return build()


def _load_i3d(module: nn.Module, progress: Progress | None) -> str:
    from vidcam.models.families.i3d import load

    return load(module, progress)


def _c3d_entry(spec: ModelSpec) -> ModelEntry:
    return ModelEntry(
        spec,
        build=partial(c3d_weights.build, spec),
        load=lambda *_: c3d_weights.refuse_without_file(spec),
        labels=partial(c3d_weights.class_names, spec),
        from_file=partial(c3d_weights.from_file, spec),
    )


def _tiny_entry(spec: ModelSpec) -> ModelEntry:
    return ModelEntry(
        spec,
        build=partial(tiny.build, spec.name),
        load=lambda module, _: tiny.load(module, spec.name),
        labels=tiny.labels,
    )


def _torchvision_entry(name: str, spec: ModelSpec, hub_file: str) -> ModelEntry:
    def build() -> nn.Module:
        from vidcam.models.families import torchvision_models

        return torchvision_models.build(name)

    def load(module: nn.Module, progress: Progress | None) -> str:
        from vidcam.models.families import torchvision_models

        return torchvision_models.load(module, name, progress)

    def load_file(module: nn.Module, path: Path) -> str:
        from vidcam.models.families import torchvision_models

        return torchvision_models.load_file(module, path, name=name)

    def labels() -> tuple[str, ...]:
        from vidcam.models.families import torchvision_models

        return torchvision_models.labels(name)

    return ModelEntry(spec, build, load, labels, hub_file=hub_file, load_file=load_file)


def _by_metadata(name: str) -> ModelEntry:
    """The entry of 'torchvision:NAME', which imports torchvision to ask it."""
    from vidcam.models.families import torchvision_models

    plain = name.removeprefix(_TORCHVISION)
    spec = torchvision_models.spec(plain)
    return _torchvision_entry(plain, spec, torchvision_models.published(plain).file)


_TORCHVISION = "torchvision:"

_ENTRIES: Mapping[str, ModelEntry] = MappingProxyType(
    {
        entry.spec.name: entry
        for entry in (
            ModelEntry(I3D_SPEC, _build_i3d, _load_i3d, kinetics400, I3D_CACHE_FILE),
            *(_torchvision_entry(name, spec, PUBLISHED[name].file) for name, spec in TORCHVISION_SPECS.items()),
            *map(_c3d_entry, (C3D_SPORTS1M_SPEC, C3D_UCF101_SPEC)),
            *map(_tiny_entry, tiny.TINY_SPECS),
        )
    }
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
    return _call_factory(name).module if is_factory(name) else _entry(name).build().eval()


def load_model(
    name_or_entry: str | ModelEntry = "i3d",
    *,
    device: str = "auto",
    weights: str | Path = "pretrained",
    labels: str | Path | None = None,
    mean_cube: str | Path | None = None,
    progress: Progress | None = None,
) -> Model:
    """A model that is ready to run.

    Args:
        name_or_entry: a built-in name, 'torchvision:NAME', 'package.module:factory' for a function without arguments
            that returns a `Model`, or an entry of one's own.
        device: 'auto', 'cpu' or 'cuda:N'.
        weights: 'pretrained'; 'random', which takes seed 0 and fetches nothing, for trying things out; or a file of
            weights, .pth, .pt or .safetensors (C3D: see docs/models.md), which is read without running anything in it.
        labels: a file that names the classes of a built-in model or torchvision's, see `vidcam.models.labels`; None:
            those that come with the model.
        mean_cube: a file with the mean that C3D subtracts, together with its weights.
        progress: told of a download.

    Raises:
        NameNotFoundError: no model has this name.
        InputError: the device is not there, the factory does not return a `Model`, or a file is none for this model.
        WeightsError: the weights are not in the cache and cannot be fetched, or are damaged or of another network.
        OutputError: the cache folder cannot be written to.
    """
    where = resolve_device(device)
    if isinstance(name_or_entry, str) and is_factory(name_or_entry):
        _expect_no_files(name_or_entry, labels, mean_cube)
        return _of_factory(name_or_entry, weights).to(where)
    entry = _entry(name_or_entry) if isinstance(name_or_entry, str) else name_or_entry
    _expect_takes_cube(entry, weights, mean_cube)
    names = None if labels is None else read_labels(Path(labels), entry.spec.classes)
    model = _loaded(entry, weights, mean_cube, progress)
    return (model if names is None else replace(model, labels=names)).to(where)


def _is_file(weights: str | Path) -> bool:
    return weights not in ("pretrained", "random")


def _expect_no_files(name: str, labels: str | Path | None, mean_cube: str | Path | None) -> None:
    """A user's factory brings its labels and its mean itself."""
    if labels is not None or mean_cube is not None:
        raise InputError(
            f"a file of labels or a mean cube was given for {name!r}, expected a built-in model; leave them to the "
            "factory"
        )


def _expect_takes_cube(entry: ModelEntry, weights: str | Path, mean_cube: str | Path | None) -> None:
    if mean_cube is not None and (entry.from_file is None or not _is_file(weights)):
        takers = ", ".join(name for name, other in _ENTRIES.items() if other.from_file is not None)
        got = "with" if _is_file(weights) else "without"
        raise InputError(
            f"a mean cube was given for model {entry.spec.name!r} {got} a file of weights, expected one of {takers} "
            "with --weights FILE; leave --mean-cube out"
        )


def _loaded(entry: ModelEntry, weights: str | Path, mean_cube: str | Path | None, progress: Progress | None) -> Model:
    module, provenance = _random(entry)
    if weights == "pretrained":
        provenance = entry.load(module, progress)
    elif _is_file(weights) and entry.from_file is not None:
        return entry.from_file(module, Path(weights), None if mean_cube is None else Path(mean_cube))
    elif _is_file(weights):
        provenance = _filled(entry.load_file, module, Path(weights), entry.spec.name)
    return Model(entry.spec, module, entry.labels(), provenance)


def _of_factory(name: str, weights: str | Path) -> Model:
    if weights == "random":
        raise InputError(
            f"random weights were asked for {name!r}, expected a built-in model; pass a file, or leave the weights to "
            "the factory"
        )
    model = _call_factory(name)
    if not _is_file(weights):
        return model
    return replace(model, weights=_filled(None, model.module, Path(weights), model.spec.name))


def _filled(load_file: Callable[[nn.Module, Path], str] | None, module: nn.Module, path: Path, name: str) -> str:
    if load_file is not None:
        return load_file(module, path)
    from vidcam.models.weights.state import fill_from_file

    return fill_from_file(module, path, name=name)


def _random(entry: ModelEntry) -> tuple[nn.Module, str]:
    import torch

    with torch.random.fork_rng(devices=()):  # leaves the caller's random state as it was
        torch.default_generator.manual_seed(0)
        return entry.build().eval(), "random (seed 0)"


def is_factory(name: str) -> bool:
    """Whether a name is that of a user's own model, which brings its weights and labels."""
    return ":" in name and not name.startswith(_TORCHVISION)


def _entry(name: str) -> ModelEntry:
    if name.startswith(_TORCHVISION):
        return _by_metadata(name)
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
