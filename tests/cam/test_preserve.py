"""`preserve_model` restores flags, random state and grad mode, whatever happens inside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import PooledHead, random_clip, seeded
from tests.helpers.passes import record, undone
from vidcam.cam.explain import explain
from vidcam.cam.layers import list_layers
from vidcam.cam.preserve import preserve_model


def preserved(net: nn.Module) -> AbstractContextManager[None]:
    return undone(partial(preserve_model, net))


class NoisyNet(nn.Module):
    """A network that draws random numbers in evaluation mode too, in its trunk and its head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, clip: Tensor) -> Tensor:
        features: Tensor = self.relu(self.conv(clip + 0.01 * torch.randn_like(clip)))
        return features.mean(dim=(2, 3, 4)) + 0.01 * torch.rand(len(clip), 4)


def test_all_modules_are_in_evaluation_mode_without_graph() -> None:
    net = seeded(PooledHead).train()
    with preserved(net):
        assert not any(module.training for module in net.modules())
        assert not torch.is_grad_enabled()
        assert not net(random_clip(1, 3, 4, 8, 8)).requires_grad
    assert all(module.training for module in net.modules())


@pytest.mark.parametrize("training", [False, True])
def test_each_flag_is_restored(training: bool) -> None:
    net = seeded(PooledHead).train(training)
    odd = net.get_submodule("block1.1")
    odd.train(not training)
    with preserved(net):
        pass
    assert {module for module in net.modules() if module.training != training} == {odd}


def test_batch_statistics_do_not_change() -> None:
    net = seeded(PooledHead).train()
    before = [buffer.clone() for buffer in net.buffers()]
    with preserved(net):
        net(random_clip(4, 3, 4, 8, 8))
    assert all(torch.equal(old, new) for old, new in zip(before, net.buffers(), strict=True))


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_callers_grad_mode_is_restored(mode: Callable[[], torch.no_grad]) -> None:
    net = seeded(PooledHead)
    with mode():
        before = (torch.is_grad_enabled(), torch.is_inference_mode_enabled())
        with preserved(net):
            assert not torch.is_inference_mode_enabled()
            torch.set_grad_enabled(True)  # as `record` does for the head
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


def _use_preserved(net: nn.Module, clip: Tensor) -> None:
    with preserved(net):
        net(clip)


def _use_record(net: nn.Module, clip: Tensor) -> None:
    with record(net, ["relu"]):
        net(clip)


@pytest.mark.parametrize("use", [_use_preserved, _use_record, list_layers, explain])
def test_the_random_state_is_restored_if_the_network_draws_numbers(
    use: Callable[[nn.Module, Tensor], object],
) -> None:
    net, clip = seeded(NoisyNet).eval(), random_clip(2, 3, 4, 6, 6)
    torch.default_generator.manual_seed(7)
    before = torch.get_rng_state()
    use(net, clip)
    assert torch.equal(before, torch.get_rng_state())
    first = torch.rand(3)
    torch.default_generator.manual_seed(7)
    torch.testing.assert_close(first, torch.rand(3), rtol=0, atol=0)


def test_the_same_seed_gives_the_same_map_of_a_random_network() -> None:
    net, clip = seeded(NoisyNet).eval(), random_clip(2, 3, 4, 6, 6)
    torch.default_generator.manual_seed(7)
    first, second = (explain(net, clip, layer="relu", target=0) for _ in range(2))
    np.testing.assert_array_equal(first.volumes["gradcam"], second.volumes["gradcam"])


def test_everything_is_restored_after_an_exception() -> None:
    net = seeded(NoisyNet).train()
    net.get_submodule("relu").eval()
    torch.default_generator.manual_seed(7)
    before = torch.get_rng_state()

    def fail() -> None:
        with preserved(net):
            torch.rand(5)
            torch.set_grad_enabled(True)
            raise KeyError("planted")

    with torch.no_grad():
        with pytest.raises(KeyError, match="planted"):
            fail()
        assert not torch.is_grad_enabled()
    assert torch.equal(before, torch.get_rng_state())
    assert [name for name, module in net.named_modules() if not module.training] == ["relu"]


@pytest.mark.parametrize("caching", [True, False])
def test_autocast_cache_is_off_inside_and_restored_outside(caching: bool) -> None:
    net, before = seeded(PooledHead), torch.is_autocast_cache_enabled()
    try:
        torch.set_autocast_cache_enabled(caching)
        with preserved(net):
            assert not torch.is_autocast_cache_enabled()
        assert torch.is_autocast_cache_enabled() == caching
        explain(net, random_clip(1, 3, 4, 8, 8), layer="block2")
        assert torch.is_autocast_cache_enabled() == caching
    finally:
        torch.set_autocast_cache_enabled(before)


class Recurrent(nn.Module):
    """An LSTM with dropout between its two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU())
        self.memory = nn.LSTM(4, 6, num_layers=2, dropout=0.5, batch_first=True)

    def forward(self, clip: Tensor) -> Tensor:
        output: Tensor = self.memory(self.trunk(clip).mean(dim=(3, 4)).transpose(1, 2))[0][:, -1]
        return output


def test_a_recurrent_layer_of_cudnn_trains_without_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN has no backward in evaluation; the maps are those of evaluation all the same."""
    net, clip = Recurrent().eval(), torch.rand(2, 3, 4, 5, 5)
    expected = explain(net, clip, layer="trunk.1", methods="gradcam", target=1).volumes["gradcam"]
    seen: list[tuple[bool, float]] = []
    net.memory.register_forward_hook(lambda layer, *_: seen.append((layer.training, layer.dropout)))
    monkeypatch.setattr("vidcam.cam.evaluation.is_on_cudnn", lambda _layer: True)
    maps = explain(net, clip, layer="trunk.1", methods="gradcam", target=1).volumes["gradcam"]
    assert seen == [(True, 0.0)]
    np.testing.assert_array_equal(maps, expected)
    assert not net.memory.training
    assert net.memory.dropout == 0.5
