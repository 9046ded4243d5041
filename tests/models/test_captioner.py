"""Captioners: greedy decoding by hand, scores of captions by hand, and models whose classes are captions."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vidcam.errors import InputError
from vidcam.models.captioner import Captioner, CaptionScores, generate_captions, with_captions
from vidcam.models.families.tiny_captioner import END, MAX_WORDS, TinyCaptioner
from vidcam.models.model import Model
from vidcam.models.specs import TINY_CAPTIONER_SPEC, TINY_R3D_SPEC
from vidcam.motion.captions import VOCABULARY


@pytest.fixture(scope="module")
def network() -> TinyCaptioner:
    """One with random weights."""
    torch.manual_seed(3)
    return TinyCaptioner().eval().double()


@pytest.fixture(scope="module")
def clips() -> Tensor:
    """Two clips of noise."""
    return torch.randn(2, 3, 16, 64, 64, generator=torch.Generator().manual_seed(0)).double()


def by_hand(network: TinyCaptioner, clip: Tensor, tokens: list[int]) -> list[Tensor]:
    """The logits of each word of a caption of one clip: one step of the LSTM after the other, gate by gate."""
    hidden, cell, lstm = torch.zeros(128).double(), torch.zeros(128).double(), dict(network.lstm.named_parameters())
    inputs = [network.encode(clip[None])[0], *(network.words.weight[token] for token in tokens[:-1])]
    logits = []
    for vector in inputs:
        gates = lstm["weight_ih_l0"] @ vector + lstm["weight_hh_l0"] @ hidden
        gates = gates + lstm["bias_ih_l0"] + lstm["bias_hh_l0"]
        enter, forget, new, leave = gates.chunk(4)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        logits.append(network.say.weight @ hidden + network.say.bias)
    return logits


def test_words_are_scored_given_those_before(network: TinyCaptioner, clips: Tensor) -> None:
    tokens = [1, 6, 11, 15]
    logits = network(clips, torch.tensor(tokens))
    assert logits.shape == (2, 4, len(VOCABULARY))
    for clip, rows in zip(clips, logits, strict=True):
        assert torch.allclose(rows, torch.stack(by_hand(network, clip, tokens)), atol=1e-12)


def test_a_generated_caption_is_greedy_decoding(network: TinyCaptioner, clips: Tensor) -> None:
    for clip, tokens in zip(clips, network.generate(clips).tolist(), strict=True):
        spoken: list[int] = []
        while len(spoken) < MAX_WORDS and END not in spoken:
            spoken.append(int(by_hand(network, clip, [*spoken, 0])[-1].argmax()))
        assert tokens == spoken + [END] * (len(tokens) - len(spoken))


class Reciter(Captioner):
    """Says the words of a tape, whatever it sees: a different tape for dark and for bright clips."""

    end = 0

    def __init__(self) -> None:
        super().__init__()
        self.tapes = nn.Buffer(torch.tensor([[2, 1, 0, 0], [1, 0, 0, 0]]))

    def encode(self, clip: Tensor) -> Tensor:
        return (clip.mean(dim=(1, 2, 3, 4)) > 0).long()

    def scores(self, encoded: Tensor, tokens: Tensor) -> Tensor:
        return 5.0 * torch.eye(3)[self.tapes[encoded]][:, : tokens.shape[1]]

    def decode(self, encoded: Tensor) -> Tensor:
        return self.tapes[encoded]


def test_words_up_to_the_end_are_said() -> None:
    model = Model(replace(TINY_R3D_SPEC, classes=3), Reciter(), ("<end>", "b", "a"), "")
    clips = torch.stack([-torch.ones(3, 2, 2, 2), torch.ones(3, 2, 2, 2)])
    assert generate_captions(model, clips) == ("a b", "b")


def test_captions_become_the_classes(network: TinyCaptioner, clips: Tensor) -> None:
    model = Model(TINY_CAPTIONER_SPEC, network, VOCABULARY, "")
    texts = ("a red disc rises", "A  blue bar", "a blue bar")
    other = with_captions(model, texts)
    assert other.labels == ("a red disc rises", "a blue bar")
    assert (other.spec.classes, other.spec.activation) == (2, "none")
    assert network.captions == ()
    scores = other.module(clips)
    assert isinstance(scores, CaptionScores)
    tokens = torch.tensor([VOCABULARY.index(word) for word in texts[0].split()])
    logs = network(clips, tokens).log_softmax(2)
    expected = torch.stack([logs[:, place, token] for place, token in enumerate(tokens)], dim=1)
    assert torch.allclose(scores.words[0], expected, atol=1e-12)
    assert torch.allclose(scores.logits[:, 0], expected.sum(1), atol=1e-12)
    assert [each.shape for each in scores.words] == [(2, 4), (2, 3)]


def test_other_words_and_other_models_are_refused(network: TinyCaptioner) -> None:
    model = Model(TINY_CAPTIONER_SPEC, network, VOCABULARY, "")
    with pytest.raises(InputError, match="purple"):
        with_captions(model, ("a purple disc",))
    with pytest.raises(InputError, match="<end>"):
        with_captions(model, ("a disc <end>",))
    with pytest.raises(InputError, match="empty"):
        with_captions(model, (" ",))
    with pytest.raises(InputError, match="names classes"):
        with_captions(Model(TINY_R3D_SPEC, nn.Identity(), ("",) * 8, ""), ("a disc",))
