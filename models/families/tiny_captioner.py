"""tiny_captioner: a small show-and-tell network (arXiv:1411.4555) for the caption set, shipped with vidcam.

Four 3-D convolutions read the clip, (N, 3, 16, 64, 64). Their features are averaged over both halves of the time and
over 4 × 4 regions of the frame. One linear layer with a normalisation makes a vector of them. It is the first input of
an LSTM, which then says one word after the other. The target layer `layer4` returns (N, 48, 4, 8, 8) after its ReLU.

    logits = network(clip, tokens=tokens)      teacher-forced: the scores of each word of a caption, given those before
    logits = network(clip)                     those of the caption that the network generates
    tokens = network.generate(clip)            that caption, by greedy decoding
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from vidcam.models.captioner import Captioner
from vidcam.motion.captions import VOCABULARY

WIDTHS = (12, 24, 32, 48)
REGIONS = (2, 4, 4)
STATE = 128
"""Width of the clip's vector, of the words' vectors and of the LSTM."""

MAX_WORDS = 20
END = VOCABULARY.index("<end>")
"""The word after the last one, also in the place of a word before the first one."""


class ConvBlock(nn.Sequential):
    """relu(norm(conv(x))) with a 3 × 3 × 3 kernel."""

    def __init__(self, channels: int, width: int, stride: tuple[int, int, int]) -> None:
        super().__init__(nn.Conv3d(channels, width, 3, stride, padding=1, bias=False), nn.BatchNorm3d(width), nn.ReLU())


class TinyCaptioner(Captioner):
    """Network from clips (N, 3, 16, 64, 64) to the logits of the words of a caption, (N, L, V)."""

    end = END

    def __init__(self) -> None:
        super().__init__()
        first, second, third, fourth = WIDTHS
        self.layer1 = ConvBlock(3, first, (2, 2, 2))
        self.layer2 = ConvBlock(first, second, (1, 2, 2))
        self.layer3 = ConvBlock(second, third, (2, 2, 2))
        self.layer4 = ConvBlock(third, fourth, (1, 1, 1))
        self.pool = nn.AdaptiveAvgPool3d(REGIONS)
        self.see = nn.Sequential(nn.Linear(fourth * prod(REGIONS), STATE), nn.BatchNorm1d(STATE))
        self.words = nn.Embedding(len(VOCABULARY), STATE)
        self.lstm = nn.LSTM(STATE, STATE, batch_first=True)
        bias = dict(self.lstm.named_parameters())["bias_ih_l0"]
        nn.init.ones_(bias[STATE : 2 * STATE])  # of the forget gate: what was seen is kept at first
        self.say = nn.Linear(STATE, len(VOCABULARY))

    def encode(self, clip: Tensor) -> Tensor:
        """Make a vector of each clip, (N, 3, 16, 64, 64) to (N, D)."""
        features = self.layer4(self.layer3(self.layer2(self.layer1(clip))))
        vector: Tensor = self.see(self.pool(features).flatten(1))
        return vector

    def scores(self, encoded: Tensor, tokens: Tensor) -> Tensor:
        """Compute the logits of each word given those before it, (N, L, V), of captions (N, L)."""
        inputs = torch.cat([encoded.unsqueeze(1), self.words(tokens[:, :-1])], dim=1)
        logits: Tensor = self.say(self.lstm(inputs)[0])
        return logits

    @torch.no_grad()
    def decode(self, encoded: Tensor) -> Tensor:
        """Decode greedily until all captions have ended; returns (N, L), filled up with END."""
        word, state, tokens = encoded, None, list[Tensor]()
        ended = torch.zeros(len(encoded), dtype=torch.bool, device=encoded.device)
        while len(tokens) < MAX_WORDS and not bool(ended.all()):
            output, state = self.lstm(word.unsqueeze(1), state)
            index = self.say(output[:, 0]).argmax(dim=1).masked_fill(ended, END)
            tokens.append(index)
            ended = ended | (index == END)
            word = self.words(index)
        return torch.stack(tokens, dim=1)
