from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vidcam.cam.outputs import Ends, class_scores, first_tensor
from vidcam.errors import InputError, ShapeError

ROWS = torch.tensor([[1.0, 2.0, -4.0], [0.5, 0.25, 3.0]])


@pytest.mark.parametrize("output", [ROWS, (ROWS, 1), [[ROWS]], {"logits": (ROWS,)}, {"logits": ROWS, "loss": 0}])
def test_the_first_tensor(output: Any) -> None:
    assert first_tensor(output) is ROWS


@pytest.mark.parametrize("output", [None, (), {"scores": ROWS}, {}, "text", ({"logits": ROWS},)])
def test_no_tensor(output: Any) -> None:
    assert first_tensor(output) is None
    with pytest.raises(ShapeError, match=r"expected logits \(N, K\) or \(N, K, t\)"):
        class_scores(output)


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4)])
def test_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="the model returns a tensor of shape"):
        class_scores(torch.zeros(shape))


def test_logits_that_look_like_probabilities_are_known_by_their_softmax() -> None:
    rows = torch.tensor([[1.0, 0.0]])
    with pytest.raises(InputError, match="the model returns probabilities"):
        class_scores(rows)
    with Ends() as ends:
        output = rows.softmax(dim=1)
    scores, activation = class_scores(output, ends)
    assert (scores.tolist(), activation) == ([[1.0, 0.0]], "softmax")


def test_what_is_not_the_end_is_left_on() -> None:
    with Ends() as ends:
        gate = ROWS.sigmoid()
        output = ROWS * gate
    assert class_scores(output, ends) == (output, None)


def test_only_the_last_of_many_is_kept() -> None:
    """What attention computes on the way must not be held until the end."""
    with Ends() as ends:
        for _ in range(5):
            torch.softmax(ROWS, dim=1)
    assert len(ends._noted) == 1


def test_narrow_logits_are_widened_before_they_are_averaged() -> None:
    output = torch.tensor([[[60000.0, 60000.0], [-3.0, 1.0]]]).half()
    assert class_scores(output)[0].dtype == torch.float32


@pytest.mark.parametrize(
    "rows",
    [
        torch.tensor([[0.2, 0.8], [0.2, 0.9]]),
        torch.tensor([[-0.1, 1.1]]),
        torch.tensor([[1.0], [1.0]]),
        torch.tensor([[-1.0, -1.0]]),
    ],
)
def test_what_is_neither_probabilities_nor_their_logarithms(rows: Tensor) -> None:
    logits, activation = class_scores(rows)
    assert logits is rows
    assert activation == ("sigmoid" if rows.shape[1] == 1 else None)
