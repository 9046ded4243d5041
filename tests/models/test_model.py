from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from vidcam.errors import InputError, NameNotFoundError, ShapeError
from vidcam.models.model import Model
from vidcam.spec import ModelSpec, Scaling

SPEC = ModelSpec(
    name="three",
    frames=4,
    fps=Fraction(5),
    resize=8,
    crop_size=(8, 8),
    scaling=Scaling((0, 0, 0), (1, 1, 1)),
    classes=3,
    layer=None,
)
LABELS = ("Walking", "walking the dog", "7")


@pytest.fixture
def model() -> Model:
    return Model(SPEC, nn.Linear(2, 3), LABELS, "none")


@pytest.mark.parametrize(
    ("label_or_index", "index"),
    [("Walking", 0), ("WALKING", 0), (" walking the dog ", 1), ("1", 1), (1, 1), ("7", 2), (2, 2), ("0", 0)],
)
def test_label_index(model: Model, label_or_index: str | int, index: int) -> None:
    assert model.label_index(label_or_index) == index


def test_an_exact_match_comes_before_one_in_another_case() -> None:
    model = Model(SPEC, nn.Linear(2, 3), ("a", "A", "b"), "none")
    assert [model.label_index(name) for name in ("a", "A", "B")] == [0, 1, 2]


@pytest.mark.parametrize("index", [3, -1, "3", "-1", 7])
def test_an_index_out_of_range(model: Model, index: str | int) -> None:
    with pytest.raises(InputError, match=f"class index {index} is out of range for 'three': pass 0 to 2"):
        model.label_index(index)


def test_input_from_frames() -> None:
    """Frames are cropped to the square in the middle, scaled, and put into the network's order of axes."""
    spec = replace(SPEC, scaling=Scaling((1, 2, 3), (2, 2, 2), channels="bgr"), axes="NTCHW")
    frames = np.zeros((4, 8, 12, 3), np.uint8)
    frames[2, :, 2:10] = 11, 22, 33
    clip = Model(spec, nn.Linear(2, 3), LABELS, "none").input_from(frames)
    assert clip.shape == (1, 4, 3, 8, 8)
    torch.testing.assert_close(clip[0, 2], torch.tensor([16.0, 10.0, 4.0]).view(3, 1, 1).expand(3, 8, 8))
    assert clip[0, 0, :, 0, 0].tolist() == [-0.5, -1.0, -1.5]


@pytest.mark.parametrize(
    "frames", [np.zeros((8, 8, 3), np.uint8), np.zeros((4, 8, 8, 3)), np.zeros((1, 4, 8, 8, 3), np.uint8)]
)
def test_input_from_other_arrays(model: Model, frames: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ShapeError, match=r"expected uint8 \(T, H, W, 3\)"):
        model.input_from(frames)


def test_label_of_an_index(model: Model) -> None:
    assert model.label(1) == "walking the dog"
    with pytest.raises(InputError, match="class index 3 is out of range"):
        model.label(3)


@pytest.mark.parametrize("name", ["walkin", "1.0", "", "²"])
def test_an_unknown_label(model: Model, name: str) -> None:
    with pytest.raises(
        NameNotFoundError,
        match=f"label '{name}' not found; (the nearest are .*; )?pass a label of 'three' or an index from 0 to 2",
    ):
        model.label_index(name)


def test_an_exported_program_is_named() -> None:
    program: Any = torch.export.export(nn.Linear(2, 3).eval(), (torch.zeros(1, 2),))
    with pytest.raises(InputError, match=r"ExportedProgram; pass .* torch\.export\.unflatten"):
        Model(SPEC, program, ("a", "b", "c"), "none")


def test_labels_and_classes_must_agree() -> None:
    with pytest.raises(ShapeError, match="has 2 labels for 3 classes"):
        Model(SPEC, nn.Linear(2, 3), ("a", "b"), "none")


@pytest.mark.parametrize("training", [False, True])
def test_the_network_keeps_its_mode(training: bool) -> None:
    assert Model(SPEC, nn.Dropout().train(training), LABELS, "none").module.training == training


def test_device_and_to(model: Model) -> None:
    assert model.device == torch.device("cpu")
    moved = model.to("meta")
    assert moved.device == torch.device("meta")
    assert (moved.spec, moved.labels, moved.weights) == (model.spec, model.labels, model.weights)


@pytest.mark.parametrize("module", [nn.ReLU(), nn.BatchNorm1d(3, affine=False)])
def test_device_without_parameters(module: nn.Module) -> None:
    assert Model(SPEC, module, LABELS, "none").device == torch.device("cpu")


def test_repr_omits_the_network_and_the_labels(model: Model) -> None:
    assert "Linear" not in repr(model)
    assert "walking" not in repr(model)
