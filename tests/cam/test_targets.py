"""The log probability of words as a target: against log_softmax gathered by hand, and its maps add up."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vidcam
from vidcam.cam.targets import log_prob
from vidcam.errors import InputError, ShapeError

WORDS, LENGTH = 5, 4


class Speaker(nn.Module):
    """A linear captioner: the logits of each word depend on the clip and on the word before."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.say = nn.Linear(6 * 16, WORDS * LENGTH)
        self.before = nn.Embedding(WORDS, WORDS)

    def forward(self, clip: Tensor, tokens: Tensor) -> Tensor:
        """(N, 3, 2, 4, 2) and (L,) to (N, L, V)."""
        seen = self.say(self.relu(self.conv(clip)).flatten(1)).unflatten(1, (LENGTH, WORDS))
        logits: Tensor = seen + self.before(torch.cat([tokens.new_zeros(1), tokens[:-1]]))
        return logits


def test_the_score_is_the_gathered_log_softmax() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)], [math.log(4.0), 0.0], [0.0, 0.0]]])
    assert log_prob([1, 0, 1])(logits).tolist() == pytest.approx([math.log(3 / 4 * 4 / 5 * 1 / 2)])
    assert log_prob([1, 0, 1], words=1)(logits).tolist() == pytest.approx([math.log(4 / 5)])
    assert log_prob([1, 0, 1], words=slice(1, 3))(logits).tolist() == pytest.approx([math.log(4 / 5 / 2)])
    assert log_prob([1, 0, 1], words=[0, -1])(logits).tolist() == pytest.approx([math.log(3 / 4 / 2)])
    assert log_prob([0], start=1)(logits).tolist() == pytest.approx([math.log(4 / 5)])
    assert log_prob([1, -100, 1])(logits).tolist() == pytest.approx([math.log(3 / 4 / 2)])


def test_each_clip_may_have_its_own_caption_and_the_output_may_be_an_object() -> None:
    torch.manual_seed(0)
    logits, tokens = torch.randn(3, LENGTH, WORDS, dtype=torch.float64), torch.randint(WORDS, (3, LENGTH))
    by_hand = [sum(logits[n, k].log_softmax(0)[tokens[n, k]].item() for k in range(LENGTH)) for n in range(3)]
    for output in (logits, SimpleNamespace(logits=logits), {"logits": logits}, (logits, torch.zeros(3, 2))):
        assert log_prob(tokens)(output).tolist() == pytest.approx(by_hand, abs=1e-12)


def test_half_precision_is_summed_in_float32() -> None:
    logits = torch.randn(1, LENGTH, WORDS).half()
    assert log_prob([0, 1, 2, 3])(logits).dtype == torch.float32


def test_the_map_of_a_caption_is_the_sum_of_the_maps_of_its_words() -> None:
    torch.manual_seed(1)
    speaker, clip, tokens = Speaker().double(), torch.randn(2, 3, 2, 4, 2).double(), torch.tensor([2, 0, 4, 1])
    activations: list[Tensor] = []
    handle = speaker.relu.register_forward_hook(lambda _m, _i, output: activations.append(output))
    logits = speaker(clip, tokens)
    handle.remove()
    signed = []
    for place in range(LENGTH):
        score = logits[:, place].log_softmax(1)[:, tokens[place]].sum()
        (gradient,) = torch.autograd.grad(score, activations[0], retain_graph=True)
        signed.append((gradient * activations[0].detach()).sum(dim=1))
    targets = [log_prob(tokens), log_prob(tokens, words=3), log_prob(tokens, words=slice(0, 2))]
    options = {"methods": "hirescam", "layer": "relu", "kwargs": {"tokens": tokens}}
    whole, last, phrase = vidcam.explain_each(speaker, clip, targets, **options)  # type: ignore[arg-type]
    for explanation, expected in ((whole, sum(signed)), (last, signed[3]), (phrase, signed[0] + signed[1])):
        assert isinstance(expected, Tensor)
        assert torch.allclose(torch.as_tensor(explanation.volumes["hirescam"]), expected.relu(), atol=1e-12)


def test_what_cannot_be_a_caption_is_refused() -> None:
    with pytest.raises(InputError, match="expected integers"):
        log_prob([0.5, 1.0])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="start is -1"):
        log_prob([0, 1, 2], start=-1)
    with pytest.raises(InputError, match="3 tokens"):
        log_prob([0, 1, 2], words=3)
    with pytest.raises(InputError, match="none of the 3"):
        log_prob([0, 1, 2], words=slice(3, 9))
    with pytest.raises(ShapeError, match="scores 2 words"):
        log_prob([0, 1, 2])(torch.zeros(1, 2, WORDS))
    with pytest.raises(ShapeError, match="expected logits of words"):
        log_prob([0])(torch.zeros(1, WORDS))


def test_it_has_a_public_name() -> None:
    assert vidcam.targets.log_prob is log_prob


class Detector(nn.Module):
    """Convolution, ReLU, and an object of boxes, scores and an embedding, as detectors return."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv3d(3, 4, 3, padding=1), nn.ReLU()
        self.head = nn.Linear(4, 6)

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        values = self.head(self.relu(self.conv(clip)).mean(dim=(2, 3, 4)))
        return {"boxes": values[:, :4], "scores": values[:, 4:].sigmoid(), "embedding": values}


QUERY = torch.linspace(-1.0, 1.0, 6).double()[None]


@pytest.mark.parametrize(
    "target",
    [
        lambda output: output["boxes"][:, 2],
        lambda output: output["scores"][:, 1],
        lambda output: -torch.cdist(output["embedding"], QUERY)[:, 0],
        lambda output: output["embedding"].logsumexp(1),
    ],
    ids=["regression", "detection score", "distance", "any class"],
)
def test_any_scalar_of_any_output_is_a_target(target: Any) -> None:
    torch.manual_seed(2)
    network, clip = Detector().double(), torch.randn(2, 3, 2, 4, 4).double()
    seen: list[Tensor] = []
    handle = network.relu.register_forward_hook(lambda _m, _i, output: seen.append(output))
    score = target(network(clip))
    handle.remove()
    (gradient,) = torch.autograd.grad(score.sum(), seen[0])
    expected = (gradient * seen[0].detach()).sum(dim=1).relu()
    explanation = vidcam.explain(network, clip, methods="hirescam", target=target, layer="relu")
    assert torch.allclose(torch.as_tensor(explanation.volumes["hirescam"]), expected, atol=1e-12)
