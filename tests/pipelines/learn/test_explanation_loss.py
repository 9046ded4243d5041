"""The loss of a student: its parts, the teacher's answers that are kept, and a teacher that is left alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import vidcam
from tests.helpers.conduct import State
from tests.helpers.nets import HiddenHead, PooledHead, random_clip, seeded
from vidcam.errors import InputError, ShapeError
from vidcam.pipelines.learn.distances import Form

CLIPS, LABELS = random_clip(3, 3, 3, 4, 4), torch.tensor([1, 3, 0])


def clips_seen_by(net: nn.Module) -> list[int]:
    """A list to which each forward pass of the network adds its number of clips."""
    seen: list[int] = []
    net.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    return seen


def criterion(teacher: nn.Module, **options: Any) -> vidcam.ExplanationLoss:
    """The loss for networks with a layer `relu`."""
    return vidcam.ExplanationLoss(teacher, layer="relu", teacher_layer="relu", **options)


@pytest.mark.parametrize("form", ["raw", "normalised", "cosine"])
def test_the_total_by_the_maps_of_explain(form: Form) -> None:
    teacher, student = seeded(HiddenHead, seed=1).eval(), seeded(HiddenHead)
    terms = criterion(teacher, form=form, weight=0.5, hinton_weight=2.0)(student, CLIPS, LABELS)
    maps = [
        vidcam.explain(net, CLIPS, methods="gradcam++", target=LABELS.tolist(), layer="relu").volumes["gradcam++"]
        for net in (student, teacher)
    ]
    raw = ((maps[0] - maps[1]) ** 2).sum(axis=(1, 2, 3)).mean()
    relative = [each / each.max(axis=(1, 2, 3), keepdims=True) for each in maps]
    np.testing.assert_allclose(terms.distances["raw"].item(), raw, rtol=1e-5)
    normalised = ((relative[0] - relative[1]) ** 2).sum(axis=(1, 2, 3)).mean()
    np.testing.assert_allclose(terms.distances["normalised"].item(), normalised, rtol=1e-5)
    logits = student(CLIPS)
    torch.testing.assert_close(terms.cross_entropy, functional.cross_entropy(logits, LABELS))
    expected = terms.cross_entropy + 0.5 * terms.distances[form] + 2 * terms.hinton
    torch.testing.assert_close(terms.total, expected)
    assert {name for name, distance in terms.distances.items() if distance.requires_grad} == {form}


def test_the_gradient_is_that_of_the_formula() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    criterion(teacher, method="gradcam", weight=3.0)(student, CLIPS, LABELS).total.backward()
    found = [parameter.grad for parameter in student.parameters()]
    student.zero_grad()
    given = vidcam.explain(teacher, CLIPS, target=LABELS.tolist(), layer="relu").volumes["gradcam"]
    own = vidcam.differentiable_maps(student, CLIPS, LABELS, layer="relu")
    distance = (own.maps["gradcam"] - torch.from_numpy(given)).square().sum() / 3
    (functional.cross_entropy(own.logits, LABELS) + 3 * distance).backward()
    torch.testing.assert_close(found, [parameter.grad for parameter in student.parameters()])


def test_training_brings_the_maps_together() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    loss = criterion(teacher, form="cosine", weight=10.0)
    optimiser = torch.optim.Adam(student.parameters(), 0.01)
    distances = []
    for _ in range(40):
        terms = loss(student, CLIPS, LABELS, keys=range(3))
        optimiser.zero_grad()
        terms.total.backward()
        optimiser.step()
        distances.append(terms.distances["cosine"].item())
    assert distances[-1] < 0.3 * distances[0]


def test_the_teacher_is_asked_once_for_each_key_and_label() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    seen = clips_seen_by(teacher)
    loss = criterion(teacher)
    first = loss(student, CLIPS, LABELS, keys=["a", "b", "c"])
    assert (seen, len(loss.teacher)) == ([3], 3)
    again = loss(student, CLIPS.flip(0), LABELS.flip(0), keys=["c", "b", "a"])
    torch.testing.assert_close(again.distances, first.distances)
    assert seen == [3]
    loss(student, CLIPS, torch.tensor([1, 3, 2]), keys=["a", "b", "c"])  # another class of clip c
    assert (seen, len(loss.teacher)) == ([3, 1], 4)
    loss(student, CLIPS, LABELS)
    assert (seen, len(loss.teacher)) == ([3, 1, 3], 4)
    loss(student, CLIPS, LABELS, keys=torch.arange(3))
    loss(student, CLIPS, LABELS, keys=[0, 1, 2])  # tensors are numbers
    assert seen == [3, 1, 3, 3]
    with pytest.raises(InputError, match="keys are 2"):
        loss(student, CLIPS, LABELS, keys=[0, 1])


def test_answers_from_elsewhere_are_kept() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    found = vidcam.differentiable_maps(teacher, CLIPS, LABELS, methods="gradcam++", layer="relu", create_graph=False)
    plain, filled = criterion(teacher), criterion(teacher)
    filled.teacher.keep(range(3), LABELS, found.maps["gradcam++"], found.logits)
    expected = plain(student, CLIPS, LABELS).total
    seen = clips_seen_by(teacher)
    torch.testing.assert_close(filled(student, CLIPS, LABELS, keys=range(3)).total, expected)
    assert seen == []


def test_the_teacher_is_left_alone() -> None:
    teacher, student = seeded(PooledHead, seed=1).train(), seeded(HiddenHead)
    state = State(teacher, CLIPS)
    loss = vidcam.ExplanationLoss(teacher, layer="relu", teacher_layer="block1", hinton_weight=1.0)
    loss.train().double().requires_grad_(False)
    loss(student, CLIPS, LABELS).total.backward()
    state.check_unchanged()
    assert list(loss.parameters()) == list(loss.modules())[1:] == []
    assert loss.state_dict() == {}


def test_other_clips_for_the_teacher_and_another_grid() -> None:
    teacher, student = seeded(PooledHead, seed=1), seeded(HiddenHead)
    large = random_clip(3, 3, 6, 8, 8)
    loss = vidcam.ExplanationLoss(teacher, method="layercam", layer="relu", teacher_layer="block2")
    terms = loss(student, CLIPS, LABELS, teacher_clips=large)
    own = vidcam.differentiable_maps(student, CLIPS, LABELS, methods="layercam", layer="relu").maps["layercam"]
    given = vidcam.explain(teacher, large, methods="layercam", target=LABELS.tolist(), layer="block2")
    expected = (own - torch.from_numpy(given.volumes["layercam"])).square().flatten(1).sum(dim=1).mean()
    assert own.shape == given.volumes["layercam"].shape == (3, 3, 4, 4)
    torch.testing.assert_close(terms.distances["raw"], expected)


def test_the_class_may_be_that_of_the_teacher() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    predicted = teacher(CLIPS).argmax(dim=1)
    assert not torch.equal(predicted, LABELS)
    by_teacher = criterion(teacher, explained="teacher")(student, CLIPS, LABELS)
    by_label = criterion(teacher)(student, CLIPS, predicted)
    torch.testing.assert_close(by_teacher.distances, by_label.distances)
    torch.testing.assert_close(by_teacher.cross_entropy, functional.cross_entropy(student(CLIPS), LABELS))


def test_attention_transfer_compares_activations() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    terms = criterion(teacher, method="attention", form="cosine")(student, CLIPS, LABELS)
    units = [
        functional.normalize(net.relu(net.conv(CLIPS)).square().sum(dim=1).flatten(1)) for net in (student, teacher)
    ]
    torch.testing.assert_close(terms.distances["cosine"], 1 - (units[0] * units[1]).sum(dim=1).mean())


def test_without_maps_and_hinton_no_teacher_runs() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    seen = clips_seen_by(teacher)
    terms = criterion(teacher, method=None)(student, CLIPS, LABELS)
    assert (seen, terms.distances) == ([], {})
    torch.testing.assert_close(terms.total, functional.cross_entropy(student(CLIPS), LABELS))
    terms = criterion(teacher, method=None, hinton_weight=1.0)(student, CLIPS, LABELS)
    assert seen == [3]
    torch.testing.assert_close(terms.total, terms.cross_entropy + terms.hinton)


def test_several_classes_a_clip() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    labels = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    terms = criterion(teacher, hinton_weight=1.0)(student, CLIPS, labels, keys=range(3))
    torch.testing.assert_close(terms.cross_entropy, functional.binary_cross_entropy_with_logits(student(CLIPS), labels))
    assert math.isfinite(terms.total.item())


def test_it_can_be_computed_without_gradients() -> None:
    teacher, student = seeded(HiddenHead, seed=1), seeded(HiddenHead)
    with torch.no_grad():
        terms = criterion(teacher)(student, CLIPS, LABELS)
    assert not terms.total.requires_grad
    torch.testing.assert_close(terms.total, criterion(teacher)(student, CLIPS, LABELS).total.detach())


def test_refusals() -> None:
    teacher = seeded(HiddenHead, seed=1)
    for options, match in (
        ({"form": "squared"}, "'squared'"),
        ({"method": "rise"}, "'rise'"),
        ({"explained": "truth"}, "'truth'"),
        ({"temperature": 0.0}, "temperature is 0.0"),
    ):
        with pytest.raises(InputError, match=match):
            criterion(teacher, **options)
    with pytest.raises(ShapeError, match="5 classes, the teacher 4"):
        criterion(teacher, method=None, hinton_weight=1.0)(seeded(HiddenHead, classes=5), CLIPS, LABELS)
