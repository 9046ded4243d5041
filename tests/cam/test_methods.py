"""Raw maps: small numbers, and equal methods on pooled heads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vidcam.cam.methods import CHANNELS_AT_ONCE, PRODUCTS_AT_ONCE, canonical_methods, combine, hirescam, layercam
from vidcam.cam.weights import gradcam_plus_weights, gradcam_weights
from vidcam.errors import InputError, ShapeError

CellWise = Callable[[Tensor, Tensor], Tensor]


def pair(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator), torch.randn(shape, generator=generator)


def test_combine_two_channels() -> None:
    a = torch.tensor([[1.0, 2.0, 0.0], [4.0, 0.0, 1.0]]).view(1, 2, 1, 1, 3)
    assert combine(torch.tensor([[1.0, -0.5]]), a).tolist() == [[[[0.0, 2.0, 0.0]]]]


def test_permuted_channels_give_the_same_map() -> None:
    generator = torch.Generator().manual_seed(0)
    weights, a = torch.randn(2, 6, generator=generator), torch.randn(2, 6, 2, 3, 4, generator=generator)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(combine(weights[:, order], a[:, order]), combine(weights, a))


def test_half_precision_becomes_float32() -> None:
    volume = combine(torch.ones(1, 2), torch.ones(1, 2, 3, 3, dtype=torch.bfloat16))
    assert volume.dtype == torch.float32
    assert volume.eq(2).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"weights must be \(N, D\) like activations"):
        combine(torch.ones(1, 3), torch.ones(1, 2, 3, 3))


def test_cell_wise_methods_on_small_numbers() -> None:
    a = torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 1.0]]).view(1, 2, 1, 1, 3)
    g = torch.tensor([[2.0, -1.0, 1.0], [-0.25, 5.0, -4.0]]).view(1, 2, 1, 1, 3)
    assert hirescam(a, g).tolist() == [[[[1.0, 0.0, 0.0]]]]  # 2 - 1, -2 + 0, 3 - 4
    assert layercam(a, g).tolist() == [[[[2.0, 0.0, 3.0]]]]


@pytest.mark.parametrize("channels", [1, CHANNELS_AT_ONCE, 3 * CHANNELS_AT_ONCE + 5])
@pytest.mark.parametrize("at_once", [1, PRODUCTS_AT_ONCE])
def test_slices_of_channels_sum_to_the_whole(channels: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidcam.cam.methods.PRODUCTS_AT_ONCE", at_once)
    a, g = (tensor.double() for tensor in pair(3, channels, 2, 3, 4))
    expected, positive = torch.zeros(3, 2, 3, 4).double(), torch.zeros(3, 2, 3, 4).double()
    for d in range(channels):
        expected += a[:, d] * g[:, d]
        positive += a[:, d] * g[:, d].clamp(min=0)
    torch.testing.assert_close(hirescam(a, g), expected.clamp(min=0))
    torch.testing.assert_close(layercam(a, g), positive)


def test_equal_gradcam_if_the_gradient_is_constant() -> None:
    """On a pooled linear head hirescam = gradcam and layercam = gradcam+, exactly, not just up to scale."""
    a, g = pair(2, 40, 2, 3, 4)
    g = g[:, :, :1, :1, :1].expand_as(a)
    torch.testing.assert_close(hirescam(a, g), combine(gradcam_weights(a, g), a))
    torch.testing.assert_close(layercam(a, g), combine(gradcam_plus_weights(a, g), a))


@pytest.mark.parametrize("cells", [hirescam, layercam])
def test_cell_wise_identities(cells: CellWise) -> None:
    a, g = pair(2, 6, 1, 3, 4)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(cells(a[:, order], g[:, order]), cells(a, g))
    torch.testing.assert_close(cells(a.squeeze(2), g.squeeze(2)), cells(a, g).squeeze(1))
    torch.testing.assert_close(torch.cat([cells(a[:1], g[:1]), cells(a[1:], g[1:])]), cells(a, g))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("cells", [hirescam, layercam])
def test_cell_wise_methods_in_half_precision(cells: CellWise, dtype: torch.dtype) -> None:
    a, g = torch.full((1, 40, 2, 3), 300.0, dtype=dtype), torch.full((1, 40, 2, 3), 300.0, dtype=dtype)
    volume = cells(a, g)  # 40 · 90,000 overflows float16
    assert volume.dtype == torch.float32
    torch.testing.assert_close(volume, torch.full((1, 2, 3), 40 * float(a[0, 0, 0, 0]) ** 2))
    assert cells(a.double(), g.double()).dtype == torch.float64


@pytest.mark.parametrize("cells", [hirescam, layercam])
def test_cell_wise_shapes_must_agree(cells: CellWise) -> None:
    with pytest.raises(ShapeError, match="activations and gradients must have the same shape"):
        cells(torch.ones(1, 2, 3, 3), torch.ones(1, 2, 3))
    with pytest.raises(ShapeError, match=r"the same shape \(N, D, \.\.\.\)"):
        cells(torch.ones(1, 2), torch.ones(1, 2))


def test_method_names() -> None:
    assert canonical_methods(["gcam", "GradCAM++", "gcampp", " gcam+ "]) == ("gradcam", "gradcam++", "gradcam+")
    with pytest.raises(InputError, match="methods is empty, expected one or more"):
        canonical_methods([])
