"""Targets: a class, a contrast, a probability, any function; alone and several at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import HiddenHead, PooledHead, random_clip, seeded
from tests.helpers.networks import CHEAP, EVERY, Ending, assert_alike
from tests.helpers.passes import attribution
from vidcam.cam.explain import explain, explain_each
from vidcam.cam.guided import guided_saliency
from vidcam.cam.request import MapRequest, Target, class_target
from vidcam.errors import InputError, ShapeError, VidcamError
from vidcam.maps import relative_to_maximum, upsample_volume
from vidcam.results.explanation import OF_FUNCTION

SIGNED = (*CHEAP, "gradcam++signed")


def hidden() -> HiddenHead:
    net = seeded(HiddenHead).double()
    assert isinstance(net, HiddenHead)
    return net


def clip_of(clips: int = 2) -> Tensor:
    return random_clip(clips, 3, 3, 4, 4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (2, [2, 2, 2]),
        ([0, 3, 1], [0, 3, 1]),
        ((1, 1, 0), [1, 1, 0]),
        (np.int64(2), [2, 2, 2]),
        (np.array([3, 0, 2], dtype=np.int32), [3, 0, 2]),
        (torch.tensor([3, 0, 2]), [3, 0, 2]),
    ],
)
def test_one_class_for_all_clips_or_one_per_clip(target: Any, classes: list[int]) -> None:
    net, clips = hidden(), clip_of(3)
    result = explain(net, clips, layer="relu", target=target, methods=SIGNED)
    assert result.target.tolist() == classes
    for n, index in enumerate(classes):
        alone = explain(net, clips[n : n + 1], layer="relu", target=index, methods=SIGNED)
        for name in SIGNED:
            np.testing.assert_allclose(result.volumes[name][n], alone.volumes[name][0], rtol=1e-9, atol=1e-14)


def test_the_default_target_is_each_clips_predicted_class() -> None:
    net, clips = hidden(), 3 * clip_of(4)
    with torch.no_grad():
        net.out.bias.sub_(net(clips).mean(dim=0))
    classes = net(clips).argmax(dim=1).tolist()
    assert len(set(classes)) > 1
    result = explain(net, clips, layer="relu")
    assert result.target.tolist() == classes
    assert_alike(result, explain(net, clips, layer="relu", target=classes), tolerance=0)


# ---- functions


def test_the_difference_of_two_scores_is_a_contrast() -> None:
    net, clips, methods = hidden(), clip_of(), (*SIGNED, "guided-gradcam", "guided-gradcam++")
    of_function = explain(net, clips, layer="relu", target=lambda s: s[:, 2] - s[:, 0], methods=methods)
    contrast = explain(net, clips, layer="relu", target=2, contrast=0, methods=methods)
    assert_alike(of_function, contrast, tolerance=1e-12)
    assert of_function.target.tolist() == [OF_FUNCTION] * 2
    np.testing.assert_array_equal(of_function.logits, contrast.logits)
    assert np.isnan(of_function.probability).all()
    assert not of_function.saturated.any()
    assert "p =" not in of_function.audit()
    assert of_function.alpha_exact is contrast.alpha_exact is True


class Embedding(HiddenHead):
    """A model that returns features and a loss, but no logits."""

    def forward(self, clip: Tensor) -> Any:
        return {"embedding": super().forward(clip).unsqueeze(-1).unsqueeze(-1), "other": 3}


@pytest.mark.parametrize("column", [False, True])
def test_a_model_without_logits_is_explained_by_a_function(column: bool) -> None:
    net, clips = seeded(Embedding).double(), clip_of()

    def score(output: dict[str, Tensor]) -> Tensor:
        rows = output["embedding"][:, 1, 0]
        return rows if column else rows[:, 0]

    methods = (*SIGNED, "guided-gradcam+")
    result = explain(net, clips, layer="relu", target=score, methods=methods)
    expected = explain(hidden(), clips, layer="relu", target=1, methods=methods)
    assert_alike(result, expected, tolerance=1e-12)
    np.testing.assert_allclose(result.logits, expected.logits[:, 1:2])
    with pytest.raises(ShapeError, match=r"the model returns dict, expected logits .* pass a function of its output"):
        explain(net, clips, layer="relu", target=1)


def test_a_function_of_probabilities_needs_no_logits() -> None:
    net = Ending(lambda scores: (scores.softmax(dim=1) + scores.softmax(dim=1).square()).sqrt())
    of_two = Ending(lambda scores: (scores.softmax(dim=1) + (2 * scores).softmax(dim=1)) / 2)
    clips = random_clip(2, 3, 4, 8, 8)
    result = explain(of_two, clips, layer="net.block2", target=lambda p: p[:, 1].log())
    assert result.logits.shape == (2, 1)
    assert result.volumes["gradcam"].max() > 0
    assert explain(net, clips, layer="net.block2", target=lambda p: p[:, 1]).logits.shape == (2, 4)
    with pytest.raises(InputError, match="the model returns probabilities"):
        explain(of_two, clips, layer="net.block2", target=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": lambda s: s}, ShapeError, r"the target function returned \(2, 4\), expected one score .*\(2,\)"),
        ({"target": lambda s: s[0, 0]}, ShapeError, r"the target function returned \(\), expected one score"),
        ({"target": lambda s: 3.0}, ShapeError, "the target function returned float, expected one score"),
        (
            {"target": lambda s: s[:, 0], "contrast": 1},
            InputError,
            "target is a function, which takes no contrast and no score but 'logit'",
        ),
        ({"target": lambda s: s[:, 0], "score": "probability"}, InputError, "compute them in it"),
        ({"target": lambda s: s[:, 0].detach()}, InputError, "the score does not depend on layer 'relu'"),
        ({"target": lambda s: s[:, 0], "methods": ["cam"]}, InputError, "target is a function, but cam needs a class"),
        (
            {"target": lambda s: s[:, 0], "methods": ["gradcam++softmax"]},
            InputError,
            "no contrast, function, sigmoid or negative score",
        ),
        ({"target": 0, "contrast": 1, "methods": ["gradcam++softmax"]}, InputError, "no contrast"),
        (
            {"target": 0, "activation": "sigmoid", "methods": ["gradcam++softmax"]},
            InputError,
            "no contrast, function, sigmoid or negative score",
        ),
        ({"target": 4}, InputError, "target is 4, expected class indices from 0 to 3"),
        ({"target": 0, "contrast": -1}, InputError, "contrast is -1, expected class indices from 0 to 3"),
        ({"target": [0, 1, 2]}, ShapeError, "one class, or one for each of the 2 clips"),
        ({"target": 1.0}, InputError, "target is 1.0, expected a class index, or one per clip"),
        ({"target": True}, InputError, "target is True, expected a class index"),
        ({"target": [False, 1]}, InputError, r"target is \[False, 1\], expected a class index"),
        ({"target": 10**400}, InputError, r"^target is 1000000.{0,40}, expected a class index"),
        ({"target": "cat"}, InputError, "'cat' is a label.*pass a class index"),
        ({"target": [[0, 1]]}, ShapeError, "one class, or one for each of the 2 clips"),
        ({"score": "margin"}, InputError, "score is 'margin', expected logit, probability or negative"),
        ({"score_scale": -1, "methods": ["gradcam"]}, InputError, "score_scale is -1, expected a finite number >= 0"),
        ({"score_scale": float("nan")}, InputError, "score_scale is nan, expected a finite number >= 0"),
        ({"activation": "relu"}, InputError, "activation is 'relu', expected softmax, sigmoid or none"),
        ({"softmax_chunk": 0, "methods": ["gradcam++softmax"]}, InputError, "softmax_chunk is 0, expected 1 or more"),
        (
            {"softmax_tail": 1.0, "methods": ["gradcam++softmax"]},
            InputError,
            r"softmax_tail is 1.0, expected 0 <= softmax_tail < 1",
        ),
    ],
)
def test_invalid_targets(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explain(hidden(), clip_of(), layer="relu", **options)


def test_scores_must_have_one_row_per_clip() -> None:
    net = Ending(lambda scores: scores.mean(dim=0, keepdim=True))
    with pytest.raises(ShapeError, match=r"the model returns \(1, 4\) for 2 clips, expected one row for each"):
        explain(net, random_clip(2, 3, 4, 8, 8), layer="net.block2")


# ---- probabilities, by autograd


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("contrast", [None, 3])
def test_the_score_of_a_probability_equals_autograd(activation: Any, contrast: int | None) -> None:
    net, clips = hidden(), clip_of()
    leaf = net.relu(net.conv(clips)).detach().requires_grad_()
    scores = net.head(leaf)
    rows = scores.softmax(dim=1) if activation == "softmax" else scores.sigmoid()
    value = rows[:, 1] - (0 if contrast is None else rows[:, contrast])
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    request = MapRequest(
        methods=(*CHEAP, "guided-gradcam"),
        contrast=contrast,
        score="probability",
        layers=("relu",),
        activation=activation,
    )
    with attribution(net, clips, request) as run:
        result = run.explain(1)
        of = class_target(run.scores, 1, contrast, "probability", activation)
        exact = run._recorder.gradients(of.score, of.direction)["relu"]
    torch.testing.assert_close(exact, gradient, rtol=1e-10, atol=1e-15)
    weights = gradient.mean(dim=(2, 3, 4), keepdim=True)
    expected = (weights * leaf).sum(dim=1).clamp(min=0).detach().numpy()
    np.testing.assert_allclose(result.volumes["gradcam"], expected, rtol=1e-9, atol=1e-15)
    plus_plus = (gradient.relu() / (2 + leaf.sum(dim=(2, 3, 4), keepdim=True) * gradient.relu())).sum(dim=(2, 3, 4))
    expected = torch.einsum("nd,ndthw->nthw", plus_plus, leaf).clamp(min=0).detach().numpy()
    np.testing.assert_allclose(result.volumes["gradcam++"], expected, rtol=1e-9, atol=1e-15)
    assert result.alpha_exact is False
    linear = explain(net, clips, layer="relu", methods="gradcam++", target=1, activation=activation)
    assert linear.alpha_exact is True


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_gradient_of_a_saturated_probability_keeps_its_digits(activation: Any) -> None:
    """1 - p = 1e-17: a mask of the logit's own gradient would be 0 in float64."""
    scores = torch.tensor([[39.0, 0.0, -1.0]], dtype=torch.float64)
    direction = class_target(scores, 0, None, "probability", activation).direction
    left = {"softmax": np.exp(-39) * (1 + np.exp(-1)), "sigmoid": np.exp(-39)}[activation]
    assert float(direction[0, 0]) == pytest.approx(left, rel=1e-9, abs=0)


# ---- λ


def test_lambda_from_gradcam_plus_to_large_values() -> None:
    net, clips = hidden(), clip_of()
    at_0 = explain(
        net,
        clips,
        layer="relu",
        target=1,
        score_scale=0.0,
        methods=("gradcam+", "gradcam++", "gradcam", "gradcam++signed"),
    )
    half = 3 * 4 * 4 / 2
    np.testing.assert_allclose(at_0.volumes["gradcam++"], half * at_0.volumes["gradcam+"], rtol=1e-12)
    np.testing.assert_allclose(at_0.volumes["gradcam++signed"], half * at_0.volumes["gradcam"], rtol=1e-12)
    assert at_0.alpha["gradcam++"].positive.tolist() == [[0.5] * 5] * 2
    one, other = (
        explain(net, clips, layer="relu", methods="gradcam++", target=1, score_scale=score_scale).volumes["gradcam++"]
        for score_scale in (1.0, 50.0)
    )
    assert np.abs(one / one.max() - other / other.max()).max() > 1e-4
    for score_scale in (1e6, 1e30, 1e300):
        for narrow in (net, seeded(HiddenHead)):
            clip = clips if narrow is net else clips.float()
            result = explain(
                narrow, clip, layer="relu", target=1, score_scale=score_scale, methods=("gradcam++", "gradcam++signed")
            )
            assert all(np.isfinite(volume).all() for volume in result.volumes.values())


# ---- several at once


class Loop(torch.autograd.Function):
    """The identity with a backward that cannot be batched, because it reads a number."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        return gradients[0] * (1.0 if float(gradients[0].abs().sum()) >= 0 else 0.0)


class Stubborn(PooledHead):
    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = Loop.apply(super().forward(clip))
        return scores


@pytest.mark.parametrize("net", [PooledHead, Stubborn])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_several_targets_equal_single_targets(net: type[nn.Module], score: Any) -> None:
    targets: list[Target] = [0, None, [3, 1], 2]
    clips = random_clip(2, 3, 4, 8, 8)
    together = explain_each(seeded(net), clips, targets, layer=["block1", "block2"][1:], methods=EVERY, score=score)
    assert len(together) == 4
    for target, result in zip(targets, together, strict=True):
        alone = explain(seeded(net), clips, layer="block2", target=target, score=score, methods=EVERY)
        assert result.target.tolist() == alone.target.tolist()
        assert_alike(result, alone)
        assert result.alpha_exact is alone.alpha_exact


def test_several_targets_take_one_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    differentiate = torch.autograd.grad

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return differentiate(*arguments, **named)

    monkeypatch.setattr("torch.autograd.grad", counted)
    explain_each(seeded(PooledHead), random_clip(2, 3, 4, 8, 8), [0, 1, 2], layer="block2", methods=["gradcam"])
    assert len(calls) == 1


def test_functions_among_several_targets() -> None:
    clips = clip_of()
    targets: list[Target] = [1, lambda s: s[:, 1]]
    first, second = explain_each(hidden(), clips, targets, layer="relu", methods=SIGNED)
    assert_alike(first, second, tolerance=1e-12)
    assert (first.target[0], second.target[0]) == (1, OF_FUNCTION)


def test_no_targets() -> None:
    with pytest.raises(InputError, match="targets is empty, expected one or more"):
        explain_each(hidden(), clip_of(), [], layer="relu")


# ---- guided saliency


@pytest.mark.parametrize("options", [{}, {"contrast": 2}, {"score": "probability"}])
def test_guided_saliency_is_a_factor_of_guided_maps(options: dict[str, Any]) -> None:
    net, clips = seeded(PooledHead).double(), random_clip(2, 3, 4, 8, 8, dtype=torch.float64)
    result = explain(net, clips, layer="block2", target=[0, 1], methods=("gradcam+", "guided-gradcam+"), **options)
    alone = guided_saliency(net, clips, [0, 1], MapRequest(**options))
    assert alone.shape == clips.shape
    share = relative_to_maximum(upsample_volume(result.volume("gradcam+"), result.input_size))
    np.testing.assert_allclose(result.guided["guided-gradcam+"], alone * share[:, None], rtol=1e-9)
    assert alone.min() < 0 < alone.max()


def test_guided_saliency_of_a_probability_uses_the_models_end() -> None:
    clips, request = random_clip(1, 3, 4, 8, 8), MapRequest(score="probability")
    logit = guided_saliency(Ending(), clips, 1)
    result = guided_saliency(Ending(torch.sigmoid), clips, 1, request)
    p = float(Ending().eval()(clips)[0, 1].detach().sigmoid())
    np.testing.assert_allclose(result, p * (1 - p) * logit, rtol=1e-4, atol=1e-7 * np.abs(logit).max())


def test_guided_saliency_takes_classes_only() -> None:
    score: Callable[[Tensor], Tensor] = lambda s: s[:, 0]  # noqa: E731
    with pytest.raises(VidcamError, match="target is a function, expected classes"):
        guided_saliency(hidden(), clip_of(), score)


def test_a_single_score_is_followed_by_a_sigmoid() -> None:
    """A softmax of one score is always 1, without gradient."""
    net, clips = seeded(HiddenHead, classes=1).double(), clip_of()
    options: dict[str, Any] = {"layer": "relu", "methods": ("gradcam", "hirescam")}
    result = explain(net, clips, score="probability", **options)
    with torch.no_grad():
        np.testing.assert_allclose(result.probabilities(), net(clips).sigmoid().numpy(), rtol=1e-12)
    assert_alike(result, explain(net, clips, target=lambda output: output[:, 0].sigmoid(), **options))
    assert "saturated" not in explain(net, clips, **options).audit(0)
    assert explain(net, clips, activation="softmax", **options).probabilities().tolist() == [[1.0], [1.0]]
