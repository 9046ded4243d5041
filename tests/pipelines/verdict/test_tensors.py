from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.branches import TwoStreams
from tests.helpers.conduct import State
from tests.helpers.nets import count_forwards, hidden_model, random_clip
from vidcam.errors import InputError
from vidcam.maps import Floats
from vidcam.results.explanation import Artifact, Explanation
from vidcam.results.verdict import Verdict


class SpotNet(nn.Module):
    """S_k = 8 Σ A_k, A_k = what rises above 1/2 in channel k, in cells of 2 × 4 × 4. Class 2 sees nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.relu = nn.AvgPool3d((2, 4, 4)), nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        spots = self.relu(self.pool(clip) - 0.5)
        scores: Tensor = 8.0 * spots.flatten(2).sum(dim=2)
        return scores


def spots() -> Tensor:
    """A red spot to the left, a fainter green one to the right, on black."""
    clip = torch.zeros(1, 3, 8, 16, 16)
    clip[:, 0, 2:6, 4:8, 0:4] = 1.0
    clip[:, 1, 2:6, 8:12, 12:16] = 0.9
    return clip


def with_map(explanation: Explanation, volume: Floats) -> Explanation:
    return replace(explanation, volumes={"gradcam": volume.astype(np.float32)[None]})


def verdict_of(volume: Floats | None = None, forwards: int = 16) -> Verdict:
    net, clip = SpotNet(), spots()
    explanation = vidcam.explain(net, clip, methods="gradcam", layer="relu")
    shown = explanation if volume is None else with_map(explanation, volume)
    return vidcam.verdict(net, clip, shown, forwards)["gradcam"]


def test_the_right_map_is_reliable() -> None:
    found = verdict_of()
    assert found.word == "reliable"
    kept, peak = found.checks["kept"], found.checks["peak"]
    assert kept is not None
    assert kept > 1.0  # part of the green spot is hidden
    assert peak is not None
    assert peak < 0.6
    assert found.checks["mirror"] == pytest.approx(1.0)
    assert found.checks["range"] == 1.0
    change = found.checks["class_change"]
    assert change is not None
    assert change > 1.0  # the green spot lies elsewhere
    assert found.checks["confidence"] == pytest.approx(float(SpotNet()(spots()).softmax(dim=1).max()))
    assert found.checks["artifact_share"] is None


def test_a_map_of_another_place_is_unreliable() -> None:
    wrong = np.zeros((4, 4, 4))
    wrong[0, 3, 0] = 1.0
    found = verdict_of(wrong)
    assert found.word == "unreliable"
    assert found.checks["peak"] == pytest.approx(1.0, abs=0.05)
    assert found.score is not None
    assert found.score < (verdict_of().score or 0.0)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_empty_or_constant_map_is_unreliable(value: float) -> None:
    found = verdict_of(np.full((4, 4, 4), value))
    assert (found.word, found.score) == ("unreliable", 0.0)
    assert "constant" in found.reason


def test_a_budget_of_nothing_checks_nothing() -> None:
    net, clip = SpotNet(), spots()
    explanation = vidcam.explain(net, clip, methods="gradcam", layer="relu")
    runs = count_forwards(net)
    assert vidcam.verdict(net, clip, explanation, 0)["gradcam"].word == "not checked"
    assert not runs


@pytest.mark.parametrize(
    ("forwards", "missing"),
    [
        (1, {"kept", "peak", "kept_random", "peak_random", "mirror", "kept_difference", "kept_centre"}),
        (2, {"peak", "kept_random", "peak_random", "mirror", "kept_difference", "kept_centre"}),
        (3, {"peak", "kept_random", "peak_random", "mirror", "kept_difference"}),
        (4, {"peak", "kept_random", "peak_random", "kept_difference"}),
        (6, {"kept_random", "kept_difference"}),
        (7, {"kept_random"}),
        (8, set()),
    ],
)
def test_a_small_budget_leaves_out_the_least_telling_checks(forwards: int, missing: set[str]) -> None:
    net, clip = SpotNet(), spots()
    explanation = vidcam.explain(net, clip, methods="gradcam", layer="relu")
    runs = count_forwards(net)
    found = vidcam.verdict(net, clip, explanation, forwards)["gradcam"]
    assert runs["run"] == min(forwards, 8)
    assert {name for name, value in found.checks.items() if value is None} == missing | {"artifact_share"}
    assert (found.word == "not checked") == (forwards == 1)


def test_the_model_and_the_clip_are_left_as_they_were() -> None:
    model = hidden_model()
    model.module.train()
    clip = random_clip(2, 3, 4, 16, 16)
    explanation = vidcam.explain(model, clip, methods=("gradcam", "guided-gradcam"))
    state = State(model.module, clip)
    found = vidcam.verdict(model, clip, explanation)
    state.check_unchanged()
    assert list(found) == ["gradcam", "guided-gradcam"]
    assert found["guided-gradcam"].word == "not checked"
    assert found["gradcam"].word != "not checked"
    only_guided = vidcam.explain(model, clip, methods="guided-gradcam")
    assert vidcam.verdict(model, clip, only_guided)["guided-gradcam"].word == "not checked"


def test_peaks_in_the_artifact_are_counted_and_do_not_decide() -> None:
    net, clip = SpotNet(), spots()
    explanation = vidcam.explain(net, clip, methods="gradcam", layer="relu")
    cell = np.unravel_index(int(explanation.volumes["gradcam"][0].argmax()), (4, 4, 4))
    artifact = Artifact((tuple(map(int, cell)),), 1.0, 0.0)
    warned = vidcam.verdict(net, clip, replace(explanation, artifact=artifact))["gradcam"]
    assert warned.checks["artifact_share"] == 1.0
    assert warned.word == "reliable"


def test_axes_and_arguments_are_those_of_explain() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = SpotNet()

        def forward(self, clip: Tensor, gain: Tensor) -> Tensor:
            scores: Tensor = self.net(clip.transpose(1, 2)) * gain[:, None]
            return scores

    net, clip, gain = Turned(), spots().repeat(2, 1, 1, 1, 1).transpose(1, 2), torch.tensor([1.0, 2.0])
    explanation = vidcam.explain(net, clip, methods="gradcam", layer="net.relu", axes="NTCHW", args=(gain,))
    found = vidcam.verdict(net, clip, explanation, axes="NTCHW", args=(gain,))["gradcam"]
    assert found.word == "reliable"
    assert found.checks["mirror"] == pytest.approx(1.0)


def test_values_and_functions_have_no_probability_to_keep() -> None:
    net, clip = SpotNet(), spots()
    values = vidcam.explain(net, clip, methods="gradcam", layer="relu", activation="none")
    function = vidcam.explain(net, clip, methods="gradcam", layer="relu", target=lambda scores: scores[:, 0])
    for explanation in (values, function):
        assert vidcam.verdict(net, clip, explanation)["gradcam"].word == "not checked"


def test_one_class_has_no_probability_that_could_change() -> None:
    net = nn.Sequential(nn.Conv3d(3, 1, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    runs, explanation = count_forwards(net), vidcam.explain(net, spots(), methods="gradcam", activation="softmax")
    runs.clear()
    assert vidcam.verdict(net, spots(), explanation)["gradcam"].word == "not checked"
    assert not runs


@pytest.mark.parametrize("forwards", [1, 2, 3, 16])
def test_the_pass_of_a_baseline_counts(forwards: int) -> None:
    model, clip = hidden_model(), random_clip(1, 3, 4, 16, 16)
    explanation = vidcam.explain(model, clip, methods="neutral-gradcam")
    runs = count_forwards(model.module)
    vidcam.verdict(model, clip, explanation, forwards)
    assert runs["run"] == min(forwards, 9)


def test_an_explanation_of_another_clip_is_refused() -> None:
    net, clip = SpotNet(), spots()
    explanation = vidcam.explain(net, clip, methods="gradcam", layer="relu")
    with pytest.raises(InputError, match="explain them again"):
        vidcam.verdict(net, clip.flip(1), explanation)


@pytest.mark.parametrize(
    ("make", "clip"),
    [
        (lambda: [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)], random_clip(2, 3, 8, 8)),
        (lambda: [nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 18, 3)], random_clip(2, 2, 20)),
        (lambda: [TwoStreams()], [random_clip(1, 3, 8, 16, 16), random_clip(1, 2, 4, 16, 16)]),
    ],
    ids=["image", "signal", "pathways"],
)
def test_images_signals_and_pathways_have_verdicts_too(
    make: Callable[[], list[nn.Module]], clip: Tensor | list[Tensor]
) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(*make())
    explanation = vidcam.explain(net, clip, methods="gradcam")
    checks = vidcam.verdict(net, clip, explanation)["gradcam"].checks
    missing = {name for name, value in checks.items() if value is None} - {"artifact_share"}
    assert missing == (set() if isinstance(clip, list) else {"kept_difference"})


@pytest.mark.parametrize(
    "settings", [{"score": "probability"}, {"fusion": "max", "layer": ["0", "2"]}, {"score_scale": 20.0}]
)
def test_the_maps_of_the_mirrored_clip_are_made_like_those_of_the_clip(settings: dict[str, Any]) -> None:
    """Clip and network are symmetrical, so the maps are too."""
    torch.manual_seed(3)
    first, second = nn.Conv3d(3, 8, 3, padding=1), nn.Conv3d(8, 8, 3, padding=1)
    for conv in (first, second):
        conv.weight.data = (conv.weight.data + conv.weight.data.flip(-1)) / 2
    net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 4))
    half, settings = torch.rand(1, 3, 8, 16, 16), {"layer": "2"} | settings
    clip = (half + half.flip(-1)) / 2
    found = vidcam.verdict(net, clip, vidcam.explain(net, clip, methods="gradcam++", **settings), **settings)
    assert found["gradcam++"].checks["mirror"] == pytest.approx(1.0, abs=1e-5)
