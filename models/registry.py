"""How a name becomes a model.

Two kinds of names have a colon: 'torchvision:NAME' is any model of torchvision that classifies videos or images;
anything else is 'package.module:factory', a function without arguments that returns a `Model`.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidcam.errors import InputError, WeightsError, name_not_found
from vidcam.models.builtin import BUILT_IN, torchvision_entry
from vidcam.models.entry import ModelEntry
from vidcam.models.labels import read_labels
from vidcam.models.model import Model, resolve_device
from vidcam.system.progress import Progress

if TYPE_CHECKING:
    from torch import nn

_TORCHVISION = "torchvision:"


def list_models() -> tuple[str, ...]:
    """Names of the built-in models, the default first."""
    return tuple(BUILT_IN)


def model_entries() -> tuple[ModelEntry, ...]:
    """The built-in models, the default first."""
    return tuple(BUILT_IN.values())


def is_cached(name: str) -> bool:
    """Whether the weights of a built-in model can be had without a network.

    Raises:
        NameNotFoundError: no built-in model has this name.
    """
    return _entry(name).is_cached


def is_factory(name: str) -> bool:
    """Whether a name is that of a user's own model, which brings its weights and labels."""
    return ":" in name and not name.startswith(_TORCHVISION)


def labels_of(
    name: str, *, weights: str | Path = "pretrained", labels: str | Path | None = None
) -> tuple[str, ...] | None:
    """The K labels of a model that is not built; None where only the model itself knows them.

    Args:
        name: as that of `load_model`.
        weights: likewise; a file of a model that takes its labels from there, too, names none before it is read.
        labels: likewise.

    Raises:
        NameNotFoundError: no model has this name.
        InputError: the file of labels is none for this model.
    """
    if is_factory(name):
        return None
    entry = _entry(name)
    if labels is not None:
        return read_labels(Path(labels), entry.spec.classes)
    is_of_file = entry.from_file is not None and weights not in ("pretrained", "random")
    return None if is_of_file else entry.labels()


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
    """A model that is ready to run. Arguments and files are checked before anything is built or fetched.

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
    if isinstance(name_or_entry, str) and is_factory(name_or_entry):
        _expect_for_factory(name_or_entry, weights, labels, mean_cube)
        where, file = resolve_device(device), _weights_file(weights)
        return _of_factory(name_or_entry, file).to(where)
    entry = _entry(name_or_entry) if isinstance(name_or_entry, str) else name_or_entry
    _expect_for_entry(entry, weights, mean_cube)
    where, file = resolve_device(device), _weights_file(weights)
    cube = None if mean_cube is None else _checked(mean_cube, "mean cube")
    names = None if labels is None else read_labels(Path(labels), entry.spec.classes)
    if file is None:
        model = _of_entry(entry, progress, is_random=weights == "random")
    else:
        model = _of_entry_with_file(entry, file, cube)
    return (model if names is None else replace(model, labels=names)).to(where)


def _expect_for_factory(
    name: str, weights: str | Path, labels: str | Path | None, mean_cube: str | Path | None
) -> None:
    """A user's factory brings its labels, its mean and its own weights."""
    if labels is not None or mean_cube is not None:
        raise InputError(
            f"a file of labels or a mean cube was given for {name!r}, expected a built-in model; leave them to the "
            "factory"
        )
    if weights == "random":
        raise InputError(
            f"random weights were asked for {name!r}, expected a built-in model; pass a file, or leave the weights to "
            "the factory"
        )


def _expect_for_entry(entry: ModelEntry, weights: str | Path, mean_cube: str | Path | None) -> None:
    name, is_file = entry.spec.name, weights not in ("pretrained", "random")
    if mean_cube is not None and (entry.from_file is None or not is_file):
        takers = ", ".join(taker for taker, other in BUILT_IN.items() if other.from_file is not None)
        raise InputError(
            f"a mean cube was given for model {name!r} {'with' if is_file else 'without'} a file of weights, expected "
            f"one of {takers} with --weights FILE; leave --mean-cube out"
        )
    if weights == "pretrained" and entry.load is None:
        raise WeightsError(
            f"model {name!r} comes without weights, as none that are published could be verified, expected a file of "
            f"its weights (PyTorch, MMAction2, Keras' HDF5 or safetensors); pass --weights FILE, or "
            f"load_model({name!r}, weights=FILE); docs/models.md says where files are offered"
        )


def _weights_file(weights: str | Path) -> Path | None:
    """The file, which can be read; None for 'pretrained' and 'random'."""
    return None if weights in ("pretrained", "random") else _checked(weights, "weights")


def _checked(file: str | Path, what: str) -> Path:
    from vidcam.models.weights.files import read_head

    read_head(Path(file), name=what)
    return Path(file)


def _of_factory(name: str, file: Path | None) -> Model:
    model = _call_factory(name)
    if file is None:
        return model
    from vidcam.models.weights.state import load_weights_file

    return replace(model, weights=load_weights_file(model.module, file, name=model.spec.name))


def _of_entry(entry: ModelEntry, progress: Progress | None, *, is_random: bool) -> Model:
    module, provenance = _random(entry), "random (seed 0)"
    if not is_random and entry.load is not None:
        provenance = entry.load(module, progress)
    return Model(entry.spec, module, entry.labels(), provenance)


def _of_entry_with_file(entry: ModelEntry, file: Path, mean_cube: Path | None) -> Model:
    from vidcam.models.weights.state import load_weights_file

    module = _random(entry)
    if entry.from_file is not None:
        return entry.from_file(module, file, mean_cube)
    if entry.load_file is not None:
        provenance = entry.load_file(module, file)
    else:
        provenance = load_weights_file(module, file, name=entry.spec.name)
    return Model(entry.spec, module, entry.labels(), provenance)


def _random(entry: ModelEntry) -> nn.Module:
    """The network in evaluation mode, with the same weights every time; the caller's random state stays."""
    import torch

    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        return entry.build().eval()


def _entry(name: str) -> ModelEntry:
    if name.startswith(_TORCHVISION):
        return torchvision_entry(name.removeprefix(_TORCHVISION))
    if name not in BUILT_IN:
        raise name_not_found("model", name, BUILT_IN, "run `vidcam models` for all, or pass package.module:factory")
    return BUILT_IN[name]


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
