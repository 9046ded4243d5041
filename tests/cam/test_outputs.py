"""Outputs of networks: logits in containers, and probabilities, which are undone or raise an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import random_clip
from tests.helpers.networks import EVERY, Ending, assert_alike
from vidcam.cam.explain import explain
from vidcam.errors import InputError


class Output:
    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda s: (s, 1), id="tuple"),
        pytest.param(lambda s: [[s, s]], id="nested"),
        pytest.param(lambda s: {"aux": 0, "logits": s}, id="dict"),
        pytest.param(Output, id="object"),
        pytest.param(lambda s: torch.stack([2 * s, 0 * s], dim=2), id="(N, K, t)"),
    ],
)
def test_outputs_that_hold_logits(end: Callable[[Tensor], Any]) -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    expected = explain(Ending(), clip, layer="net.block2", methods=EVERY)
    result = explain(Ending(end), clip, layer="net.block2", methods=EVERY)
    np.testing.assert_allclose(result.logits, expected.logits, rtol=1e-6)
    assert_alike(result, expected)


SOFT: dict[str, Callable[[Tensor], Any]] = {
    "module": nn.Softmax(dim=1),
    "functional": lambda s: nn.functional.softmax(s, dim=1),
    "functional by keyword": lambda s: nn.functional.softmax(input=s, dim=1),
    "method": lambda s: s.softmax(1),
    "torch": lambda s: torch.softmax(s, 1),
    "special": lambda s: torch.special.softmax(s, 1),
    "log module": nn.LogSoftmax(dim=1),
    "log functional": lambda s: nn.functional.log_softmax(s, dim=1),
    "log method": lambda s: s.log_softmax(1),
    "in a tuple": lambda s: (s.softmax(1), s),
    "before a view": lambda s: s[:, :, None, None].softmax(1).mean(dim=(2, 3)).view(len(s), -1),
    "one of two": lambda s: (s.softmax(1), (3 * s).softmax(1)),
}
SIGMOID: dict[str, Callable[[Tensor], Any]] = {
    "module": nn.Sigmoid(),
    "functional": nn.functional.sigmoid,
    "method": lambda s: s.sigmoid(),
    "torch": torch.sigmoid,
    "expit": torch.special.expit,
    "in place": lambda s: s.sigmoid_(),
    "torch in place": torch.sigmoid_,
    "log": nn.LogSigmoid(),
    "before a view": lambda s: s[:, :, None].sigmoid().squeeze(2),
    "one of two": lambda s: (s.sigmoid(), (3 * s).sigmoid()),
}


@pytest.mark.parametrize("scale", [1.0, 4000.0])
@pytest.mark.parametrize(("kind", "name"), [("softmax", name) for name in SOFT] + [("sigmoid", n) for n in SIGMOID])
def test_a_final_softmax_or_sigmoid_is_undone(kind: str, name: str, scale: float) -> None:
    """Also if p is 1 in float32."""
    clip, end = random_clip(2, 3, 4, 8, 8), (SOFT if kind == "softmax" else SIGMOID)[name]
    methods = ("gradcam", "gradcam++", "guided-gradcam")
    expected = explain(Ending(scale=scale), clip, layer="net.block2", methods=methods)
    result = explain(Ending(end, scale=scale), clip, layer="net.block2", methods=methods)
    np.testing.assert_allclose(result.logits, expected.logits, rtol=1e-6)
    assert_alike(result, expected)
    assert (result.activation, expected.activation) == (kind, "softmax")
    assert (np.float32(result.probability).max() == 1.0) == (scale > 1)
    assert result.empty["gradcam"].tolist() == expected.empty["gradcam"].tolist()


def test_log_probabilities_that_cannot_be_undone() -> None:
    net = Ending(lambda s: s.softmax(dim=1).log())
    with pytest.raises(InputError, match="the model returns logarithms of probabilities, expected logits"):
        explain(net, random_clip(2, 3, 4, 8, 8), layer="net.block2")


DISGUISED: dict[str, tuple[str, Callable[[Tensor], Any]]] = {
    "mean of softmaxes": ("probabilities", lambda s: torch.stack([s.softmax(1), (2 * s).softmax(1)]).mean(0)),
    "two sigmoids, joined": ("probabilities", lambda s: torch.cat([s.sigmoid(), (s - 1).sigmoid()], 1)),
    "sum of halves": ("probabilities", lambda s: 0.5 * s.softmax(1) + 0.5 * s.sigmoid()),
    "softmax over the clips": ("probabilities", lambda s: s.softmax(0)),
    "softmax over the clips, by keyword": ("probabilities", lambda s: torch.softmax(s, dim=-2)),
    "mean of log-softmaxes": ("logarithms of probabilities", lambda s: (s.log_softmax(1) + (2 * s).log_softmax(1)) / 2),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_averaged_and_joined_probabilities(name: str) -> None:
    what, end = DISGUISED[name]
    with pytest.raises(InputError, match=rf"the model returns {what}.*, expected logits.* softmax or sigmoid"):
        explain(Ending(end), random_clip(2, 3, 4, 8, 8), layer="net.block2")


GATED: dict[str, Callable[[Tensor], Any]] = {
    "gate": lambda s: s * s.sigmoid(),
    "gate by another": lambda s: s.softmax(1) * s.sigmoid(),
    "scaled": lambda s: 20 * s.sigmoid(),
    "with a bias of its own": lambda s: 0.1 * s.sigmoid() + nn.Parameter(torch.full((4,), 0.1)),
    "shifted": lambda s: s.sigmoid() - 0.9,
}


@pytest.mark.parametrize("name", GATED)
def test_scores_with_a_sigmoid_inside_are_logits(name: str) -> None:
    result = explain(Ending(GATED[name]), random_clip(2, 3, 4, 8, 8), layer="net.block2")
    assert (result.activation, result.logits.shape) == ("softmax", (2, 4))
