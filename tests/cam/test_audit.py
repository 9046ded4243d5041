"""The audit of an explanation: its line, saturation, clamped shares, artifacts, empty maps, notes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import BrightnessNet, HiddenHead, random_clip, seeded
from vidcam.cam.explain import explain
from vidcam.results.explanation import Artifact


class FixedGradient(nn.Module):
    """A network with A = clip and S = (g·A, 0) for a fixed g."""

    def __init__(self, gradient: Tensor) -> None:
        super().__init__()
        self.layer, self.gradient = nn.Identity(), gradient

    def forward(self, clip: Tensor) -> Tensor:
        score = (self.layer(clip) * self.gradient).flatten(1).sum(dim=1)
        return torch.stack([score, 0 * score], dim=1)


def line(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, -1)


def test_audit_line_of_four_cells() -> None:
    """ΣA = 4; g = 1, 2, -0.25, 0: α = 1/6, 1/10 over g > 0, and 1 at g = -0.25; p = σ(1 + 4 - 0.25)."""
    net, clip = FixedGradient(line(1, 2, -0.25, 0)), line(1, 2, 1, 0)
    methods = ("gradcam", "gradcam+", "gradcam++", "gradcam++signed")
    result = explain(net, clip, layer="layer", target=0, methods=methods)
    audit = result.alpha["gradcam++"]
    np.testing.assert_allclose(audit.positive[0, [0, 4]], [0.1, 1 / 6])
    np.testing.assert_allclose(audit.nonzero[0, [0, 2, 4]], [0.1, 1 / 6, 1.0])
    np.testing.assert_allclose(audit.product[0, [0, 2, 4]], [-1.0, 4.0, 8.0])
    assert (audit.clamped[0], audit.agreement[0]) == (0.0, pytest.approx(1.0))
    assert result.clamped["gradcam++signed"].tolist() == [0.0]
    p = 1 / (1 + np.exp(-4.75))
    assert result.audit() == (
        f"gradcam++: alpha {audit.positive[0, 2]:.3f} at the median (0.1 to 0.167; from 0.1 to 1 over all g), 0.00% "
        f"clamped, r = 1.0000 with gradcam+; gradcam++signed: 0.00% clamped; eq. 19 exact; p = {p:.6g}"
    )


def test_clamped_share_is_per_clip() -> None:
    """ΣA·g = -2 at one of three places with g != 0 in the first clip, and nowhere in the second."""
    clip = torch.cat([line(1, 1, 0, 0), line(1, 3, 0, 0)])
    result = explain(
        FixedGradient(line(-1, 2, 1, 0)), clip, layer="layer", target=0, methods=("gradcam++signed", "gradcam")
    )
    np.testing.assert_allclose(result.clamped["gradcam++signed"], [1 / 3, 0])
    assert "gradcam++signed: 33.33% clamped" in result.audit(0)
    assert "gradcam++signed: 0.00% clamped" in result.audit(1)
    assert result.alpha == {}


@pytest.mark.parametrize(("score_scale", "share"), [(1.0, 0.0), (2.0, 0.5)])
def test_clamped_share_depends_on_lambda(score_scale: float, share: float) -> None:
    """ΣA·g = -1 at one of two places: a pole where λ is 2."""
    net, clip = FixedGradient(line(-1, 1)), line(1, 0)
    result = explain(net, clip, layer="layer", target=0, methods=["gradcam++signed"], score_scale=score_scale)
    assert result.clamped["gradcam++signed"].tolist() == [share]


def test_the_softmax_form_has_its_own_clamped_share() -> None:
    net, clip = seeded(HiddenHead), random_clip(2, 3, 3, 4, 4)
    result = explain(net, clip, layer="relu", methods=["gradcam++softmax"])
    assert list(result.clamped) == ["gradcam++softmax"]
    assert "gradcam++softmax: 0.00% clamped" in result.audit()


@pytest.mark.parametrize(("score", "is_saturated"), [(9.0, False), (9.3, True), (80.0, True)])
def test_saturated_within_1e_4_of_1(score: float, is_saturated: bool) -> None:
    result = explain(FixedGradient(line(1, 0)), line(score, 0), layer="layer", target=0)
    assert result.saturated.tolist() == [is_saturated]
    assert ("(saturated)" in result.audit()) == is_saturated


def test_a_clip_without_positive_evidence() -> None:
    result = explain(FixedGradient(line(-1, -2)), line(1, 0), layer="layer", target=0, methods=("gradcam", "gradcam++"))
    assert {name: flags.tolist() for name, flags in result.empty.items()} == {"gradcam": [True], "gradcam++": [True]}
    assert result.audit().startswith("gradcam++: no positive gradient; eq. 19 exact; p = 0.268941; empty: gradcam, ")


def test_a_constant_map_has_no_agreement() -> None:
    result = explain(FixedGradient(line(1, 1)), line(1, 1), layer="layer", target=0, methods="gradcam, gradcam++")
    assert "0.00% clamped, constant map; eq. 19 exact" in result.audit()


def test_eq_19_is_approximate_on_a_curved_head() -> None:
    net, clip = seeded(HiddenHead), random_clip(1, 3, 3, 4, 4)
    result = explain(net, clip, layer="relu", methods="gradcam++", score="probability")
    assert "eq. 19 an approximation" in result.audit()


def test_artifact_on_a_grey_clip() -> None:
    """The last cell has a high activation on grey. The map of a dark clip peaks there."""

    class ArtifactNet(BrightnessNet):
        def __init__(self) -> None:
            super().__init__()
            self.offset = torch.zeros(1, 1, 1, 4, 4)
            self.offset[..., 3, 3] = 5.0

        def forward(self, clip: Tensor) -> Tensor:
            features = self.relu(self.pool(clip.mean(dim=1, keepdim=True)) + self.offset)
            total = features.flatten(1).sum(dim=1)
            return torch.stack([total, -total], dim=1)

    clips = torch.zeros(2, 3, 4, 32, 32)
    clips[1, :, :, :8, :8] = 9.0
    both, grey = ("gradcam", "gradcam++"), torch.full((1, 3, 4, 32, 32), 0.5)
    result = explain(ArtifactNet(), clips, layer="relu", methods=both, target=0, baseline=grey)
    assert result.artifact == Artifact(((0, 3, 3),), 5.5, 0.5)
    assert "gradcam, gradcam++ peak in the artifact" in result.audit(0)
    assert "no peak in the artifact" in result.audit(1)
    assert "artifact" not in explain(ArtifactNet(), clips, layer="relu", target=0).audit(0)
    fused = explain(ArtifactNet(), clips, layer=["pool", "relu"], target=0, baseline=grey)
    assert fused.artifact is None


def test_the_default_layer_is_noted() -> None:
    net, clip = seeded(HiddenHead), random_clip(1, 3, 3, 4, 4)
    note = "Layer 'after' was chosen: the last block with a grid in space and time."
    assert explain(net, clip).notes == (note,)
    assert explain(net, clip, layer="relu").notes == ()
