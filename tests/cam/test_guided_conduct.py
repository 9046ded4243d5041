"""Guided backpropagation restores the model and modes, frees its memory, and unwraps models."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.helpers.conduct import State
from tests.helpers.guided import Rectifier, clip_of, deep, first, guided
from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.explain import explain


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_restored(training: bool, frozen: bool) -> None:
    net, clip = seeded(PooledHead).train(training), random_clip(2, 3, 4, 8, 8)
    expected = guided(seeded(PooledHead).eval(), clip)
    net.get_submodule("block1").eval().requires_grad_(not frozen)
    state = State(net, clip)
    assert torch.equal(guided(net, clip), expected)
    state.check_unchanged()


def _fail(*_: object, **__: object) -> Tensor:
    raise RuntimeError("planted")


BREAKERS: dict[str, Callable[[pytest.MonkeyPatch, nn.Module], None]] = {
    "in the model": lambda patch, net: patch.setattr(net.get_submodule("fc"), "forward", _fail),
    "in a rectifier": lambda patch, _: patch.setattr("vidcam.cam.rectify._closed", _fail),
    "in the rule's reading": lambda patch, _: patch.setattr("vidcam.cam.rectify._gate", _fail),
    "in the backward": lambda patch, _: patch.setattr("torch.autograd.grad", _fail),
    "in the check of the numbers": lambda patch, _: patch.setattr("vidcam.cam.guided.require_finite", _fail),
    "in the check of the clip": lambda patch, _: patch.setattr("vidcam.cam.guided.require_floats", _fail),
}


@pytest.mark.parametrize("where", [*BREAKERS, "in the score"])
def test_the_model_is_restored_after_an_exception(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, clip = seeded(PooledHead).train(), random_clip(2, 3, 4, 8, 8)
    state = State(net, clip)
    with monkeypatch.context() as patch:
        if where in BREAKERS:
            BREAKERS[where](patch, net)
        with pytest.raises(RuntimeError, match="planted"):
            guided(net, clip, first if where in BREAKERS else _fail)
    state.check_unchanged()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_inside_no_grad_and_inference_mode(mode: Callable[[], torch.no_grad]) -> None:
    net = seeded(PooledHead)
    expected = guided(net, random_clip(1, 3, 4, 8, 8))
    with mode():
        clip = random_clip(1, 3, 4, 8, 8)
        state = State(net, clip)
        gradients = guided(net, clip)
        state.check_unchanged()
    assert torch.equal(gradients, expected)
    assert not gradients.is_inference()
    assert torch.equal(guided(net, clip), expected)  # an inference tensor if the mode is inference


def test_the_callers_clip_gets_no_gradient() -> None:
    clip = random_clip(1, 3, 4, 8, 8).requires_grad_()
    gradients = guided(seeded(PooledHead), clip)
    assert clip.grad is None
    assert not gradients.requires_grad


def test_works_within_autocast() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    expected = guided(net, clip)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gradients = guided(net, clip)
    assert gradients.dtype == torch.float32
    assert not torch.equal(gradients, expected)
    assert float(F.cosine_similarity(gradients.flatten(), expected.flatten(), dim=0)) > 0.99


def test_bfloat16_comes_out_as_float32() -> None:
    net, clip = seeded(PooledHead).bfloat16(), random_clip(1, 3, 4, 8, 8, dtype=torch.bfloat16)
    assert guided(net, clip).dtype == torch.float32


@pytest.mark.parametrize("rectify", [torch.relu, torch.relu_, lambda x: x[:, :2].relu_(), lambda x: x.clamp_(0, 6)])
def test_memory_is_freed(rectify: Rectifier) -> None:
    net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1))
    net.register_forward_hook(lambda _module, _inputs, features: rectify(features).mean(dim=(2, 3, 4)))
    gc.collect()
    before = alive()
    gc.disable()
    try:
        guided(net, random_clip(1, 3, 4, 8, 8))
        assert alive() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("end", [nn.Softmax(dim=1), nn.Sigmoid(), nn.LogSoftmax(dim=1)])
def test_memory_of_a_network_with_probabilities_is_freed(end: nn.Module) -> None:
    pooled = [nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 5)]
    net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), *pooled, end)
    gc.collect()
    before = alive()
    explain(net, random_clip(1, 3, 4, 8, 8), layer="1", methods=["guided-gradcam"])
    gc.collect()
    assert alive() == before


def alive() -> int:
    """Count guided backpropagation's nodes in the process; other tests may hold some."""
    return sum(type(thing).__name__ == "_RectifyBackward" for thing in gc.get_objects())


def saved_bytes(run: Callable[[], object]) -> int:
    """Return the bytes of all storages that are saved for the backward pass."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("rectify", [torch.relu, nn.ReLU(inplace=True), nn.ReLU6(), lambda x: x.clamp(min=0)])
def test_saves_no_more_memory_than_plain_gradients(rectify: Rectifier) -> None:
    net, clip = deep(rectify), clip_of()

    def plain() -> Tensor:
        leaf = clip.clone().requires_grad_()
        return torch.autograd.grad(first(net(leaf)), leaf)[0]

    assert saved_bytes(lambda: guided(net, clip)) <= 1.25 * saved_bytes(plain)
    assert rectify is not torch.relu or saved_bytes(lambda: guided(net, clip)) <= saved_bytes(plain)


def test_data_parallel_runs_without_its_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas run in other threads, where modes of this thread are not active."""
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    monkeypatch.setattr(nn.DataParallel, "forward", _fail)
    assert torch.equal(guided(nn.DataParallel(net), clip), guided(net, clip))


@pytest.mark.slow
def test_compiled_models_run_uncompiled() -> None:
    clip = random_clip(1, 3, 4, 8, 8)
    expected, calls = guided(seeded(PooledHead), clip), []

    def backend(graph: Any, _: object) -> Any:
        calls.append(graph)
        return graph.forward

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outside = torch.compile(seeded(PooledHead).eval(), backend=backend)
        inside = seeded(PooledHead).eval()
        inside.get_submodule("block2").compile(backend=backend)
        for net in (outside, inside):
            assert isinstance(net, nn.Module)
            with torch.no_grad():
                net(clip)
            assert calls
            calls.clear()
            assert torch.equal(guided(net, clip), expected)
            assert not calls
