"""Outputs that are no plain (N, K): read rightly, by derivatives written by hand in float64, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.forms import CLASSES, Headed, activations, double_clip, grad_cam
from vidcam.cam.explain import explain
from vidcam.cam.layers import list_layers
from vidcam.cam.network import read_scores
from vidcam.errors import InputError, ShapeError
from vidcam.results.explanation import Explanation

TARGET = 2


def _pooled(net: Any, a: Tensor) -> Tensor:
    """(N, K): S_k = Σ_d W_kd·mean(A_d) + b_k, so ∂S_k/∂A_d = W_kd / cells."""
    scores: Tensor = net.fc(a.mean(dim=(2, 3, 4)))
    return scores


def _frames(net: Any, a: Tensor) -> Tensor:
    """(N, T, K) from a linear layer on each frame."""
    scores: Tensor = net.fc(a.mean(dim=(3, 4)).transpose(1, 2))
    return scores


def _cells(net: Any, a: Tensor) -> Tensor:
    """(N, K, t, h, w) from a linear layer in each cell."""
    scores: Tensor = net.fc(a.movedim(1, -1)).movedim(-1, 1)
    return scores


def _pixels(net: Any, a: Tensor) -> Tensor:
    """(N, t, h, w, K)."""
    scores: Tensor = net.fc(a.movedim(1, -1))
    return scores


class Pair(nn.Module):
    def __init__(self, pair: Any) -> None:
        super().__init__()
        self.logits, self.embedding = pair


LINEAR: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {
    "(N, K)": (_pooled, ""),
    "(N, T, K)": (_frames, "5 classes in 4 frames"),
    "(N, K, t)": (lambda net, a: _frames(net, a).transpose(1, 2), "5 classes at 4 places"),
    "(embedding, logits)": (lambda net, a: (a.mean(dim=(2, 3, 4)), _pooled(net, a)), "which a classifier made"),
    "(embedding of a linear layer, logits)": (
        lambda net, a: [e := a.mean(dim=(2, 3, 4)) @ torch.eye(6).double(), net.fc(e)],
        "which a classifier made",
    ),
    "(embedding behind a ReLU in place, logits)": (
        lambda net, a: ((a.mean(dim=(2, 3, 4)) @ torch.eye(6).double()).relu_(), _pooled(net, a)),
        "which a classifier made",
    ),
    "[logits, embedding]": (lambda net, a: [_pooled(net, a), a.mean(dim=(2, 3, 4))], "which a classifier made"),
    "(loss, logits)": (lambda net, a: (a.mean(), _pooled(net, a)), ""),
    "(labels, logits)": (lambda net, a: (torch.zeros(len(a), dtype=torch.int64), _pooled(net, a)), ""),
    "(logits, same shape)": (lambda net, a: (_pooled(net, a), 2 * _pooled(net, a)), "the first (2, 5)"),
    "softmax · 100": (lambda net, a: 100 * _pooled(net, a).softmax(dim=1), "scaled probabilities"),
    "softmax / 2": (lambda net, a: _pooled(net, a).softmax(dim=1) / 2, "scaled probabilities"),
    "softmax in each cell, mean": (lambda net, a: _cells(net, a).softmax(1).mean((2, 3, 4)), "averages probabilities"),
    "softmax in each cell, pooled": (
        lambda net, a: nn.functional.adaptive_avg_pool3d(_cells(net, a).softmax(1), 1).flatten(1),
        "averages probabilities",
    ),
    "softmax in each cell, scaled mean": (
        lambda net, a: _pixels(net, a).softmax(-1).mean((1, 2, 3)),
        "averages probabilities",
    ),
    "softmax of each frame": (lambda net, a: _frames(net, a).softmax(2), "5 classes in 4 frames"),
    "softmax of each frame as a view, mean": (
        lambda net, a: _frames(net, a).flatten(0, 1).softmax(1).view(len(a), -1, CLASSES).mean(1),
        "averages probabilities",
    ),
    "sigmoid in each cell, mean": (lambda net, a: _cells(net, a).sigmoid().mean((2, 3, 4)), "went into its sigmoid"),
}


@pytest.mark.parametrize("name", LINEAR)
def test_scores_linear_in_the_activations(name: str) -> None:
    """The score is Σ_d W_kd·mean(A_d) + b_k for each of these outputs."""
    head, said = LINEAR[name]
    net, clip = Headed(head), double_clip()
    result = explain(net, clip, layer="block", target=TARGET, methods=("gradcam", "hirescam"))
    a = activations(net, clip)
    weights, bias = net.fc.weight.detach(), net.fc.bias.detach()
    gradient = (weights[TARGET] / a[0, 0].numel())[None, :, None, None, None]
    np.testing.assert_allclose(result.logits, (a.mean(dim=(2, 3, 4)) @ weights.T + bias).numpy(), rtol=1e-12)
    np.testing.assert_allclose(result.volumes["gradcam"], grad_cam(a, gradient), rtol=1e-10, atol=1e-14)
    hires = (gradient * a).sum(dim=1).clamp(min=0).numpy()
    np.testing.assert_allclose(result.volumes["hirescam"], hires, rtol=1e-10, atol=1e-14)
    assert (said in " ".join(result.notes)) if said else result.notes == ()
    assert result.activation == ("sigmoid" if "sigmoid" in name else "softmax")


def test_the_default_class_is_that_of_the_scores_that_were_taken() -> None:
    net, clip = Headed(_frames), double_clip()
    plain = explain(Headed(_pooled), clip, layer="block")
    result = explain(net, clip, layer="block")
    assert result.target.tolist() == plain.target.tolist()
    guided = explain(net, clip, layer="block", target=1, methods="guided-gradcam").guided["guided-gradcam"]
    expected = explain(Headed(_pooled), clip, layer="block", target=1, methods="guided-gradcam")
    np.testing.assert_allclose(guided, expected.guided["guided-gradcam"], rtol=1e-9, atol=1e-15)


class Early(nn.Module):
    """An embedding of the first block, and logits of the second."""

    def __init__(self, *, logits_first: bool) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = (nn.Sequential(nn.Conv3d(n, 6, 3, 1, 1), nn.ReLU()).double() for n in (3, 6))
        self.fc, self.logits_first = nn.Linear(6, 4).double(), logits_first

    def forward(self, clip: Tensor) -> tuple[Tensor, ...]:
        early = self.first(clip)
        outputs = early.mean((2, 3, 4)), self.fc(self.second(early).mean((2, 3, 4)))
        return outputs[::-1] if self.logits_first else outputs


def test_the_default_layer_is_that_of_the_scores_not_of_an_embedding() -> None:
    results = [explain(Early(logits_first=first), double_clip()) for first in (True, False)]
    assert [result.layer for result in results] == ["second", "second"]
    np.testing.assert_array_equal(results[0].volumes["gradcam"], results[1].volumes["gradcam"])


class FramesAndScores(nn.Module):
    """Frames in the batch: an embedding of each frame, and one row of scores for each clip of four."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Linear(6, 5)

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.relu(self.conv(clip)).mean((2, 3))
        return embedding, self.fc(embedding).unflatten(0, (-1, 4)).mean(1)


def test_the_frames_of_a_clip_are_counted_by_the_scores_not_by_an_embedding() -> None:
    clip = double_clip().transpose(1, 2).flatten(0, 1).float()
    assert explain(FramesAndScores(), clip).input_size == (4, 3, 3)
    assert [layer.grid for layer in list_layers(FramesAndScores(), clip)] == [(4, 3, 3)] * 2


def test_a_known_number_of_classes_decides() -> None:
    rows, embedding = torch.rand(2, 5), torch.rand(2, 7)
    assert read_scores((embedding, rows), classes=5).logits is rows
    frames = torch.tensor([[[1.0, 2.0, 0.0], [3.0, 4.0, 0.5]]])
    assert read_scores(frames, classes=3).logits.tolist() == [[2.0, 3.0, 0.25]]
    assert read_scores(frames, classes=2).logits.tolist() == [[1.0, 2.5]]


def test_one_row_of_classes_is_that_of_the_clip() -> None:
    found = read_scores(torch.tensor([[[1.0, 2.0, 0.0]]]), classes=3, frames=(4,))
    assert (found.logits.tolist(), found.notes) == (
        [[1.0, 2.0, 0.0]],
        ("The model returns (1, 1, 3): one row of 3 classes.",),
    )


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {
    "a square": (lambda net, a: _frames(net, a)[:, :, :4] @ torch.eye(4).double(), r"\(N, K, t\) or \(N, T, K\)\?"),
    "captioner": (lambda net, a: net.fc(a.mean(dim=(3, 4)).transpose(1, 2).repeat(1, 2, 1)), "such as words"),
    "two classifiers": (
        lambda net, a: (a.mean(dim=(2, 3, 4)) @ torch.ones(6, 7).double(), _pooled(net, a)),
        r"\(2, 7\) and \(2, 5\), which are the scores\?",
    ),
    "no classifier": (
        lambda _, a: (a.mean(dim=(2, 3, 4)), a.flatten(1)[:, :9].cos()),
        r"\(2, 6\) and \(2, 9\), which are the scores\?",
    ),
    "squeezed": (lambda net, a: _pooled(net, a)[0], r"\(5, 1\) for 2 clips, expected one row for each clip"),
    "one number": (lambda net, a: _pooled(net, a).mean(), r"a tensor of shape \(\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_outputs_that_cannot_be_told_are_refused(name: str) -> None:
    head, message = REFUSED[name]
    with pytest.raises(ShapeError, match=message):
        explain(Headed(head), double_clip(), layer="block")


def test_a_function_explains_what_is_refused() -> None:
    """A word of a sentence: position 5, word 3."""
    net, clip = Headed(REFUSED["captioner"][0]), double_clip()
    result = explain(net, clip, layer="block", target=lambda output: output[:, 5, 3], methods="hirescam")
    a = activations(net, clip)
    gradient = torch.zeros_like(a)
    gradient[:, :, 1] = (net.fc.weight.detach()[3] / a[0, 0, 0].numel())[None, :, None, None]
    np.testing.assert_allclose(result.volumes["hirescam"], (gradient * a).sum(1).clamp(min=0).numpy(), rtol=1e-10)


# ---- one score


def _one(head: Callable[[Any, Tensor], Any], clip: Tensor, **options: Any) -> Explanation:
    return explain(Headed(head, classes=1), clip, layer="block", methods="gradcam", **options)


@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize(("score", "sign"), [("logit", 1.0), ("negative", -1.0)])
def test_a_value_and_what_lowers_it(score: Any, sign: float, *, squeeze: bool) -> None:
    """A regression, or the scalar of a discriminator: (N, 1) and (N,)."""
    clip = double_clip()
    head = (lambda net, a: _pooled(net, a).squeeze(1)) if squeeze else _pooled
    result = _one(head, clip, activation="none", score=score)
    net = Headed(head, classes=1)
    a = activations(net, clip)
    gradient = sign * (net.fc.weight.detach()[0] / a[0, 0].numel())[None, :, None, None, None]
    np.testing.assert_allclose(result.volumes["gradcam"], grad_cam(a, gradient), rtol=1e-10, atol=1e-14)
    assert result.logits.shape == (2, 1)
    assert np.isnan(result.probabilities()).all()
    assert np.isnan(result.probability).all()
    assert not result.saturated.any()
    assert f"value = {result.logits[0, 0]:.6g}" in result.audit()
    assert "p =" not in result.audit()
    assert any("one score for each clip" in note for note in result.notes) == squeeze


def test_a_value_behind_a_sigmoid_is_not_undone() -> None:
    """A rating in [0, 1]: ∂σ(S)/∂A = σ′(S)·W/cells."""
    clip = double_clip()
    result = _one(lambda net, a: _pooled(net, a).sigmoid(), clip, activation="none")
    net = Headed(_pooled, classes=1)
    a = activations(net, clip)
    share = torch.sigmoid(a.mean(dim=(2, 3, 4)) @ net.fc.weight.detach().T + net.fc.bias.detach())
    gradient = (share * (1 - share) * net.fc.weight.detach() / a[0, 0].numel())[:, :, None, None, None]
    np.testing.assert_allclose(result.logits, share.numpy(), rtol=1e-12)
    np.testing.assert_allclose(result.volumes["gradcam"], grad_cam(a, gradient), rtol=1e-9, atol=1e-14)


def test_one_score_is_a_logit_unless_it_is_said() -> None:
    result = _one(_pooled, double_clip())
    assert result.activation == "sigmoid"
    assert "pass activation='none'" in " ".join(result.notes)
    assert _one(_pooled, double_clip(), activation="sigmoid").notes == ()
    assert _one(lambda net, a: _pooled(net, a).sigmoid(), double_clip()).notes == ()


def test_the_negative_score_of_a_class_and_cam() -> None:
    """Grad-CAM and CAM of -S are the maps of the negated weights; both are those of a contrast with nothing."""
    net, clip = Headed(_pooled), double_clip()
    result = explain(net, clip, layer="block", target=TARGET, score="negative", methods=("gradcam", "cam"))
    a = activations(net, clip)
    expected = torch.einsum("d,ndthw->nthw", -net.fc.weight.detach()[TARGET], a).clamp(min=0)
    np.testing.assert_allclose(result.volumes["cam"], expected.numpy(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(result.volumes["gradcam"], expected.numpy() / a[0, 0].numel(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "none", "score": "probability"}, "with activation 'none' there is none"),
        ({"activation": "none", "methods": "gradcam++softmax"}, "needs one class and a softmax"),
        ({"score": "negative", "methods": "gradcam++softmax"}, "negative score"),
    ],
)
def test_what_values_do_not_have(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(Headed(_pooled), double_clip(), layer="block", **options)
