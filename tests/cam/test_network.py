from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vidcam.cam.network import (
    ordinary,
    pathways,
    read_scores,
    reference,
    scores_tensor,
)
from vidcam.cam.tracer import LogitTracer
from vidcam.errors import InputError, ShapeError

ROWS = torch.tensor([[1.0, 2.0, -4.0], [0.5, 0.25, 3.0]])


@pytest.mark.parametrize("output", [ROWS, (ROWS, 1), [[ROWS]], {"logits": (ROWS,)}, {"logits": ROWS, "loss": 0}])
def test_the_first_tensor(output: Any) -> None:
    assert scores_tensor(output) is ROWS


@pytest.mark.parametrize("output", [None, (), {"scores": ROWS}, {}, "text", ({"logits": ROWS},)])
def test_no_tensor(output: Any) -> None:
    assert scores_tensor(output) is None
    with pytest.raises(ShapeError, match=r"expected logits \(N, K\), \(N, K, t\) or \(N, T, K\)"):
        read_scores(output)


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4)])
def test_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="the model returns a tensor of shape"):
        read_scores(torch.zeros(shape))


def test_logits_that_look_like_probabilities_are_known_by_their_softmax() -> None:
    rows = torch.tensor([[1.0, 0.0]])
    with pytest.raises(InputError, match="the model returns probabilities"):
        read_scores(rows)
    with LogitTracer() as tracer:
        output = rows.softmax(dim=1)
    scores = read_scores(output, tracer)
    assert (scores.logits.tolist(), scores.activation) == ([[1.0, 0.0]], "softmax")


def test_what_is_not_the_end_is_left_on() -> None:
    with LogitTracer() as tracer:
        gate = ROWS.sigmoid()
        output = ROWS * gate
    scores = read_scores(output, tracer)
    assert scores.logits is output
    assert scores.activation is None


def test_what_went_into_a_classifier_is_freed() -> None:
    """Otherwise the trunk would need half as much memory again."""
    given = torch.ones(2, 3)
    freed = weakref.ref(given)
    with LogitTracer() as tracer:
        scores = given @ torch.ones(3, 5)
        product = tracer.product(scores)
    del given
    assert freed() is None
    assert product is not None
    assert product.size == tracer.classes(scores) == tracer.classes(ROWS) == 5


def test_only_the_last_of_many_is_kept() -> None:
    """What attention computes on the way must not be held until the end."""
    with LogitTracer() as tracer:
        for _ in range(5):
            torch.softmax(ROWS, dim=1)
    assert len(tracer._noted) == 1


def test_narrow_logits_are_widened_before_they_are_averaged() -> None:
    output = torch.tensor([[[60000.0, 60000.0], [-3.0, 1.0], [0.0, 0.0]]]).half()
    assert read_scores(output, classes=3).logits.tolist() == [[60000.0, -1.0, 0.0]]


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
    scores = read_scores(rows)
    assert scores.logits is rows
    assert scores.activation == ("sigmoid" if rows.shape[1] == 1 else None)


# ---- what it takes

CLIP = torch.zeros(2, 3, 4, 5, 5)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (None, "got NoneType"),
        (np.zeros((1, 3, 4, 4)), "or a list of tensors, got ndarray"),
        ([], "got an empty list"),
        ([CLIP, None], r"got a tensor \(2, 3, 4, 5, 5\), NoneType"),
        (torch.zeros(3, 4), r"got a tensor \(3, 4\)"),
        ([CLIP, CLIP[:1]], r"all pathways must have the same number of clips, at least 1, got \(2, 3, 4, 5, 5\), "),
        (CLIP[:0], r"at least 1, got \(0, 3, 4, 5, 5\)"),
    ],
)
def test_what_is_no_clip(clip: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        pathways(clip)


def test_maps_are_drawn_on_the_pathway_of_the_most_cells() -> None:
    slow, fast = torch.zeros(1, 64, 2, 5, 5), torch.zeros(1, 3, 8, 5, 5)
    assert reference([slow, fast]) is fast
    assert reference([fast, slow]) is fast
    assert reference(slow) is slow


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_tuple_stays_a_tuple(kind: type) -> None:
    clip_input = kind([CLIP, CLIP + 1])
    made = ordinary(clip_input)
    assert type(made) is kind
    assert torch.equal(made[1], CLIP + 1)


def test_clips_made_in_inference_mode_are_copied_and_others_are_not() -> None:
    with torch.inference_mode():
        clip = CLIP + 1
        copy = ordinary(clip)
    assert isinstance(copy, torch.Tensor)
    assert not copy.is_inference()
    assert torch.equal(copy, clip)
    assert ordinary(CLIP) is CLIP
