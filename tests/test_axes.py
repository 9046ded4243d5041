"""The value object for the order of a clip's axes."""

from __future__ import annotations

import pytest
import torch

from vidcam.axes import Axes
from vidcam.errors import ShapeError

EVERY = ("NCTHW", "NTCHW", "NTHWC", "NCHWT", "TNCHW", "NTHW", "N(TC)HW", "N(CT)HW", "(NT)CHW")


def numbered(*shape: int) -> torch.Tensor:
    return torch.arange(torch.Size(shape).numel()).reshape(shape)


@pytest.mark.parametrize("text", EVERY)
def test_restore_undoes_view(text: str) -> None:
    axes = Axes(text, frames=5)
    canonical = numbered(2, 3 if "C" in text else 1, 5, 4, 6)
    clip = axes.restore(canonical)
    assert clip.ndim == axes.count
    torch.testing.assert_close(axes.view(clip), canonical, rtol=0, atol=0)


def test_where_a_value_goes() -> None:
    canonical = numbered(2, 3, 5, 4, 6)
    value = canonical[1, 2, 3, 0, 5]
    assert Axes("NTHWC").restore(canonical)[1, 3, 0, 5, 2] == value
    assert Axes("N(TC)HW").restore(canonical)[1, 3 * 3 + 2, 0, 5] == value
    assert Axes("N(CT)HW").restore(canonical)[1, 2 * 5 + 3, 0, 5] == value
    assert Axes("(NT)CHW", 5).restore(canonical)[1 * 5 + 3, 2, 0, 5] == value


def test_images_and_signals_have_fewer_axes() -> None:
    assert Axes("NHWC").view(numbered(2, 4, 6, 3)).shape == (2, 3, 4, 6)
    assert Axes("NLC").view(numbered(2, 9, 3)).shape == (2, 3, 9)
    assert Axes("NTHW").view(numbered(2, 5, 4, 6)).shape == (2, 1, 5, 4, 6)


def test_a_gradient_passes_through_a_view() -> None:
    clip = torch.randn(2, 15, 4, 6, requires_grad=True)
    view = Axes("N(TC)HW").view(clip)
    (gradient,) = torch.autograd.grad(view[1, 2, 3].sum(), clip)
    assert gradient[1, 3 * 3 + 2].eq(1).all()
    assert gradient.sum() == 24


@pytest.mark.parametrize("text", ["N(TC)HW", "N(CT)HW"])
def test_frames_in_channels_share_one_map(text: str) -> None:
    features = numbered(2, 7, 4, 6)
    torch.testing.assert_close(Axes(text).unfolded(features), features[:, :, None])


def test_frames_in_the_batch_become_time() -> None:
    features = numbered(10, 7, 4, 6)
    unfolded = Axes("(NT)CHW", 5).unfolded(features)
    assert unfolded.shape == (2, 7, 5, 4, 6)
    assert unfolded[1, 6, 3, 2, 1] == features[1 * 5 + 3, 6, 2, 1]
    torch.testing.assert_close(Axes("(NT)CHW", 5).unfolded(unfolded), unfolded)  # a reshape has done it


@pytest.mark.parametrize(
    "text", ["", "CTHW", "NC", "NCTHH", "NCXHW", "ntchw", "N(TH)CW", "(NTC)HW", "N(TC", "NCLH", "(NT)(CT)HW", "(N)CTHW"]
)
def test_what_names_no_axes(text: str) -> None:
    with pytest.raises(ShapeError, match="axes is"):
        Axes(text)


def test_a_clip_that_has_not_these_axes() -> None:
    with pytest.raises(ShapeError, match="'NTCHW' are 5"):
        Axes("NTCHW").view(numbered(2, 3, 4, 6))
    with pytest.raises(ShapeError, match="multiple of 3 channels"):
        Axes("N(TC)HW").view(numbered(2, 16, 4, 6))
    with pytest.raises(ShapeError, match="multiple of 4 frames"):
        Axes("(NT)CHW", 4).view(numbered(10, 3, 4, 6))
