"""`explain` restores the model, and works in every mode of the model and of torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.conduct import State
from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.explain import explain

ALL = ("gradcam", "gradcam+", "gradcam++")


@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_restored(training: bool) -> None:
    net, clip = seeded(PooledHead).train(training), random_clip(2, 3, 4, 8, 8)
    net.get_submodule("block1").eval()  # one flag that differs from the others
    state = State(net, clip)
    explain(net, clip, methods=ALL)
    state.check_unchanged()


def test_explains_in_evaluation_mode() -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    training = explain(net.train(), clip, layer="block2")
    evaluation = explain(net.eval(), clip, layer="block2")
    np.testing.assert_array_equal(training.volumes["gradcam"], evaluation.volumes["gradcam"])


def _fail(*_: object, **__: object) -> Tensor:
    raise RuntimeError("planted")


BREAKERS: dict[str, Callable[[pytest.MonkeyPatch, nn.Module], None]] = {
    "in the trunk": lambda patch, net: patch.setattr(net.get_submodule("block1"), "forward", _fail),
    "in the layer": lambda patch, net: patch.setattr(net.get_submodule("block2"), "forward", _fail),
    "in the head": lambda patch, net: patch.setattr(net.get_submodule("fc"), "forward", _fail),
    "in the backward": lambda patch, net: patch.setattr("torch.autograd.grad", _fail),
    "in the weights": lambda patch, net: patch.setattr("vidcam.cam.methods.combine", _fail),
    "in the audit": lambda patch, net: patch.setattr("vidcam.cam.methods.audit_alpha", _fail),
    "in a hook's registration": lambda patch, net: patch.setattr("vidcam.cam.preserve._ThreadHook", _fail),
}


@pytest.mark.parametrize("where", BREAKERS)
def test_the_model_is_restored_after_an_exception(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, clip = seeded(PooledHead).train(), random_clip(2, 3, 4, 8, 8)
    state = State(net, clip)
    with monkeypatch.context() as patch:
        BREAKERS[where](patch, net)
        with pytest.raises(RuntimeError, match="planted"):
            explain(net, clip, layer="block2", methods=ALL)
    state.check_unchanged()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_inside_no_grad_and_inference_mode(mode: Callable[[], torch.no_grad]) -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2").volumes["gradcam"]
    with mode():
        inner = random_clip(1, 3, 4, 8, 8)
        np.testing.assert_array_equal(explain(net, inner, layer="block2").volumes["gradcam"], expected)


def test_works_with_frozen_weights() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2").volumes["gradcam"]
    result = explain(net.requires_grad_(False), clip, layer="block2")
    np.testing.assert_array_equal(result.volumes["gradcam"], expected)


def test_the_trunk_builds_no_graph() -> None:
    net, seen = seeded(PooledHead), []
    handle = net.get_submodule("block1").register_forward_hook(lambda _m, _i, out: seen.append(out.requires_grad))
    explain(net, random_clip(1, 3, 4, 8, 8), layer="block2")
    handle.remove()
    assert seen == [False]
