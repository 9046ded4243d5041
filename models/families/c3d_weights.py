"""C3D with weights out of a user's file: how its frames are prepared follows where the weights come from.

The Caffe network of the paper, and with it the ports to PyTorch and Keras, takes frames stretched to 171 × 128 (width ×
height), BGR, minus the mean cube of Sports-1M (3, 16, 128, 171) or its mean colour, then the middle 112 × 112.
MMAction2 scales the shorter side to 128 and subtracts 104, 117, 128 from RGB.

vidcam fetches nothing here: no published file could be verified. `docs/models.md` names where some are offered.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidcam.errors import WeightsError
from vidcam.models.labels import parse_labels
from vidcam.models.model import Model
from vidcam.models.specs import C3D_SPORTS1M_SPEC, C3D_UCF101_SPEC
from vidcam.spec import MeanCube, ModelSpec, Scaling
from vidcam.system.atomic import atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

MMACTION2_SCALING = Scaling(mean=(104.0, 117.0, 128.0), std=(1.0, 1.0, 1.0))
CUBE_SIZE = (128, 171)

_CUBE_KEY = "mean_cube"
_FORMAT = "vidcam-c3d 1"


def build(spec: ModelSpec) -> nn.Module:
    """C3D with random weights."""
    from vidcam.models.families.c3d import C3D

    return C3D(spec.classes)


def class_names(spec: ModelSpec) -> tuple[str, ...]:
    """'class 0', 'class 1', …: where nobody says what the classes are called."""
    return tuple(f"class {index}" for index in range(spec.classes))


def from_file(spec: ModelSpec, module: nn.Module, path: Path, mean_cube: Path | None = None) -> Model:
    """A C3D filled with the weights of a file; nothing of it is loaded unless all of it fits.

    Args:
        spec: of the model, in which the scaling is Caffe's with the mean colour.
        module: a `C3D` of as many classes.
        path: of the weights, in any layout of `c3d_layouts`.
        mean_cube: a NumPy file (3, 16, 128, 171), BGR.

    Raises:
        WeightsError: a file cannot be read, or is not what it should be.
    """
    from vidcam.models.families.c3d_layouts import to_state
    from vidcam.models.weights.checkpoint import fill
    from vidcam.models.weights.files import read_weights
    from vidcam.models.weights.state import most_numbers
    from vidcam.system.fingerprint import sha256

    file = read_weights(path, most_numbers=most_numbers(module))
    tensors = dict(file.tensors)
    stored = tensors.pop(_CUBE_KEY, None)
    layout, state = to_state(replace(file, tensors=tensors))
    cube = read_cube(mean_cube) if mean_cube is not None else None if stored is None else stored.numpy()
    prepared = "mmaction2" if layout == "mmaction2" else file.notes.get("preprocessing", "caffe")
    made = _prepared(spec, prepared, cube)
    labels = parse_labels(file.notes["labels"], spec.classes, source=path.name) if "labels" in file.notes else ()
    _expect_classes(state["fc8.weight"], spec)
    fill(module, state, name=spec.name)
    provenance = f"{path.name} ({layout} layout; {_told(made)}), sha256 {sha256(path)}"
    return Model(made, module, labels or class_names(spec), provenance)


def save(model: Model, path: Path) -> None:
    """Write a C3D as safetensors that load quickly and carry labels, preprocessing and mean cube with them.

    Raises:
        OutputError: the file exists, or its folder cannot be written to.
        RunError: writing failed in the middle.
    """
    import torch
    from safetensors.torch import save as serialised

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.module.state_dict().items()}
    mean = model.spec.scaling.mean
    if isinstance(mean, MeanCube):
        tensors[_CUBE_KEY] = torch.tensor(mean.values)
    notes = {
        "format": _FORMAT,
        "preprocessing": "mmaction2" if model.spec.scaling == MMACTION2_SCALING else "caffe",
        "labels": json.dumps(model.labels, ensure_ascii=False),
        "origin": model.weights,
    }
    with atomic_write(path, overwrite=False) as part:
        part.write_bytes(serialised(tensors, notes))


def read_cube(path: Path) -> NDArray[np.float32]:
    """A mean cube out of a NumPy file, BGR in pixels: (3, 16, 128, 171), or its crop (3, 16, 112, 112).

    Raises:
        WeightsError: it cannot be read or is something else.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as exc:
        raise WeightsError(
            f"mean cube {path.name} cannot be read ({str(exc).splitlines()[0][:200]}), expected a NumPy file (.npy) of "
            "numbers; convert Caffe's .binaryproto to one"
        ) from exc


def _prepared(spec: ModelSpec, prepared: str, cube: NDArray[np.float32] | None) -> ModelSpec:
    """The specification with the preprocessing that the weights were trained with."""
    if prepared == "mmaction2":
        if cube is not None:
            raise WeightsError(
                "a mean cube was given for weights of MMAction2, expected none, as these were trained with the means "
                "104, 117, 128; leave --mean-cube out"
            )
        return replace(spec, resize=CUBE_SIZE[0], scaling=MMACTION2_SCALING)
    if prepared != "caffe":
        raise WeightsError(
            f"the weights ask for the preprocessing {prepared!r}, expected 'caffe' or 'mmaction2'; use a newer vidcam"
        )
    return spec if cube is None else replace(spec, scaling=replace(spec.scaling, mean=_cropped(cube, spec)))


def _cropped(cube: NDArray[np.float32], spec: ModelSpec) -> MeanCube:
    """The part of the cube that lies under the model's crop."""
    whole, crop = (3, spec.frames, *CUBE_SIZE), (3, *spec.input_size)
    if cube.shape not in {whole, crop} or cube.dtype.kind != "f" or not (np.min(cube) >= 0 and np.max(cube) <= 255):
        raise WeightsError(
            f"the mean cube is {cube.shape} of {cube.dtype}, expected {whole} of numbers from 0 to 255: channels "
            "(BGR), frames, height, width; transpose it"
        )
    if cube.shape == whole:
        view = spec.geometry(CUBE_SIZE)
        cube = cube[:, :, view.top_px : view.top_px + crop[2], view.left_px : view.left_px + crop[3]]
    return MeanCube(cube)


def _expect_classes(last: Tensor, spec: ModelSpec) -> None:
    if last.ndim == 2 and last.shape[0] != spec.classes:
        other = next((known for known in (C3D_SPORTS1M_SPEC, C3D_UCF101_SPEC) if known.classes == last.shape[0]), None)
        hint = f"pass --model {other.name}" if other else "make a model with vidcam.models.families.c3d.C3D(classes)"
        raise WeightsError(
            f"the weights have {last.shape[0]} classes, expected the {spec.classes} of {spec.name!r}; {hint}"
        )


def _told(spec: ModelSpec) -> str:
    """The preprocessing, for people."""
    mean, size = spec.scaling.mean, spec.resize
    what = "a mean cube" if isinstance(mean, MeanCube) else ", ".join(f"{value:g}" for value in mean)
    how = f"stretched to {size[1]} × {size[0]}" if isinstance(size, tuple) else f"shorter side {size}"
    return f"{how}, {spec.scaling.channels.upper()} minus {what}"
