"""Errors of guided backpropagation: models without ReLU or outside Python, invalid scores and clips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.helpers.guided import Rectifier, clip_of, deep, first, guided
from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.guided import guided_gradients
from vidcam.errors import InputError, NonFiniteError, ShapeError


@pytest.mark.parametrize(
    ("activation", "has"),
    [
        (nn.GELU(), "found none (it has GELU);"),
        (nn.SiLU(inplace=True), "found none (it has SiLU);"),
        (nn.LeakyReLU(), "found none (it has LeakyReLU);"),
        (lambda x: F.elu(x) * x.tanh(), "found none (it has ELU, Tanh);"),
        (torch.square, "found none;"),
    ],
)
def test_a_model_without_relu(activation: Rectifier, has: str) -> None:
    with pytest.raises(InputError, match="guided methods need a ReLU between clip and score, found none") as caught:
        guided(deep(activation), clip_of())
    assert has in str(caught.value)


def test_a_relu_beside_the_path_does_not_count() -> None:
    def rectify(x: Tensor) -> Tensor:
        scale = torch.relu(torch.ones(1, requires_grad=True))
        x.relu().sum()
        return F.silu(x) * scale

    with pytest.raises(InputError, match=r"need a ReLU between clip and score, .*it has SiLU"):
        guided(deep(rectify), clip_of())


@pytest.mark.filterwarnings("ignore")
def test_torch_script() -> None:
    net, clip = seeded(PooledHead).eval(), random_clip(1, 3, 4, 8, 8)
    traced = torch.jit.trace(net, clip)  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match=r"model is of type TopLevelTracedModule, .* pass the nn\.Module"):
        guided(traced, clip)
    with pytest.raises(InputError, match="module '1' is TorchScript"):
        guided(nn.Sequential(nn.ReLU(), traced), clip)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("times", [0, 3])
def test_scripted_functions(times: int) -> None:
    """The first runs of a scripted function use torch's own graph, later runs an optimised one."""

    def rectify(x: Tensor) -> Tensor:
        return 2 * torch.relu(x)

    scripted, clip = torch.jit.script(rectify), clip_of()
    for _ in range(times):
        scripted(clip.requires_grad_())
    with pytest.raises(InputError, match=r"part of the model is TorchScript or C\+\+, which hides its ReLUs"):
        guided(deep(lambda x: scripted(torch.relu(x))), clip.detach())


def test_relus_in_cpp() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(3, 4, nonlinearity="relu", batch_first=True)

        def forward(self, clip: Tensor) -> Tensor:
            states: Tensor = self.rnn(clip.mean(dim=(3, 4)).relu().transpose(1, 2))[0]
            return states[:, -1]

    with pytest.raises(InputError, match=r"TorchScript or C\+\+"):
        guided(Recurrent(), random_clip(1, 3, 4, 8, 8))


@pytest.mark.parametrize(
    ("score", "error", "message"),
    [
        (lambda output: output[:, 0], ShapeError, r"the score has shape \(2,\), expected one number"),
        (lambda output: output.tolist()[0], ShapeError, "the score has list, expected one number"),
        (lambda output: output.detach().sum(), InputError, "the score does not depend on the clip"),
        (lambda output: torch.ones((), requires_grad=True) * 2, InputError, "the score does not depend on the clip"),
        (lambda output: (output.sum() * 0).sqrt(), NonFiniteError, "the guided gradients contain NaN or infinity"),
    ],
)
def test_invalid_scores(score: Callable[[Any], Tensor], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        guided(deep(), clip_of(), score)


def test_invalid_clips() -> None:
    with pytest.raises(InputError, match=r"clip is of torch.uint8, expected floating point"):
        guided(deep(), torch.zeros(1, 3, 4, 6, 7, dtype=torch.uint8))
    with pytest.raises(InputError, match="clip is an empty sequence, expected floating point"):
        guided_gradients(deep(), [], first)
