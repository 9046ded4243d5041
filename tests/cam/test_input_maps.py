"""Maps of the input: products by hand, pooling, several requests of one run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.nets import PooledHead, pooled_model, random_clip, seeded
from vidcam.cam.input_maps import STRIDE_NOTE, input_grid
from vidcam.cam.request import Fine
from vidcam.errors import InputError
from vidcam.maps import pool_volume, upsample_volume
from vidcam.results.explanation import Explanation

CLIP = random_clip(2, 3, 20, 36, 30)
BLANK = torch.full((1, 3, 20, 36, 30), 0.1)
IG = "integrated-gradients"
FINE = (IG, "gradcam-ig", "neutral-gradcam-ig")


def explained(**options: Any) -> Explanation:
    net = seeded(PooledHead).eval()
    settings: dict[str, Any] = {"methods": FINE, "target": 1, "steps": 3, "baseline": BLANK} | options
    return vidcam.explain(net, CLIP, **settings)


def test_products_equal_those_by_hand() -> None:
    made = explained(fine="full", methods=(*FINE, "gradcam", "neutral-gradcam"))
    signed = made.signed[IG]
    assert signed.shape == (2, 20, 36, 30)
    np.testing.assert_array_equal(made.volumes[IG], signed.clip(min=0))
    for base in ("gradcam", "neutral-gradcam"):
        coarse = torch.nn.functional.interpolate(
            torch.from_numpy(made.volumes[base])[:, None], signed.shape[1:], mode="trilinear"
        )[:, 0].numpy()
        scale = np.abs(coarse * signed).max()
        np.testing.assert_allclose(made.signed[f"{base}-ig"], coarse * signed, rtol=0, atol=1e-6 * scale)
        np.testing.assert_allclose(made.volumes[f"{base}-ig"], coarse * signed.clip(min=0), rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize(("fine", "grid"), [("pooled", (16, 28, 28)), ("coarse", (8, 14, 14))])
def test_pooling_keeps_the_sum(fine: Fine, grid: tuple[int, int, int]) -> None:
    full, pooled = explained(fine="full"), explained(fine=fine)
    for name in FINE:
        assert pooled.volumes[name].shape == (2, *grid)
        for ours, theirs in ((pooled.volumes, full.volumes), (pooled.signed, full.signed)):
            np.testing.assert_allclose(ours[name].sum(axis=(1, 2, 3)), theirs[name].sum(axis=(1, 2, 3)), rtol=1e-4)
            np.testing.assert_allclose(ours[name], pool_volume(theirs[name], grid), rtol=0, atol=1e-9)


def test_the_positive_part_is_taken_before_pooling() -> None:
    made = explained()
    assert (made.volumes[IG] >= made.signed[IG] - 1e-9).all()
    assert made.volumes[IG].sum() > 1.2 * made.signed[IG].clip(min=0).sum()


def test_only_what_was_asked_for_is_returned_in_order() -> None:
    made = explained(methods=("neutral-gradcam-ig", "gradcam", "gradcam-ig"))
    assert made.methods == ("neutral-gradcam-ig", "gradcam", "gradcam-ig")
    assert list(made.completeness) == ["neutral-gradcam-ig", "gradcam-ig"]
    alone = explained(methods="gradcam-ig")
    assert alone.methods == ("gradcam-ig",)
    np.testing.assert_array_equal(alone.volumes["gradcam-ig"], made.volumes["gradcam-ig"])
    assert explained(methods="gradcam").signed == {}


def test_the_error_is_in_the_result() -> None:
    made = explained(steps=1)
    assert np.abs(made.completeness[IG]).max() > 0.01
    assert any("more steps bring it closer" in note for note in made.notes)
    assert not any("more steps" in note for note in explained(steps=48).notes)


def test_a_computed_baseline_has_its_clips() -> None:
    net = seeded(PooledHead).eval()
    baseline = vidcam.compute_baseline(net, BLANK)
    for name in FINE:
        np.testing.assert_array_equal(explained(baseline=baseline).volumes[name], explained().volumes[name])


def test_a_model_has_a_grey_baseline() -> None:
    model = pooled_model()
    clip = random_clip(1, 3, *model.spec.input_size)
    made = vidcam.explain(model, clip, methods=(IG, "expected-gradients"), steps=2)
    assert "The baseline is a flat grey clip." in made.notes
    assert made.volumes[IG].shape == (1, 8, 28, 28)


@pytest.mark.parametrize(
    ("size", "fine", "grid"),
    [
        ((16, 224, 224), "pooled", (16, 28, 28)),
        ((64, 20, 300), "pooled", (16, 20, 28)),
        ((16, 224, 224), "full", (16, 224, 224)),
        ((16, 224, 224), "coarse", (8, 14, 14)),
        ((4, 224, 10), "coarse", (4, 14, 10)),
        ((20, 300), "pooled", (20, 28)),
        ((20, 300), "coarse", (14, 14)),
        ((1000,), "pooled", (784,)),
        ((1000,), "coarse", (196,)),
    ],
)
def test_grids(size: tuple[int, ...], fine: str, grid: tuple[int, ...]) -> None:
    assert input_grid(size, fine) == grid


def test_an_unknown_grid() -> None:
    with pytest.raises(InputError, match="fine is 'rough', expected one of coarse, pooled, full"):
        explained(fine="rough")


def test_upsampled_maps_are_those_of_the_layer() -> None:
    made = explained(fine="full", methods=("gradcam", "gradcam-ig", IG))
    ratio = made.volumes["gradcam-ig"] / np.where(made.volumes[IG] > 0, made.volumes[IG], np.inf)
    expected = np.where(made.volumes[IG] > 0, upsample_volume(made.volumes["gradcam"], (20, 36, 30)), 0)
    np.testing.assert_allclose(ratio, expected, rtol=1e-4, atol=1e-9)


class Strided(nn.Module):
    """Sees every second frame only, then the sum of what is bright."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 1, 1, stride=(stride, 1, 1), bias=False)
        nn.init.ones_(self.conv.weight)
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        total = self.relu(self.conv(clip)).sum(dim=(1, 2, 3, 4))
        return torch.stack([total, -total], dim=1)


def test_the_stride_of_a_network_does_not_flicker() -> None:
    """Frames 0, 2, 4 … hold all of the gradient: the pooled map averages neighbours, says so and keeps its sum."""
    clip = torch.full((2, 3, 8, 4, 4), 0.5)
    options: dict[str, Any] = {"methods": IG, "target": 0, "layer": "relu", "baseline": torch.zeros_like(clip[:1])}
    found, even = (vidcam.explain(Strided(stride), clip, **options) for stride in (2, 1))
    whole = vidcam.explain(Strided(2), clip, fine="full", **options)
    frames = found.volumes["integrated-gradients"].sum(axis=(2, 3))[0]
    np.testing.assert_allclose(frames, 24 * np.array([0.75, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25]), rtol=1e-5)
    np.testing.assert_allclose(whole.volumes["integrated-gradients"].sum(axis=(2, 3))[0], [24, 0] * 4, rtol=1e-5)
    assert STRIDE_NOTE in found.notes
    assert STRIDE_NOTE not in whole.notes
    assert STRIDE_NOTE not in even.notes
    np.testing.assert_allclose(even.volumes["integrated-gradients"].sum(axis=(2, 3))[0], 24.0, rtol=1e-5)


def test_cells_of_two_frames_need_no_averaging() -> None:
    clip = torch.full((1, 3, 16, 4, 4), 0.5)
    found = vidcam.explain(Strided(2), clip, methods=IG, target=0, layer="relu", baseline=clip * 0, fine="coarse")
    np.testing.assert_allclose(found.volumes[IG].sum(axis=(2, 3))[0], [24] * 8, rtol=1e-5)
    assert STRIDE_NOTE not in found.notes
