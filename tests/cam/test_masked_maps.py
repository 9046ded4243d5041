"""`occlusion` and `rise` as methods of `explain`: targets, budgets, pathways, arguments, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.nets import BrightnessNet, PooledHead, brightness_model, random_clip, seeded
from vidcam.cam.explain import explain, explain_each
from vidcam.errors import InputError

GREY = torch.full((1, 3, 8, 16, 16), 0.5)


def bright() -> tuple[Tensor, Any]:
    """A clip of brightness 1 to 8 in the cells of `BrightnessNet`, and its score, which is linear: their sum."""
    cells = torch.arange(1.0, 9.0).view(1, 1, 2, 2, 2)
    clip = nn.functional.interpolate(cells, size=(8, 16, 16)).expand(1, 3, 8, 16, 16).clone()
    return clip, cells.numpy()[0]


def test_occlusion_of_a_linear_network_is_what_each_cell_adds() -> None:
    clip, cells = bright()
    explanation = explain(BrightnessNet(), clip, methods="occlusion", target=0, baseline=GREY, budget=9)
    np.testing.assert_allclose(explanation.volumes["occlusion"], cells - 0.5, rtol=1e-5)
    assert explanation.layer_volumes == {}
    assert explanation.heat("occlusion").shape == (1, 8, 16, 16)


def test_scores_of_every_kind() -> None:
    """S_1 = -S_0: the contrast doubles the map, the other class has none, and what is negative is kept aside."""
    clip, cells = bright()
    options: dict[str, Any] = {"methods": "occlusion", "baseline": GREY, "budget": 9}
    net = BrightnessNet()
    doubled = explain(net, clip, target=0, contrast=1, **options)
    np.testing.assert_allclose(doubled.volumes["occlusion"], 2 * (cells - 0.5), rtol=1e-5)
    function = explain(net, clip, target=lambda output: 3 * output[:, 0], **options)
    np.testing.assert_allclose(function.volumes["occlusion"], 3 * (cells - 0.5), rtol=1e-5)
    first, second = explain_each(net, clip, [0, 1], **options)
    assert not second.volumes["occlusion"].any()
    np.testing.assert_allclose(second.signed["occlusion"], -first.volumes["occlusion"], rtol=1e-5)
    negative = explain(net, clip, target=1, score="negative", **options)
    np.testing.assert_allclose(negative.volumes["occlusion"], first.volumes["occlusion"], rtol=1e-5)


def test_rise_finds_the_brightest_cell_and_says_how_sure_it_is(tmp_path: Path) -> None:
    clip, cells = bright()
    options: dict[str, Any] = {"methods": "rise", "target": 0, "baseline": GREY}
    runs = ((20, 0), (160, 0), (160, 1))
    few, many, other = (explain(BrightnessNet(), clip, budget=each, seed=seed, **options) for each, seed in runs)
    assert many.volumes["rise"].shape == (1, 8, 16, 16)
    blocks = many.signed["rise"].reshape(2, 4, 2, 8, 2, 8).mean(axis=(1, 3, 5))
    assert blocks.argmax() == cells.argmax()
    assert np.corrcoef(blocks.ravel(), cells.ravel())[0, 1] > 0.75
    assert 0 < many.noise["rise"][0] < 0.8 * few.noise["rise"][0]
    assert not np.array_equal(many.volumes["rise"], other.volumes["rise"])
    assert any("standard error of rise" in note for note in many.notes)
    many.save(tmp_path / "maps.npz")
    loaded = vidcam.load(tmp_path / "maps.npz")
    assert isinstance(loaded, vidcam.Explanation)
    np.testing.assert_array_equal(loaded.noise["rise"], many.noise["rise"])


def test_the_budget_counts_forwards_and_progress_reports_them() -> None:
    clip, runs, told = random_clip(2, 3, 8, 16, 16), [0], list[tuple[str, float, float | None]]()
    net = BrightnessNet()
    net.register_forward_hook(lambda *_: runs.__setitem__(0, runs[0] + 1))
    plain: dict[str, Any] = {"target": 0, "baseline": GREY, "progress": lambda *step: told.append(step)}
    explain(net, clip, methods="gradcam", **plain)
    before = runs[0]
    explain(net, clip, methods="gradcam, occlusion, rise", budget=12, **plain)
    assert runs[0] - 2 * before == 9 + 12  # 2 × 2 × 2 boxes and the clip; a batch counts once
    assert [step for step in told if step[0] == "rise"] == [("rise", done, 12) for done in range(1, 13)]
    assert told[8] == ("occlusion", 9, 9)


def test_a_model_needs_no_baseline_and_takes_grey() -> None:
    model = brightness_model()
    clip = torch.rand(1, 3, *model.spec.input_size)
    explanation = explain(model, clip, methods=("occlusion",), target=0, budget=9)
    assert "The baseline is a flat grey clip." in explanation.notes
    grey = torch.full_like(clip, 127.5 / 255)
    by_hand = explain(model, clip, methods=("occlusion",), target=0, budget=9, baseline=grey)
    np.testing.assert_array_equal(explanation.signed["occlusion"], by_hand.signed["occlusion"])


class Scaled(nn.Module):
    """Two pathways, and a factor for each row as another argument; it counts its runs in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 2, 1), nn.Conv3d(3, 2, 1)
        self.runs: Tensor
        self.register_buffer("runs", torch.zeros(1))

    def forward(self, pathways: list[Tensor], factor: Tensor) -> Tensor:
        self.runs += 1
        slow, fast = self.slow(pathways[0]).relu(), self.fast(pathways[1]).relu()
        scores: Tensor = factor[:, None] * (slow.mean(dim=(2, 3, 4)) + fast.mean(dim=(2, 3, 4)))
        return scores


def test_pathways_and_arguments_of_each_row() -> None:
    net, fast = seeded(Scaled), random_clip(2, 3, 8, 6, 6)
    clip, factor = [fast[:, :, ::4], fast], torch.tensor([1.0, 3.0])
    explanation = explain(
        net, clip, methods="occlusion", target=0, baseline=[part[:1] * 0 for part in clip], args=(factor,), budget=19
    )
    grid = explanation.signed["occlusion"].shape[1:]
    assert grid == (2, 3, 3)
    assert isinstance(net, Scaled)
    hidden = [part.clone() for part in clip]
    hidden[0][:, :, :1, 2:4, 4:], hidden[1][:, :, :4, 2:4, 4:] = 0, 0
    with torch.no_grad():
        drop = (net(clip, factor) - net(hidden, factor))[:, 0]
    np.testing.assert_allclose(explanation.signed["occlusion"][:, 0, 1, 2], drop.numpy(), rtol=1e-4, atol=1e-7)
    assert float(net.get_buffer("runs")) == 2  # only those of this test


def test_the_model_is_left_as_it_was_after_an_interrupt() -> None:
    net, clip = seeded(PooledHead).train(), random_clip(1, 3, 4, 8, 8)

    def stop(_stage: str, done: float, _total: float | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        explain(net, clip, methods="rise", layer="block2", target=0, baseline=clip * 0, progress=stop)
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("method", ["occlusion", "rise"])
def test_what_is_refused(method: str) -> None:
    clip, _ = bright()
    with pytest.raises(InputError, match=f"{method} needs a baseline; pass baseline="):
        explain(BrightnessNet(), clip, methods=method, target=0)
    with pytest.raises(InputError, match=f"{method} needs one baseline clip to hide parts with, got 3"):
        explain(BrightnessNet(), clip, methods=method, target=0, baseline=GREY.expand(3, -1, -1, -1, -1))
    with pytest.raises(InputError, match="budget is 1; occlusion and rise need at least 2"):
        explain(BrightnessNet(), clip, methods=method, target=0, baseline=GREY, budget=1)
