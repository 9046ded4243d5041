"""Load C3D weights from a user's file. The origin of the weights decides the preprocessing.

The paper's Caffe network and its ports to PyTorch and Keras resize frames to 171 × 128 (width × height), convert them
to BGR, subtract the mean cube of Sports-1M (3, 16, 128, 171) or its mean colour, and take the centre crop of 112 × 112.
MMAction2 scales the shorter side to 128 and subtracts 104, 117, 128 from RGB.

vidcam downloads no C3D weights, because no published file could be verified. `docs/c3d.md` lists where to get some.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidcam.errors import WeightsError
from vidcam.models.labels import numbered_labels, parse_labels
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
    """Build C3D with random weights."""
    from vidcam.models.families.c3d import C3D

    return C3D(spec.classes)


def from_file(spec: ModelSpec, module: nn.Module, path: Path, mean_cube: Path | None = None) -> Model:
    """Load weights from a file into a C3D. Nothing is loaded unless the whole file fits.

    Args:
        spec: spec of the model, with Caffe's scaling by the mean colour.
        module: a `C3D` with the same number of classes.
        path: weights file in any layout of `c3d_layouts`.
        mean_cube: NumPy file (3, 16, 128, 171), BGR; None: use the cube in the weights file or else the mean colour.

    Raises:
        WeightsError: a file cannot be read, or does not fit.
    """
    from vidcam.models.families.c3d_layouts import to_state_dict
    from vidcam.models.weights.checkpoint import load_state_dict
    from vidcam.models.weights.files import read_weights
    from vidcam.models.weights.state import max_numbers
    from vidcam.system.fingerprint import sha256

    file = read_weights(path, max_numbers=max_numbers(module))
    tensors, metadata = dict(file.tensors), file.metadata
    stored_cube = tensors.pop(_CUBE_KEY, None)
    layout, state = to_state_dict(replace(file, tensors=tensors))
    cube = read_cube(mean_cube) if mean_cube is not None else None if stored_cube is None else stored_cube.numpy()
    preprocessing = "mmaction2" if layout == "mmaction2" else metadata.get("preprocessing", "caffe")
    spec_of_file = _set_preprocessing(spec, preprocessing, cube)
    text, source = metadata.get("labels"), f"labels in {path.name}"
    labels = () if text is None else parse_labels(text, spec.classes, source=source)
    _expect_classes(state["fc8.weight"], spec)
    load_state_dict(module, state, name=spec.name)
    provenance = f"{path.name} ({layout} layout; {_describe_preprocessing(spec_of_file)}), sha256 {sha256(path)}"
    return Model(spec_of_file, module, labels or numbered_labels(spec.classes), provenance)


def save(model: Model, path: Path) -> None:
    """Save a C3D as safetensors, with its labels, preprocessing and mean cube.

    Raises:
        OutputError: the file exists, or its folder is not writable.
        RunError: writing failed.
    """
    import torch
    from safetensors.torch import save as to_bytes

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.module.state_dict().items()}
    mean = model.spec.scaling.mean
    if isinstance(mean, MeanCube):
        tensors[_CUBE_KEY] = torch.tensor(mean.values)
    metadata = {
        "format": _FORMAT,
        "preprocessing": "mmaction2" if model.spec.scaling == MMACTION2_SCALING else "caffe",
        "labels": json.dumps(model.labels, ensure_ascii=False),
        "origin": model.weights,
    }
    with atomic_write(path, overwrite=False) as temporary_path:
        temporary_path.write_bytes(to_bytes(tensors, metadata))


def read_cube(path: Path) -> NDArray[np.float32]:
    """Read a mean cube, BGR in pixels, from a NumPy file: (3, 16, 128, 171), or its crop (3, 16, 112, 112).

    Raises:
        WeightsError: the file cannot be read, or is not a NumPy file.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as exc:
        raise WeightsError(
            f"mean cube {path.name} cannot be read ({str(exc).splitlines()[0][:200]}); convert Caffe's .binaryproto "
            "to a NumPy file (.npy)"
        ) from exc


def _set_preprocessing(spec: ModelSpec, preprocessing: str, cube: NDArray[np.float32] | None) -> ModelSpec:
    """Return the spec with the preprocessing that the weights were trained with."""
    if preprocessing == "mmaction2":
        if cube is not None:
            raise WeightsError("MMAction2 weights take no mean cube, only the mean 104, 117, 128; remove --mean-cube")
        return replace(spec, resize=CUBE_SIZE[0], scaling=MMACTION2_SCALING)
    if preprocessing != "caffe":
        raise WeightsError(
            f"the weights need the preprocessing {preprocessing!r}, expected 'caffe' or 'mmaction2'; update vidcam"
        )
    return spec if cube is None else replace(spec, scaling=replace(spec.scaling, mean=_crop_cube(cube, spec)))


def _crop_cube(cube: NDArray[np.float32], spec: ModelSpec) -> MeanCube:
    """Crop the cube as the model's frames are cropped."""
    full, cropped = (3, spec.frames, *CUBE_SIZE), (3, *spec.input_size)
    if cube.shape not in {full, cropped} or cube.dtype.kind != "f" or not (np.min(cube) >= 0 and np.max(cube) <= 255):
        raise WeightsError(
            f"the mean cube must be {full} (BGR, frames, height, width) of floats in [0, 255], got {cube.shape} of "
            f"{cube.dtype}"
        )
    if cube.shape == full:
        view = spec.geometry(CUBE_SIZE)
        cube = cube[:, :, view.top_px : view.top_px + cropped[2], view.left_px : view.left_px + cropped[3]]
    return MeanCube(cube)


def _expect_classes(last_weight: Tensor, spec: ModelSpec) -> None:
    """Check that the last layer has the model's number of classes."""
    if last_weight.ndim == 2 and last_weight.shape[0] != spec.classes:
        classes = last_weight.shape[0]
        names = [candidate.name for candidate in (C3D_SPORTS1M_SPEC, C3D_UCF101_SPEC) if candidate.classes == classes]
        hint = f"pass --model {names[0]}" if names else "build one with vidcam.models.families.c3d.C3D(classes)"
        raise WeightsError(f"the weights have {classes} classes, model {spec.name!r} has {spec.classes}; {hint}")


def _describe_preprocessing(spec: ModelSpec) -> str:
    """Describe the preprocessing for the provenance: 'stretched to 171 × 128, BGR minus a mean cube'."""
    mean, size = spec.scaling.mean, spec.resize
    mean_text = "a mean cube" if isinstance(mean, MeanCube) else ", ".join(f"{value:g}" for value in mean)
    resize = f"stretched to {size[1]} × {size[0]}" if isinstance(size, tuple) else f"shorter side {size}"
    return f"{resize}, {spec.scaling.channels.upper()} minus {mean_text}"
