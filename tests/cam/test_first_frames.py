"""The frames that a notebook shows beside the maps: pixels of the first clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import vidcam
from tests.helpers.nets import pooled_model
from vidcam.cam.subject import THUMBNAIL_PX, first_frames, read_subject
from vidcam.preprocess import scale_pixels


def test_frames_of_a_model_are_its_pixels() -> None:
    model = pooled_model()
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2, 3, *model.spec.input_size), generator=generator).float()
    frames = first_frames(read_subject(model, scale_pixels(pixels, model.spec.scaling)))
    shown = np.unique(np.linspace(0, model.spec.frames - 1, min(8, model.spec.frames)).round().astype(int))
    assert frames is not None
    np.testing.assert_array_equal(frames, pixels[0][:, shown].permute(1, 2, 3, 0).numpy())


def test_frames_of_a_plain_module_are_stretched_and_shrunk() -> None:
    clip = torch.zeros(1, 3, 20, 400, 200)
    clip[0, :, :, 200:] = 4.0
    clip[0, 0] -= 1.0
    frames = first_frames(read_subject(nn.Conv3d(3, 2, 1), clip))
    assert frames is not None
    assert frames.shape == (8, 134, 67, 3)
    assert max(frames.shape[1:3]) <= THUMBNAIL_PX
    assert frames[0, 0, 0].tolist() == [0, 51, 51]
    assert frames[-1, -1, -1].tolist() == [204, 255, 255]


@pytest.mark.parametrize("shape", [(1, 2, 4, 8, 8), (2, 3, 8)])
def test_what_is_no_picture_has_no_frames(shape: tuple[int, ...]) -> None:
    assert first_frames(read_subject(nn.Flatten(), torch.zeros(shape))) is None
    assert first_frames(read_subject(nn.Flatten(), [torch.zeros(shape)])) is None


def test_a_notebook_shows_them() -> None:
    model = pooled_model()
    explanation = vidcam.explain(model, torch.zeros(3, *model.spec.input_size), target=0)
    assert explanation.frames is not None
    assert (explanation._repr_png_() or b"").startswith(b"\x89PNG")
