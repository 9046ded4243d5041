"""Modes of torch and of the model: gradients on or off, inference, training, frozen weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest
import torch

from tests.helpers.conduct import State
from tests.helpers.nets import PooledHead, random_clip, seeded
from tests.helpers.networks import EVERY, assert_alike
from vidcam.cam.explain import explain, explain_each
from vidcam.errors import InputError


@contextmanager
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "grad": nullcontext,
    "no grad": torch.no_grad,
    "inference": _inference,
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_modes_do_not_matter(mode: str, training: bool, frozen: bool) -> None:
    expected = explain(seeded(PooledHead).eval(), random_clip(2, 3, 4, 8, 8), layer="block2", methods=EVERY)
    net = seeded(PooledHead).train(training).requires_grad_(not frozen)
    net.get_submodule("block1").train(not training)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    with MODES[mode]():
        clip = random_clip(2, 3, 4, 8, 8)
        assert clip.is_inference() == (mode == "inference")
        state = State(net, clip)
        result = explain(net, clip, layer="block2", methods=EVERY)
        several = explain_each(net, clip, [result.target.tolist(), 0], layer="block2", methods=EVERY)
        state.check_unchanged()
    assert_alike(result, expected, tolerance=0)
    assert_alike(several[0], expected)


def test_weights_made_in_inference_mode_raise() -> None:
    with torch.inference_mode():
        net = seeded(PooledHead)
    message = r"weight 'block1.0.weight' was made in torch\.inference_mode"
    with pytest.raises(InputError, match=message):
        explain(net, random_clip(1, 3, 4, 8, 8), layer="block2")
