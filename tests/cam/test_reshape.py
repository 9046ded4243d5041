from __future__ import annotations

import pytest
import torch

from vidcam.cam.reshape import channels_last, tokens
from vidcam.errors import LayerError


def test_channels_last_by_hand() -> None:
    output = torch.arange(24).view(1, 2, 3, 4)  # (N, h, w, D)
    assert channels_last(output).shape == (1, 4, 2, 3)
    assert channels_last(output)[0, 1].tolist() == [[1, 5, 9], [13, 17, 21]]


@pytest.mark.parametrize("others", [0, 1, 3])
def test_tokens_by_hand(others: int) -> None:
    rows = torch.arange((others + 8) * 2).view(1, others + 8, 2)
    made = tokens((2, 2, 2), class_tokens=others)(rows)
    assert made.shape == (1, 2, 2, 2, 2)
    assert made[0, 1].flatten().tolist() == [2 * (others + cell) + 1 for cell in range(8)]


@pytest.mark.parametrize("shape", [(1, 8, 2), (1, 10, 2), (1, 2, 9, 2), (9, 2)])
def test_other_numbers_of_tokens_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(LayerError, match=r"expected \(N, 1 \+ 8, D\) tokens for a grid of \(2, 2, 2\); give the grid"):
        tokens((2, 2, 2))(torch.zeros(shape))
