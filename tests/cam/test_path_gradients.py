"""Integrated and expected gradients: known numbers, by hand in float64, captum, completeness, inputs of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.branches import TwoStreams
from tests.helpers.conduct import State
from tests.helpers.nets import BrightnessNet, PooledHead, random_clip, seeded
from tests.helpers.passes import attribution
from vidcam.axes import Axes
from vidcam.cam.path_gradients import PathIntegral, expected_gradients, graded_midpoints, integrated_gradients
from vidcam.cam.request import MapRequest
from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats

NCTHW = Axes("NCTHW")
CLIP = random_clip(2, 3, 8, 16, 16)
IG = "integrated-gradients"


def pooled() -> nn.Module:
    return seeded(PooledHead).eval()


def integral(net: nn.Module, clip: Tensor, baseline: Tensor, steps: int, target: int = 1) -> PathIntegral:
    return integrated_gradients(lambda part: net(part)[:, target], clip, baseline, NCTHW, steps=steps)


def signed(net: nn.Module, clip: Any = CLIP, **options: Any) -> Floats:
    settings: dict[str, Any] = {
        "baseline": torch.zeros_like(CLIP[:1]),
        "target": 1,
        "steps": 8,
        "fine": "full",
    } | options
    return vidcam.explain(net, clip, methods=IG, **settings).signed[IG]


class Weighted(nn.Module):
    """S_k = k · Σ w·x; a layer with a grid before it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv3d(3, 3, 1, groups=3, bias=False)
        self.weight = nn.Parameter(random_clip(3, 2, 4, 4, seed=3))
        nn.init.ones_(self.first.weight)

    def forward(self, clip: Tensor) -> Tensor:
        total = (self.first(clip) * self.weight).flatten(1).sum(dim=1)
        return torch.stack([total, 2 * total], dim=1)


@pytest.mark.parametrize("steps", [1, 7])
def test_of_a_linear_network_they_are_its_weights(steps: int) -> None:
    net, clip, baseline = Weighted(), random_clip(3, 3, 2, 4, 4), random_clip(1, 3, 2, 4, 4, seed=9)
    found = integral(net, clip, baseline, steps)
    expected = (2 * net.weight * (clip - baseline)).sum(dim=1).detach()
    torch.testing.assert_close(found.maps[0], expected)
    assert found.error.abs().max() < 1e-4


def test_equals_a_sum_by_hand_in_float64() -> None:
    net, clip = pooled().double(), CLIP.double()
    baseline = torch.full_like(clip[:1], 0.3)
    total = torch.zeros_like(clip)
    for alpha, weight in zip(*graded_midpoints(12), strict=True):
        point = (baseline + alpha * (clip - baseline)).requires_grad_()
        (gradient,) = torch.autograd.grad(net(point)[:, 1].sum(), point)
        total += weight * gradient
    expected = (total * (clip - baseline)).sum(dim=1)
    found = integral(net, clip, baseline, 12)
    torch.testing.assert_close(found.maps[0], expected, rtol=0, atol=1e-15)
    change = (net(clip) - net(baseline.expand_as(clip)))[:, 1]
    torch.testing.assert_close(found.error, (expected.flatten(1).sum(dim=1) - change) / change)


@pytest.mark.parametrize("method", ["riemann_middle", "gausslegendre"])
def test_equals_captum(method: str) -> None:
    captum: Any = pytest.importorskip("captum.attr")
    points, weights = np.polynomial.legendre.leggauss(20)
    rules = {
        "riemann_middle": (((np.arange(20) + 0.5) / 20).tolist(), [1 / 20] * 20),
        "gausslegendre": (((points + 1) / 2).tolist(), (weights / 2).tolist()),
    }
    net, baseline = pooled(), torch.zeros_like(CLIP)
    theirs = captum.IntegratedGradients(net).attribute(CLIP, baseline, target=1, n_steps=20, method=method)
    expected = theirs.sum(dim=1).detach()
    found = integrated_gradients(
        lambda clip: net(clip)[:, 1], CLIP, baseline[:1], NCTHW, steps=20, rule=lambda _: rules[method]
    )
    torch.testing.assert_close(found.maps[0], expected.float(), rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_the_parts_of_a_path_grow_from_the_baseline_on() -> None:
    points, weights = graded_midpoints(4)
    assert weights == pytest.approx([0.125, 0.2285534, 0.2959655, 0.3504811])
    assert points == pytest.approx([0.0625, 0.2392767, 0.5015362, 0.8247595])
    assert sum(graded_midpoints(37)[1]) == pytest.approx(1)


def test_more_steps_add_up_to_the_change_of_the_score() -> None:
    found = integral(pooled(), CLIP, torch.zeros_like(CLIP[:1]), 64)
    assert found.error.abs().max() < 0.01
    assert integral(pooled(), CLIP, torch.zeros_like(CLIP[:1]), 1).error.abs().max() > 0.05


def test_several_baselines_give_their_mean() -> None:
    baselines = torch.stack([torch.full((3, 8, 16, 16), level) for level in (-0.5, 0.0, 1.0)])
    alone = [integral(pooled(), CLIP, baseline[None], 6).maps[0] for baseline in baselines]
    torch.testing.assert_close(integral(pooled(), CLIP, baselines, 6).maps[0], torch.stack(alone).mean(dim=0))


def test_a_clip_does_not_depend_on_its_batch() -> None:
    np.testing.assert_allclose(signed(pooled())[1:], signed(pooled(), CLIP[1:]), rtol=0, atol=1e-7)


def test_other_axes_give_the_same_map() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = pooled()

        def forward(self, clip: Tensor) -> Tensor:
            scores: Tensor = self.net(clip.transpose(1, 2))
            return scores

    baseline = torch.zeros(1, 8, 3, 16, 16)
    turned = signed(Turned().eval(), CLIP.transpose(1, 2).contiguous(), axes="NTCHW", baseline=baseline)
    np.testing.assert_allclose(turned, signed(pooled()), rtol=0, atol=1e-8)


def test_pathways_share_one_path() -> None:
    net = seeded(TwoStreams).eval()
    clips = [random_clip(2, 3, 8, 16, 16), random_clip(2, 2, 4, 16, 16, seed=4)]
    blank = [torch.zeros_like(clip) for clip in clips]
    found = integrated_gradients(lambda part: net(part)[:, 0], clips, blank, NCTHW, steps=24)
    assert [tuple(part.shape) for part in found.maps] == [(2, 8, 16, 16), (2, 4, 16, 16)]
    assert found.error.abs().max() < 0.03
    explained = vidcam.explain(net, clips, methods=IG, target=0, steps=24, baseline=blank)
    total = sum(float(part[0].sum()) for part in found.maps)
    assert explained.signed[IG].shape == (2, 8, 16, 16)
    assert float(explained.signed[IG][0].sum()) == pytest.approx(total, rel=1e-4)


def test_images() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    explained = vidcam.explain(net, random_clip(2, 3, 40, 30), methods=IG, target=0, baseline=torch.zeros(1, 3, 40, 30))
    assert explained.volumes[IG].shape == (2, 28, 28)


class Boxed(nn.Module):
    """The pooled network, whose scores are multiplied by one number for each clip."""

    def __init__(self) -> None:
        super().__init__()
        self.net = pooled()

    def forward(self, clip: Tensor, scale: Tensor) -> Tensor:
        return torch.as_tensor(self.net(clip) * scale[:, None])


def test_other_inputs_of_each_clip() -> None:
    scale = torch.tensor([1.0, 3.0])
    expected = signed(pooled()) * scale.numpy()[:, None, None, None]
    np.testing.assert_allclose(signed(Boxed().eval(), args=(scale,)), expected, rtol=0, atol=1e-7)


def test_kinds_of_scores() -> None:
    net = pooled()
    plain = signed(net)
    np.testing.assert_allclose(signed(net, target=lambda output: output[:, 1]), plain, rtol=0, atol=1e-8)
    np.testing.assert_allclose(signed(net, score="negative"), -plain, rtol=0, atol=1e-8)
    np.testing.assert_allclose(signed(net, contrast=2), plain - signed(net, target=2), rtol=0, atol=1e-7)
    np.testing.assert_allclose(signed(net, target=[1, 2])[1], signed(net, target=2)[1], rtol=0, atol=1e-8)


def test_a_probability_adds_up_to_its_own_change() -> None:
    net, blank = pooled(), torch.zeros_like(CLIP)
    explained = vidcam.explain(net, CLIP, methods=IG, target=1, score="probability", steps=48, baseline=blank[:1])
    change = (net(CLIP).softmax(dim=1) - net(blank).softmax(dim=1))[:, 1].detach().numpy()
    np.testing.assert_allclose(explained.signed[IG].sum(axis=(1, 2, 3)), change, rtol=0.03)
    assert np.abs(explained.completeness[IG]).max() < 0.03


def test_expected_gradients_draw_with_a_seed() -> None:
    baselines = torch.rand(5, 3, 1, 1, 1).expand(-1, -1, 8, 16, 16)

    def drawn(seed: int, steps: int = 5) -> Tensor:
        score = pooled()
        return expected_gradients(lambda c: score(c)[:, 1], CLIP, baselines, NCTHW, steps=steps, seed=seed).maps[0]

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))
    mean = integral(pooled(), CLIP, baselines, 16).maps[0]
    far, near = ((drawn(0, steps) - mean).abs().sum() for steps in (5, 200))
    assert near < 0.2 * mean.abs().sum()
    assert near < far


def test_expected_gradients_of_a_linear_network() -> None:
    """The mean over all baselines, drawn once each, whatever α is."""
    net, clip, baselines = Weighted(), random_clip(2, 3, 2, 4, 4), random_clip(4, 3, 2, 4, 4, seed=5)
    found = expected_gradients(lambda c: net(c)[:, 1], clip, baselines, NCTHW, steps=8)
    expected = (2 * net.weight * (clip - baselines.mean(dim=0))).sum(dim=1).detach()
    torch.testing.assert_close(found.maps[0], expected)
    assert found.error.abs().max() < 1e-4


def test_expected_gradients_take_the_other_clips_of_the_batch() -> None:
    net, clip = Weighted(), random_clip(3, 3, 2, 4, 4)
    found = expected_gradients(lambda c: net(c)[:, 1], clip, None, NCTHW, steps=2)
    others = torch.stack([clip[[1, 2]].mean(dim=0), clip[[0, 2]].mean(dim=0), clip[[0, 1]].mean(dim=0)])
    torch.testing.assert_close(found.maps[0], (2 * net.weight * (clip - others)).sum(dim=1).detach())


def test_refusals() -> None:
    with pytest.raises(InputError, match="integrated-gradients needs a baseline; pass baseline="):
        vidcam.explain(pooled(), CLIP, methods=IG)
    with pytest.raises(InputError, match="expected-gradients needs other clips; pass several as baseline="):
        vidcam.explain(pooled(), CLIP[:1], methods="expected-gradients")
    with pytest.raises(InputError, match="steps is 0; it must be at least 1"):
        vidcam.explain(pooled(), CLIP, methods=IG, steps=0)
    with pytest.raises(ShapeError, match="pass a baseline of the clip's sizes"):
        integral(pooled(), CLIP, torch.zeros(1, 3, 8, 8, 8), 2)


def test_the_model_is_left_as_it_was() -> None:
    net = seeded(PooledHead)  # in training mode
    state = State(net, CLIP)
    methods = (IG, "expected-gradients", "neutral-gradcam-ig")
    vidcam.explain(net, CLIP, methods=methods, baseline=torch.zeros_like(CLIP[:1]), steps=2)
    state.check_unchanged()


def test_the_score_of_a_clip() -> None:
    net = pooled()
    with attribution(net, CLIP, MapRequest(contrast=2)) as run:
        score = run.score_of([0, 1])
        with torch.no_grad():
            values = score(2 * CLIP)
        assert not values.requires_grad
        with torch.enable_grad():
            assert score(CLIP).requires_grad
        explained = run.explain([0, 1])  # the recorded pass still serves
    expected = net(2 * CLIP).detach()
    torch.testing.assert_close(values, expected[[0, 1], [0, 1]] - expected[:, 2])
    assert explained.target.tolist() == [0, 1]


def test_the_map_follows_what_is_bright() -> None:
    clip = torch.zeros(1, 3, 8, 16, 16)
    clip[:, :, 1, 3, 5] = 1.0
    explained = vidcam.explain(BrightnessNet(), clip, methods=IG, target=0, baseline=torch.zeros_like(clip))
    volume = explained.volumes[IG][0]
    assert np.argwhere(volume > 0).tolist() == [[1, 3, 5]]
    assert volume.sum() == pytest.approx(1 / 256)  # the mean of a cell of 4 × 8 × 8 pixels
