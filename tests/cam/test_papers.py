"""What the papers work out by hand: fig. 2 of Grad-CAM++ (GC++), and the objections of EQ (arXiv:2205.10838)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import vidcam
from tests.helpers.footprints import ACTIVE, CELLS, RECTANGLES, FootprintNet, footprints
from vidcam.cam.methods import combine
from vidcam.cam.weights import correlation, gradcam_pp_signed_weights, gradcam_pp_weights, gradcam_weights
from vidcam.results.explanation import Explanation

METHODS = ("gradcam", "gradcam+", "gradcam++")


def explained(network: FootprintNet, *, score_scale: float = 1.0) -> Explanation:
    """Explain the example's class at its three feature maps."""
    return vidcam.explain(network, footprints(), layer="maps", methods=METHODS, target=0, score_scale=score_scale)


def objects(volume: np.ndarray) -> list[float]:
    """The map's value on each of the three objects. It is the same on the whole object, and 0 on no object."""
    plane, rest = volume[0, 0], volume[0, 0].copy()
    values = []
    for top, left, height, width in RECTANGLES:
        part = np.s_[top : top + height, left : left + width]
        assert np.ptp(plane[part]) == 0
        values.append(float(plane[part][0, 0]))
        rest[part] = 0
    assert not rest.any()
    return values


def test_gradcam_pales_the_small_objects_of_figure_2() -> None:
    result = explained(FootprintNet())
    for method in ("gradcam", "gradcam+"):
        assert objects(result.volumes[method]) == pytest.approx([15 / 80, 4 / 80, 2 / 80])
        assert objects(result.heat(method)) == pytest.approx([1, 4 / 15, 2 / 15])


def test_gradcam_pp_pales_them_less() -> None:
    """By eq. 19, α = 1/(2 + ΣA·g): weights n/(2 + n) for n active cells."""
    result = explained(FootprintNet())
    assert objects(result.volumes["gradcam++"]) == pytest.approx([15 / 17, 4 / 6, 2 / 4])
    assert objects(result.heat("gradcam++")) == pytest.approx([1, 34 / 45, 17 / 30])
    maps = footprints()
    torch.testing.assert_close(gradcam_pp_signed_weights(maps, maps), torch.tensor([[15 / 17, 4 / 6, 2 / 4]]))


def test_eq_6_weights_the_objects_equally_and_eq_19_only_in_the_limit() -> None:
    """Eq. 6, the α of the figure, is 1/n. Eq. 19 approaches it as λ grows, up to the factor 1/λ."""
    maps = footprints().flatten(2)
    by_eq_6 = (maps / maps.sum(dim=2, keepdim=True)).sum(dim=2)
    torch.testing.assert_close(by_eq_6, torch.ones(1, 3))
    limit = explained(FootprintNet(), score_scale=1e6)
    assert objects(1e6 * limit.volumes["gradcam++"]) == pytest.approx([1, 1, 1], rel=1e-5)


def test_with_small_gradients_gradcam_pp_pales_them_as_gradcam_does() -> None:
    """The objection (EQ 3.3): where ΣA·g is far below 2, every α is nearly 1/2, and the map that of gradcam+."""
    result = explained(FootprintNet(scale=0.01))
    by_hand = [n * 0.01 / (2 + n * 0.01) for n in ACTIVE]
    assert objects(result.volumes["gradcam++"]) == pytest.approx(by_hand)
    assert objects(result.heat("gradcam++")) == pytest.approx([1, by_hand[1] / by_hand[0], by_hand[2] / by_hand[0]])
    for small, paled in zip(objects(result.heat("gradcam++")), objects(result.heat("gradcam")), strict=True):
        assert paled <= small < paled + 0.015
    assert correlation(result.volumes["gradcam+"], result.volumes["gradcam++"])[0] > 0.999


def test_behind_global_pooling_gradcam_pales_nothing() -> None:
    """Eq. 4 does not hold there: the gradient is the same at every cell, active or not."""
    result = explained(FootprintNet(pooled=True))
    assert objects(result.volumes["gradcam"]) == pytest.approx([1 / CELLS] * 3)
    assert objects(result.heat("gradcam")) == pytest.approx([1, 1, 1])
    assert objects(result.volumes["gradcam++"]) == pytest.approx([1 / (2 + n / CELLS) for n in ACTIVE])


def score_by_eq_7(alphas: Tensor, gradients: Tensor, activations: Tensor) -> Tensor:
    """Y = Σ_k (Σ α·relu(g)) · ΣA, the equation that α is derived from, (N,)."""
    weights = (alphas * gradients.relu()).flatten(2).sum(dim=2)
    return (weights * activations.flatten(2).sum(dim=2)).sum(dim=1)


def test_two_alphas_give_the_same_score_and_different_maps() -> None:
    """EQ 3.1.1: eq. 7 is one equation for as many α as there are cells, so the score does not determine α."""
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(1, 4, 2, 5, 5, generator=generator, dtype=torch.float64).square()
    g = torch.randn(1, 4, 2, 5, 5, generator=generator, dtype=torch.float64)
    of_the_paper = 1 / (2 + a.flatten(2).sum(dim=2)[..., None, None, None] * g)
    score = score_by_eq_7(of_the_paper, g, a)
    maps = [combine(gradcam_pp_weights(a, g), a)]
    for channel in range(2):  # α that is 0 in all channels but one
        alone = torch.zeros_like(a)
        alone[:, channel] = 1.0
        other = alone * (score / score_by_eq_7(alone, g, a))
        torch.testing.assert_close(score_by_eq_7(other, g, a), score, rtol=1e-12, atol=0)
        maps.append(combine((other * g.relu()).flatten(2).sum(dim=2), a))
    first, second, third = (volume.numpy() for volume in maps)
    assert max(correlation(first, second)[0], correlation(first, third)[0]) < 0.8
    assert abs(correlation(second, third)[0]) < 0.3


def test_the_weights_of_figure_2() -> None:
    maps = footprints()
    torch.testing.assert_close(gradcam_weights(maps, maps), torch.tensor([[15 / 80, 4 / 80, 2 / 80]]))
    torch.testing.assert_close(gradcam_pp_weights(maps, maps), torch.tensor([[15 / 17, 4 / 6, 2 / 4]]))
