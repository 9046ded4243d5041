from __future__ import annotations

import pytest
import torch

from tests.helpers.nets import HiddenHead, PooledHead, random_clip, seeded
from tests.helpers.passes import record
from vidcam.errors import LayerError


def test_activations_and_gradients_of_several_layers() -> None:
    net, clip = seeded(PooledHead).eval(), random_clip(2, 3, 4, 8, 8)
    with record(net, ["block1", "block2"]) as recorder:
        score = net(clip)[:, 1].sum()
        gradients = recorder.gradients(score)
    lower = net.get_submodule("block1")(clip).detach().requires_grad_()
    upper = net.get_submodule("block2")(lower)
    upper.retain_grad()
    net.get_submodule("fc")(upper.mean(dim=(2, 3, 4)))[:, 1].sum().backward()
    assert lower.grad is not None
    assert upper.grad is not None
    torch.testing.assert_close(recorder.activations["block1"], lower)
    torch.testing.assert_close(recorder.activations["block2"], upper)
    torch.testing.assert_close(gradients["block1"], lower.grad)
    torch.testing.assert_close(gradients["block2"], upper.grad)


def test_an_in_place_relu_does_not_change_the_record() -> None:
    net, clip = seeded(PooledHead).eval(), random_clip(1, 3, 4, 8, 8)
    with record(net, ["block1.1"]) as recorder:  # an in-place ReLU follows
        net(clip)
    assert (recorder.activations["block1.1"] < 0).any()


def test_gradients_of_two_scores() -> None:
    net, clip = seeded(HiddenHead), random_clip(1, 3, 3, 4, 4)
    with record(net, ["relu"]) as recorder:
        scores = net(clip)
        first, second = recorder.gradients(scores[0, 0])["relu"], recorder.gradients(scores[0, 1])["relu"]
    assert not torch.equal(first, second)
    assert not first.requires_grad


def test_a_score_without_a_graph() -> None:
    net, clip = seeded(HiddenHead), random_clip(1, 3, 3, 4, 4)
    with record(net, ["relu"]) as recorder:
        scores = net(clip)
        with pytest.raises(LayerError, match="the score does not depend on layer 'relu'"):
            recorder.gradients(scores.detach().sum())
