"""The classes of the softmax form: chunks, differences of scores, and the tail that is left out."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.helpers.nets import random_clip
from tests.helpers.softmax import hidden_head, linear, of_head, scores_of, some_activations, zero
from vidcam.cam.softmax import softmax_form


def test_chunks_do_not_matter() -> None:
    head, activations = hidden_head(classes=7), some_activations(2)
    scores, products = of_head(head, activations)
    classes = torch.tensor([1, 6])
    sizes: list[int] = []

    def watched(cotangents: Tensor) -> Tensor:
        sizes.append(len(cotangents))
        return products(cotangents)

    whole = softmax_form(activations, scores, classes, watched, chunk=7)
    for chunk in (1, 3):
        other = softmax_form(activations, scores, classes, watched, chunk=chunk)
        torch.testing.assert_close(other.weights, whole.weights, rtol=1e-12, atol=1e-15)
    assert sizes == [6, 1, 1, 1, 1, 1, 1, 3, 3]


def test_directions_are_differences_of_scores() -> None:
    """e_k - e_c, the most probable first, in the scores' dtype: each clip has its own order and its own target."""
    seen: list[Tensor] = []

    def watched(cotangents: Tensor) -> Tensor:
        seen.append(cotangents)
        return torch.zeros(len(cotangents), 2, 1, 3)

    scores = torch.tensor([[0.0, 2.0, 1.0], [5.0, 1.0, 3.0]])
    softmax_form(torch.ones(2, 1, 3), scores, torch.tensor([0, 2]), watched)
    assert seen[0].tolist() == [[[-1, 1, 0], [1, 0, -1]], [[-1, 0, 1], [0, 1, -1]]]
    assert seen[0].dtype == scores.dtype


def test_directions_of_unneeded_classes_are_zero() -> None:
    seen: list[Tensor] = []

    def watched(cotangents: Tensor) -> Tensor:
        seen.append(cotangents)
        return torch.zeros(len(cotangents), 2, 1, 3)

    scores = torch.tensor([[0.0, 9.0, 1.0], [0.0, 1.0, 1.0]])  # the first clip's last class is in the tail
    softmax_form(torch.ones(2, 1, 3), scores, torch.tensor([0, 0]), watched, tail=0.1)
    assert seen[0].tolist() == [[[-1, 1, 0], [-1, 1, 0]], [[0, 0, 0], [-1, 0, 1]]]


def test_tail_of_five_classes() -> None:
    """Shares of the others are 0.5, 0.25, 0.15, 0.1. The part left out is at most `tail`."""
    a = torch.tensor([1.0, 0.0], dtype=torch.float64).view(1, 1, 2)
    gradients = random_clip(1, 5, 1, 2, dtype=torch.float64)
    scores = scores_of(0.5, 0.05, 0.25, 0.125, 0.075)
    order = [2, 3, 4, 1]
    for tail, kept in [(0.0, 4), (0.12, 3), (0.3, 2), (0.499, 2), (0.9, 1)]:
        form = softmax_form(a, scores, zero(), linear(gradients), tail=tail)
        without = gradients.clone()
        for k in order[kept:]:
            without[:, k] = without[:, 0]  # h_k = 0: adds nothing to any moment
        expected = softmax_form(a, scores, zero(), linear(without))
        torch.testing.assert_close(form.weights, expected.weights, rtol=1e-12, atol=1e-15)


def test_a_larger_tail_needs_fewer_products() -> None:
    head, activations = hidden_head(classes=30, scale=60.0), some_activations(1)
    scores, products = of_head(head, activations)
    target = scores.argmax(dim=1)
    counts, errors = [], []
    exact = softmax_form(activations, scores, target, products).weights
    for tail in (0.0, 1e-6, 1e-3, 0.1, 0.5):
        seen: list[int] = []

        def watched(cotangents: Tensor, seen: list[int] = seen) -> Tensor:
            seen.append(len(cotangents))
            return products(cotangents)

        form = softmax_form(activations, scores, target, watched, tail=tail)
        counts.append(sum(seen))
        errors.append(float((form.weights - exact).abs().max() / exact.abs().max()))
    assert counts[0] == 29
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[1] < 29
    assert errors[0] == 0
    assert errors[1] < 1e-4
