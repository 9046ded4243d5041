"""Distances of maps and logits, by numbers that can be checked by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tests.helpers.nets import random_clip
from vidcam.errors import ShapeError
from vidcam.pipelines.learn.distances import (
    DISTANCES,
    attention,
    cosine_distance,
    hinton_distance,
    normalised_distance,
    on_grid,
    raw_distance,
)

STUDENT = torch.tensor([[[[3.0, 4.0]]], [[[0.0, 2.0]]]])
TEACHER = torch.tensor([[[[4.0, 3.0]]], [[[5.0, 0.0]]]])


def test_distances_by_hand() -> None:
    assert raw_distance(STUDENT, TEACHER).tolist() == [2.0, 29.0]
    torch.testing.assert_close(normalised_distance(STUDENT, TEACHER), torch.tensor([2 * 0.25**2, 2.0]))
    torch.testing.assert_close(cosine_distance(STUDENT, TEACHER), torch.tensor([1 - 24 / 25, 1.0]))


def test_only_the_raw_form_knows_the_scale() -> None:
    small = 1e-20 * STUDENT
    torch.testing.assert_close(normalised_distance(small, TEACHER), normalised_distance(STUDENT, TEACHER))
    torch.testing.assert_close(cosine_distance(small, TEACHER), cosine_distance(STUDENT, TEACHER))
    assert raw_distance(small, TEACHER).tolist() == [25.0, 25.0]


def test_cosine_is_half_the_squared_distance_of_unit_maps() -> None:
    first, second = random_clip(3, 2, 4, 4).relu(), random_clip(3, 2, 4, 4, seed=2).relu()
    units = [functional.normalize(maps.flatten(1)) for maps in (first, second)]
    torch.testing.assert_close(cosine_distance(first, second), (units[0] - units[1]).square().sum(dim=1) / 2)


@pytest.mark.parametrize("form", DISTANCES)
def test_maps_without_evidence_give_numbers_and_gradients(form: str) -> None:
    empty = torch.zeros(1, 1, 1, 2, requires_grad=True)
    distance = DISTANCES[form](empty, TEACHER[:1])  # type: ignore[index]
    assert distance.tolist() == [{"raw": 25.0, "normalised": 1.5625, "cosine": 1.0}[form]]
    distance.sum().backward()
    assert empty.grad is not None
    assert bool(empty.grad.isfinite().all())


def test_one_grid() -> None:
    maps = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])  # one frame of 2 × 2 cells
    assert on_grid(maps, (1, 2, 2)) is maps
    assert on_grid(maps, (1, 1, 2)).tolist() == [[[[3.0, 5.0]]]]  # averaged
    assert on_grid(maps, (1, 1, 4)).tolist() == [[[[3.0, 3.5, 4.5, 5.0]]]]  # averaged and interpolated
    assert on_grid(maps, (2, 2, 2)).tolist() == [[maps[0, 0].tolist()] * 2]
    assert on_grid(maps[:, 0], (1, 1)).tolist() == [[[4.0]]]
    with pytest.raises(ShapeError, match=r"\(1, 1, 2, 2\)"):
        on_grid(maps, (2, 2))


def test_attention_is_the_mean_square_of_the_channels() -> None:
    activations = torch.tensor([[[[[3.0]]], [[[1.0]]]]], dtype=torch.bfloat16)
    assert attention(activations).tolist() == [[[[5.0]]]]
    assert attention(activations).dtype == torch.float32


def test_hinton_is_the_divergence_of_softened_probabilities() -> None:
    student, teacher = random_clip(5, 7), random_clip(5, 7, seed=2)
    soft = (student / 4).log_softmax(dim=1), (teacher / 4).log_softmax(dim=1)
    expected = 16 * functional.kl_div(*soft, reduction="batchmean", log_target=True)
    torch.testing.assert_close(hinton_distance(student, teacher, temperature=4).mean(), expected)
    torch.testing.assert_close(hinton_distance(teacher, teacher, temperature=4), torch.zeros(5), atol=1e-5, rtol=0)


def test_hinton_of_sigmoids_adds_the_classes() -> None:
    student, teacher = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, -2.0]])
    pairs = torch.stack([torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.0, 0.0], [-2.0, 0.0]])])
    expected = hinton_distance(pairs[0], pairs[1], temperature=2).sum()  # a sigmoid is a softmax of (z, 0)
    found = hinton_distance(student, teacher, temperature=2, is_multilabel=True)
    torch.testing.assert_close(found, expected[None])
