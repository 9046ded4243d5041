"""neutral-gradcam: small numbers, a plain loop, identities, and its effect on an artifact."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.nets import BrightnessNet, HiddenHead, PooledHead, random_clip, seeded
from tests.helpers.passes import record
from vidcam.cam.baseline import Baseline, find_artifact
from vidcam.cam.fusion import fuse
from vidcam.cam.methods import above_baseline
from vidcam.errors import InputError, ShapeError
from vidcam.results.explanation import Artifact, artifact_share


class TwoChannels(nn.Module):
    """A network with A = relu(clip), two channels of (1, 1, 2); S_0 = 2·ΣA_0 - ΣA_1, S_1 = -S_0."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        total = self.relu(clip).sum(dim=(2, 3, 4))
        score = 2 * total[:, 0] - total[:, 1]
        return torch.stack([score, -score], dim=1)


def two_channels(first: tuple[float, float], second: tuple[float, float]) -> Tensor:
    return torch.tensor([first, second], dtype=torch.float32).reshape(1, 2, 1, 1, 2)


def baseline_map(
    net: nn.Module, clip: Tensor, baseline: Tensor | Baseline, layer: str = "relu", target: int = 0
) -> Tensor:
    result = vidcam.explain(net, clip, layer=layer, target=target, methods=["neutral-gradcam"], baseline=baseline)
    return torch.from_numpy(result.volumes["neutral-gradcam"])


def test_two_channels_of_two_cells() -> None:
    """A - A₀ = (3, -1) and (1, 4): relu (3, 0) and (1, 4); 2·3 - 1 = 5 and 2·0 - 4 < 0."""
    clip, baseline = two_channels((4, 1), (1, 5)), two_channels((1, 2), (0, 1))
    assert baseline_map(TwoChannels(), clip, baseline).flatten().tolist() == [5.0, 0.0]
    assert baseline_map(TwoChannels(), clip, baseline, target=1).flatten().tolist() == [0.0, 4.0]


def test_activations_below_the_baseline_are_no_evidence() -> None:
    """Channel 1 has weight -1 and falls from 9 to 0 in cell 2. Without the inner relu that cell would win."""
    clip, baseline = two_channels((1, 0), (0, 0)), two_channels((0, 0), (0, 9))
    assert baseline_map(TwoChannels(), clip, baseline).flatten().tolist() == [2.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_a_plain_loop(dtype: torch.dtype) -> None:
    net = seeded(HiddenHead).to(dtype)
    clips, baseline = random_clip(2, 3, 3, 4, 4, dtype=dtype), random_clip(1, 3, 3, 4, 4, seed=5, dtype=dtype)
    result = baseline_map(net, clips, baseline, target=2)
    with record(net, ["relu"]) as tape:
        g = tape.gradients(net(clips)[:, 2].sum())["relu"]
        a = tape.activations["relu"]
    with record(net, ["relu"]) as tape:
        net(baseline)
        a0 = tape.activations["relu"]
    channels, *grid = a.shape[1:]
    for n, *cell in itertools.product(range(2), *map(range, grid)):
        at = tuple(cell)
        value = sum(
            float(g[n, d].mean()) * max(0.0, float(a[(n, d, *at)]) - float(a0[(0, d, *at)])) for d in range(channels)
        )
        assert float(result[(n, *at)]) == pytest.approx(max(0.0, value), rel=1e-5, abs=1e-7)


def test_the_two_differences_sum_to_that_of_the_scores() -> None:
    """Pooled linear head, float64: Σ w·relu(A - A₀) - Σ w·relu(A₀ - A) = S(clip) - S(baseline)."""
    net = seeded(PooledHead).double().eval()
    clip, baseline = random_clip(1, 3, 4, 8, 8, dtype=torch.float64), torch.zeros(1, 3, 4, 8, 8, dtype=torch.float64)
    with record(net, ["block2"]) as tape:
        scores = net(clip)
        weights = tape.gradients(scores[0, 1])["block2"].mean(dim=(2, 3, 4))
        a = tape.activations["block2"]
    with record(net, ["block2"]) as tape:
        difference = scores[0, 1] - net(baseline)[0, 1]
        a0 = tape.activations["block2"]
    rise, fall = above_baseline(a, a0), above_baseline(a0, a)
    assert float(rise.sum()) > 0
    assert float(fall.sum()) > 0
    sums = torch.einsum("nd,ndthw->", weights, rise - fall)
    torch.testing.assert_close(sums, difference.detach(), rtol=1e-10, atol=1e-12)


def test_equals_gradcam_if_the_baseline_is_zero() -> None:
    net, clips = TwoChannels(), random_clip(3, 2, 1, 1, 2)
    methods = ["gradcam", "neutral-gradcam"]
    result = vidcam.explain(net, clips, layer="relu", target=0, methods=methods, baseline=torch.zeros(1, 2, 1, 1, 2))
    assert (result.volumes["neutral-gradcam"] == result.volumes["gradcam"]).all()


def test_the_baseline_clip_itself_has_no_evidence() -> None:
    net, clip = seeded(HiddenHead), random_clip(1, 3, 3, 4, 4)
    result = vidcam.explain(net, clip, layer="relu", methods=["neutral-gradcam"], baseline=clip)
    assert result.empty["neutral-gradcam"].tolist() == [True]


def test_artifact_cells_become_zero() -> None:
    """One cell is high on any input. gradcam peaks there, neutral-gradcam at the bright place of the clip."""

    class ArtifactNet(BrightnessNet):
        def forward(self, clip: Tensor) -> Tensor:
            offset = torch.zeros(1, 1, 1, 4, 4)
            offset[..., 3, 3] = 50.0
            features = self.relu(self.pool(clip.mean(dim=1, keepdim=True)) + offset)
            total = features.flatten(1).sum(dim=1)
            return torch.stack([total, -total], dim=1)

    clip = torch.full((1, 3, 4, 32, 32), 0.5)
    clip[..., :8, 8:16] = 3.0
    methods = ["gradcam", "neutral-gradcam"]
    grey = torch.full((1, 3, 4, 32, 32), 0.5)
    result = vidcam.explain(ArtifactNet(), clip, layer="relu", target=0, methods=methods, baseline=grey)
    assert [int(result.volumes[name].argmax()) for name in methods] == [15, 1]
    assert result.audit().endswith("gradcam peaks in the artifact")


def test_baseline_of_several_clips_is_their_median() -> None:
    clips = torch.cat([two_channels((1, 5), (0, 1)), two_channels((2, 9), (0, 3)), two_channels((7, 6), (0, -9))])
    result = vidcam.compute_baseline(TwoChannels(), clips, layer="relu")
    assert result.activations["relu"].flatten().tolist() == [2.0, 6.0, 0.0, 1.0]


def test_each_of_several_layers_has_its_baseline() -> None:
    net, clips, grey = seeded(PooledHead), random_clip(2, 3, 4, 8, 8), torch.zeros(1, 3, 4, 8, 8)
    layers = ["block1", "block2"]
    seen = vidcam.compute_baseline(net, grey, layer=layers)
    assert seen.layers == ("block1", "block2")
    assert seen.artifact is None
    both = vidcam.explain(net, clips, layer=layers, methods=["neutral-gradcam"], baseline=seen)
    alone = [vidcam.explain(net, clips, layer=one, methods=["neutral-gradcam"], baseline=grey) for one in layers]
    fused = fuse([one.volumes["neutral-gradcam"] for one in alone], "mean")
    assert both.volumes["neutral-gradcam"] == pytest.approx(fused, abs=1e-6)


def test_a_computed_baseline_equals_a_baseline_clip() -> None:
    net, clips, grey = seeded(HiddenHead), random_clip(2, 3, 3, 4, 4), torch.full((1, 3, 3, 4, 4), 0.3)
    seen = vidcam.compute_baseline(net, grey, layer="relu")
    once = baseline_map(net, clips, seen)
    assert torch.equal(once, baseline_map(net, clips, grey))
    (each, _) = vidcam.explain_each(net, clips, [0, 1], layer="relu", baseline=seen, methods=["neutral-gradcam"])
    assert each.volumes["neutral-gradcam"] == pytest.approx(once.numpy(), rel=1e-5, abs=1e-8)


def test_baseline_is_required_at_the_same_layer() -> None:
    net, clip = seeded(HiddenHead), random_clip(1, 3, 3, 4, 4)
    with pytest.raises(InputError, match=r"neutral-gradcam needs a baseline at layer 'relu'; pass baseline="):
        vidcam.explain(net, clip, layer="relu", methods=["neutral-gradcam"])
    other = vidcam.compute_baseline(net, clip, layer="after")
    with pytest.raises(InputError, match="baseline is of layer 'after', not 'relu'"):
        vidcam.explain(net, clip, layer="relu", methods=["neutral-gradcam"], baseline=other)


def test_baseline_must_have_the_clips_size() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    computed = vidcam.compute_baseline(net, clip[:, :, :2], layer="block2")
    with pytest.raises(ShapeError, match=r"baseline is \(8, 1, 4, 4\) at layer '.*', expected \(8, 2, 4, 4\)"):
        vidcam.explain(net, clip, methods=["neutral-gradcam"], layer="block2", baseline=computed)
    for baseline in (clip[:, :, :2], clip.transpose(1, 2)):  # the second has other axes
        shape = re.escape(str(tuple(baseline.shape)))
        with pytest.raises(
            ShapeError, match=f"baseline is {shape}, the clip is .*; pass a baseline of the clip's sizes"
        ):
            vidcam.explain(net, clip, methods=["neutral-gradcam"], layer="block2", baseline=baseline)
    with pytest.raises(ShapeError, match="baseline_activations must be one clip of the activations' size"):
        above_baseline(torch.zeros(2, 1, 1, 2, 2), torch.zeros(2, 1, 1, 2, 2))


# ---- the artifact


def _grid(**values: float) -> torch.Tensor:
    a = torch.full((1, 2, 2, 7, 7), 5.0)
    for place, value in values.items():
        t, h, w = (int(digit) for digit in place[1:])
        a[0, 0, t, h, w] = value
    return a


def test_artifact_is_the_top_cells_of_the_grey_clip() -> None:
    artifact = find_artifact(_grid(_116=3700.0, _106=3200.0, _166=100.0))
    assert artifact is not None
    assert artifact.cells == ((1, 1, 6), (1, 0, 6))
    assert (artifact.value, artifact.median) == (3705.0, 10.0)


def test_an_artifact_at_all_times() -> None:
    artifact = find_artifact(_grid(_006=3700.0, _106=3700.0))
    assert artifact is not None
    assert artifact.cells == ((0, 0, 6), (1, 0, 6))


def test_artifact_does_not_depend_on_the_scale() -> None:
    artifact = find_artifact(_grid(_116=3700.0) * 1e-12)
    assert artifact is not None
    assert artifact.cells == ((1, 1, 6),)


@pytest.mark.parametrize(
    "activations",
    [
        _grid(),
        _grid(_000=6.0),  # 11 against 10: the maximum, but it does not stand out
        -_grid(_000=9.0),
        torch.ones(1, 3, 1, 1, 1),
        torch.eye(5).view(1, 1, 1, 5, 5) + 0.01,  # a fifth of the grid
    ],
)
def test_no_artifact_if_no_cell_stands_out(activations: torch.Tensor) -> None:
    assert find_artifact(activations) is None


def test_share_of_the_maps_that_peak_in_the_artifact() -> None:
    artifact = find_artifact(_grid(_116=3700.0, _106=3200.0))
    assert artifact is not None
    volumes = np.zeros((4, 2, 7, 7), dtype=np.float32)
    volumes[0, 1, 1, 6] = volumes[1, 1, 0, 6] = volumes[2, 0, 1, 6] = 1.0  # two in it, one beside it, one empty
    assert artifact_share(volumes, artifact) == 0.5


def _line(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, 1, -1)


@pytest.mark.parametrize(("top", "stands_out"), [(5.9, False), (6.0, False), (6.1, True), (-2.0, False)])
def test_artifact_needs_three_times_the_median(top: float, stands_out: bool) -> None:
    assert (find_artifact(_line(top, *[2.0] * 20)) is not None) == stands_out


@pytest.mark.parametrize(("top", "stands_out"), [(0.9, False), (1.0, False), (1.1, True)])
def test_artifact_with_a_negative_median_rises_by_twice_its_size(top: float, stands_out: bool) -> None:
    assert (find_artifact(_line(top, *[-1.0] * 20)) is not None) == stands_out


def test_artifact_cells_rise_at_least_half_as_far_as_the_top() -> None:
    """Median 0, top 8: 4 is half and belongs to it, 3.9 does not."""
    artifact = find_artifact(_line(4.0, 3.9, 8.0, 2.0, *[0.0] * 40))
    assert artifact is not None
    assert artifact.cells == ((0, 0, 2), (0, 0, 0))


@pytest.mark.parametrize(("count", "is_artifact"), [(1, True), (2, True), (3, False), (4, False), (9, False)])
def test_artifact_is_at_most_a_tenth_of_the_grid(count: int, is_artifact: bool) -> None:
    assert (find_artifact(_line(*[9.0] * count, *[1.0] * (20 - count))) is not None) == is_artifact


def test_one_cell_of_a_small_grid_may_be_an_artifact() -> None:
    artifact = find_artifact(_line(1.0, 9.0, 1.0))
    assert artifact == Artifact(((0, 0, 1),), 9.0, 1.0)


def test_empty_maps_do_not_peak_in_the_first_cell() -> None:
    artifact = Artifact(((0, 0, 0),), 9.0, 1.0)
    volumes = np.zeros((4, 1, 2, 2), dtype=np.float32)
    volumes[0, 0, 0, 0] = volumes[1, 0, 1, 1] = 1.0
    assert artifact_share(volumes, artifact) == 0.25
    assert artifact_share(volumes[2:], artifact) == 0.0
