"""Load a model by its name.

A name is that of a built-in model, 'torchvision:NAME' or another of `PREFIXES` for a model of another package, or
'package.module:factory' for a function without arguments that returns a `Model`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidcam.devices import resolve_device
from vidcam.errors import InputError, VidcamError, WeightsError, name_not_found
from vidcam.foreign import describe, place_of
from vidcam.models.builtin import BUILT_IN
from vidcam.models.entry import ModelEntry
from vidcam.models.labels import check_labels, numbered_labels, read_labels
from vidcam.models.model import Model
from vidcam.models.prefixes import PREFIXES
from vidcam.spec import ModelSpec
from vidcam.system.progress import Progress

if TYPE_CHECKING:
    from torch import nn


def list_models() -> tuple[str, ...]:
    """List the names of the built-in models, the default first."""
    return tuple(BUILT_IN)


def model_entries() -> tuple[ModelEntry, ...]:
    """List the entries of the built-in models, the default first."""
    return tuple(BUILT_IN.values())


def is_factory(name: str) -> bool:
    """Return whether a name is 'package.module:factory', a user's own model."""
    prefix, colon, _ = name.partition(":")
    return bool(colon) and prefix not in PREFIXES


def labels_of(
    name: str, *, weights: str | Path = "pretrained", labels: str | Path | Sequence[str] | None = None
) -> tuple[str, ...] | None:
    """Return the K labels of a model without building it, or None if they are known only after loading it.

    Args:
        name: name of a model, as in `load_model`.
        weights: as in `load_model`. A C3D weights file may contain labels, so the result is None for one.
        labels: as in `load_model`.

    Raises:
        NameNotFoundError: no model has this name.
        InputError: the labels do not fit the model.
    """
    if is_factory(name):
        return None
    entry = _entry(name, labels)
    if labels is not None:
        return _labels(labels, entry.spec.classes)
    is_of_file = entry.from_file is not None and weights not in ("pretrained", "random")
    return None if is_of_file else entry.labels()


def load_model(
    name_or_entry: str | ModelEntry = "i3d",
    *,
    device: str = "auto",
    weights: str | Path = "pretrained",
    labels: str | Path | Sequence[str] | None = None,
    mean_cube: str | Path | None = None,
    progress: Progress | None = None,
) -> Model:
    """Load a model. Arguments and files are checked before a network is built or weights are downloaded.

    Args:
        name_or_entry: name of a built-in model, 'torchvision:NAME' or another of `PREFIXES`, 'package.module:factory'
            for a function without arguments that returns a `Model`, or a `ModelEntry`.
        device: 'auto', 'cpu', 'cuda:N', 'mps' or 'xpu:N'.
        weights: 'pretrained'; 'random', with seed 0 and without a download; or a weights file, .pth, .pt or
            .safetensors (for C3D see docs/c3d.md). No code in the file is run.
        labels: K labels of a model, or a file that lists them, see `vidcam.models.labels`. None: those that come with
            the model. A network that compares videos with texts has these as its classes.
        mean_cube: a NumPy file with the mean cube of C3D, together with a weights file.
        progress: called during a download.

    Raises:
        NameNotFoundError: no model has this name.
        InputError: the device is not available, the factory does not return a `Model`, or an argument does not fit the
            model.
        WeightsError: the weights are not cached and cannot be downloaded, are damaged, or do not fit the network.
        OutputError: the cache folder is not writable.
    """
    if isinstance(name_or_entry, str) and is_factory(name_or_entry):
        _expect_for_factory(name_or_entry, weights, labels, mean_cube)
        where, file = resolve_device(device), _weights_file(weights)
        return _of_factory(name_or_entry, file).to(where)
    entry = _entry(name_or_entry, labels) if isinstance(name_or_entry, str) else name_or_entry
    _expect_for_entry(entry, weights, mean_cube)
    where, file = resolve_device(device), _weights_file(weights)
    cube = None if mean_cube is None else _checked(mean_cube, "mean cube")
    names = _labels(labels, entry.spec.classes)
    if file is None:
        model = _of_entry(entry, progress, is_random=weights == "random")
    else:
        model = _of_entry_with_file(entry, file, cube)
    return (model if names is None else replace(model, labels=names)).to(where)


def as_model(
    model: str | Model | nn.Module, spec: ModelSpec | None, labels: str | Path | Sequence[str] | None
) -> str | Model:
    """A plain module with its spec as a `Model`; a name or a `Model` as it is.

    Args:
        model: name, `Model` or module.
        spec: of a module.
        labels: K labels of a module, or the file that lists them. None: 'class 0', 'class 1', …

    Raises:
        InputError: a module without a spec, or a spec for what has one.
    """
    if isinstance(model, str | Model):
        if spec is not None:
            raise InputError("spec is for an nn.Module; a name or a vidcam.Model brings its own")
        return model
    from torch import nn

    if not isinstance(model, nn.Module):
        raise InputError(
            f"model is of type {type(model).__name__}; pass a name, a vidcam.Model, or an nn.Module and its spec"
        )
    if spec is None:
        raise InputError("model is an nn.Module; pass spec=vidcam.ModelSpec(...) with it (docs/models.md)")
    names = _labels(labels, spec.classes) or numbered_labels(spec.classes)
    return Model(spec, model, names, "of the caller's module")


def _labels(labels: str | Path | Sequence[str] | None, classes: int) -> tuple[str, ...] | None:
    """Labels from a file or a sequence."""
    if labels is None:
        return None
    return read_labels(Path(labels), classes) if isinstance(labels, str | Path) else check_labels(labels, classes)


def _expect_for_factory(
    name: str, weights: str | Path, labels: str | Path | Sequence[str] | None, mean_cube: str | Path | None
) -> None:
    """Refuse arguments that a factory does not take, because it sets its own labels, mean and weights."""
    if labels is not None or mean_cube is not None:
        option = "labels" if labels is not None else "mean_cube"
        raise InputError(f"{option} cannot be combined with {name!r}; set it in the factory")
    if weights == "random":
        raise InputError(f"weights 'random' cannot be combined with {name!r}; use the factory's weights or a file")


def _expect_for_entry(entry: ModelEntry, weights: str | Path, mean_cube: str | Path | None) -> None:
    name, is_file = entry.spec.name, weights not in ("pretrained", "random")
    if mean_cube is not None and (entry.from_file is None or not is_file):
        models = ", ".join(model for model, other in BUILT_IN.items() if other.from_file is not None)
        problem = (
            "--weights FILE" if entry.from_file is not None else f"a model that takes one ({models}), not {name!r}"
        )
        raise InputError(f"--mean-cube needs {problem}")
    if weights == "pretrained" and entry.load is None and entry.load_network is None:
        raise WeightsError(
            f"model {name!r} has no pretrained weights; pass a file with --weights FILE or weights=FILE "
            "(docs/models.md says where to get one)"
        )


def _weights_file(weights: str | Path) -> Path | None:
    """Return the path of a readable weights file, or None for 'pretrained' and 'random'."""
    return None if weights in ("pretrained", "random") else _checked(weights, "weights")


def _checked(file: str | Path, name: str) -> Path:
    """Check that a file can be read. `name` says what it is, for the error message."""
    from vidcam.models.weights.files import read_head

    read_head(Path(file), name=name)
    return Path(file)


def _of_factory(name: str, file: Path | None) -> Model:
    model = _call_factory(name)
    if file is None:
        return model
    from vidcam.models.weights.state import load_weights_file

    return replace(model, weights=load_weights_file(model.module, file, name=model.spec.name))


def _of_entry(entry: ModelEntry, progress: Progress | None, *, is_random: bool) -> Model:
    if entry.load_network is not None and not is_random:
        import torch

        with torch.random.fork_rng(devices=()):
            network, provenance = entry.load_network(progress)
        return Model(entry.spec, network.eval(), entry.labels(), provenance)
    if is_random or entry.load is None:
        return Model(entry.spec, _build_random(entry), entry.labels(), "random (seed 0)")
    if entry.loads_all:
        from vidcam.models.weights.unset import UnsetParameters

        with UnsetParameters():
            module = _build_random(entry)
    else:
        module = _build_random(entry)
    return Model(entry.spec, module, entry.labels(), entry.load(module, progress))


def _of_entry_with_file(entry: ModelEntry, file: Path, mean_cube: Path | None) -> Model:
    from vidcam.models.weights.state import load_weights_file

    module = _build_random(entry)
    if entry.from_file is not None:
        return entry.from_file(module, file, mean_cube)
    if entry.load_file is not None:
        provenance = entry.load_file(module, file)
    else:
        provenance = load_weights_file(module, file, name=entry.spec.name)
    return Model(entry.spec, module, entry.labels(), provenance)


def _build_random(entry: ModelEntry) -> nn.Module:
    """Build the network in evaluation mode with reproducible random weights. The global random state is unchanged."""
    import torch

    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(0)
        return entry.build().eval()


def _entry(name: str, labels: str | Path | Sequence[str] | None = None) -> ModelEntry:
    prefix, colon, rest = name.partition(":")
    if colon and prefix in PREFIXES:
        return PREFIXES[prefix].entry(rest, labels)
    if name not in BUILT_IN:
        raise name_not_found("model", name, BUILT_IN, "run `vidcam models` for all, or pass package.module:factory")
    return BUILT_IN[name]


def _call_factory(name: str) -> Model:
    """Call 'package.module:factory'. Errors of vidcam inside the factory are not changed."""
    module_name, _, attribute = name.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except VidcamError:
        raise
    except (Exception, SystemExit) as exc:  # a module of the user's may raise anything
        if place_of(exc):
            raise InputError(f"model {name!r} cannot be imported: {describe(exc)}") from exc
        raise InputError(
            f"model {name!r} cannot be imported ({exc}); pass package.module:factory and check PYTHONPATH"
        ) from exc
    try:
        model = factory() if callable(factory) else factory
    except VidcamError:
        raise
    except (Exception, SystemExit) as exc:
        raise InputError(f"model {name!r} cannot be made: {describe(exc)}") from exc
    if not isinstance(model, Model):
        raise InputError(f"{name!r} gives {type(model).__name__}, expected a function that returns a vidcam.Model")
    return model
