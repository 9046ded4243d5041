"""Compiled, data-parallel and scripted networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from tests.helpers.conduct import State
from tests.helpers.nets import PooledHead, random_clip, seeded
from tests.helpers.networks import EVERY, assert_alike
from vidcam.cam.explain import explain
from vidcam.errors import InputError


@pytest.fixture
def eager_compiler() -> Iterator[None]:
    """Allow `torch.compile` in one test and ignore its own warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        torch.compiler.reset()


def _whole(net: nn.Module) -> Any:
    return torch.compile(net, backend="eager")


def _part(net: nn.Module) -> Any:
    net.block2 = torch.compile(net.get_submodule("block2"), backend="eager")  # type: ignore[assignment]
    return net


def _own(net: nn.Module) -> Any:
    net.compile(backend="eager")
    return net


def _own_part(net: nn.Module) -> Any:
    net.get_submodule("block2").compile(backend="eager")
    return net


@pytest.mark.parametrize("wrap", [_whole, _part, _own, _own_part])
def test_compiled_networks(wrap: Callable[[nn.Module], Any], eager_compiler: None) -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    expected = explain(seeded(PooledHead), clip, layer="block2.2", methods=EVERY)
    net = wrap(seeded(PooledHead).eval())
    with torch.no_grad():
        scores = net(clip)  # compile before explaining
    state = State(net, clip)
    assert_alike(explain(net, clip, layer="block2.2", methods=EVERY), expected)
    state.check_unchanged()
    with torch.no_grad():
        assert torch.equal(net(clip), scores)
    with torch.compiler.set_stance("fail_on_recompile"), torch.no_grad():
        net(clip)  # it is still compiled


def test_data_parallel_networks() -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2", methods=EVERY)
    for layer in ("block2", "module.block2"):
        assert_alike(explain(nn.DataParallel(net), clip, layer=layer, methods=EVERY), expected, tolerance=0)


def test_script_modules_raise() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(seeded(PooledHead).eval())
    with pytest.raises(InputError, match=r"model is a RecursiveScriptModule, which accepts no hooks"):
        explain(scripted, random_clip(1, 3, 4, 8, 8), layer="block2")
