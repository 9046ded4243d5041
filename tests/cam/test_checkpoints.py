"""Networks that use `torch.utils.checkpoint` have the maps of the same networks without it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import checkpoint as torchs
from torch.utils.checkpoint import checkpoint

from tests.helpers.conduct import State
from tests.helpers.nets import PooledHead, random_clip, seeded
from tests.helpers.networks import EVERY, assert_alike
from vidcam.cam.checkpoints import run_without_checkpoints
from vidcam.cam.explain import explain, explain_each
from vidcam.cam.preserve import Undo


class Checkpointed(nn.Module):
    """The pooled network with some of its modules checkpointed."""

    def __init__(self, *names: str, is_reentrant: bool) -> None:
        super().__init__()
        self.net = seeded(PooledHead)
        for name in names:
            module = self.net.get_submodule(name)
            module.forward = _checkpointed(module.forward, is_reentrant=is_reentrant)

    def forward(self, clip: Tensor) -> Any:
        return self.net(clip)


def _checkpointed(forward: Any, *, is_reentrant: bool) -> Any:
    return lambda x: checkpoint(forward, x, use_reentrant=is_reentrant)


WHERE = {"inside": ["block2"], "above": ["fc"], "below": ["block1"], "everywhere": ["block1", "block2", "fc"]}


@pytest.mark.parametrize("is_reentrant", [True, False])
@pytest.mark.parametrize("where", WHERE)
def test_maps_are_those_without_checkpoints(where: str, *, is_reentrant: bool) -> None:
    clip, net = random_clip(2, 3, 4, 8, 8), Checkpointed(*WHERE[where], is_reentrant=is_reentrant)
    state = State(net, clip)
    for layer in ("block2.2", "block2"):
        expected = explain(seeded(PooledHead), clip, layer=layer, methods=EVERY, target=1)
        assert_alike(explain(net, clip, layer=f"net.{layer}", methods=EVERY, target=1), expected, tolerance=0)
    state.check_unchanged()
    assert_alike(explain(net, clip, target=1), explain(seeded(PooledHead), clip, target=1), tolerance=0)


@pytest.mark.parametrize("is_reentrant", [True, False])
def test_several_layers_and_targets(*, is_reentrant: bool) -> None:
    clip, net = random_clip(2, 3, 4, 8, 8), Checkpointed("block2", "fc", is_reentrant=is_reentrant)
    expected = explain_each(seeded(PooledHead), clip, [0, 1], layer=["block1", "block2.2"])
    for ours, theirs in zip(
        explain_each(net, clip, [0, 1], layer=["net.block1", "net.block2.2"]), expected, strict=True
    ):
        assert_alike(ours, theirs, tolerance=0)


@pytest.mark.parametrize("is_reentrant", [True, False])
def test_training_in_another_thread_keeps_its_checkpoints(*, is_reentrant: bool) -> None:
    runs: list[int] = []

    def part(x: Tensor) -> Tensor:
        runs.append(1)
        return x * x

    def train() -> None:
        x = torch.ones(2, requires_grad=True)
        checkpoint(part, x, use_reentrant=is_reentrant).sum().backward()  # type: ignore[no-untyped-call]
        assert torch.equal(x.grad, torch.full((2,), 2.0))  # type: ignore[arg-type]

    with Undo() as undo, undo:
        run_without_checkpoints(undo)
        trainer = threading.Thread(target=train)
        trainer.start()
        trainer.join()
        assert len(runs) == 2  # once more in the backward pass
        train()
        assert len(runs) == 3
    train()
    assert len(runs) == 5


def test_torchs_own_functions_are_put_back_after_the_last_use() -> None:
    before = dict(vars(torchs))
    first, second = Undo(), Undo()
    run_without_checkpoints(first)
    run_without_checkpoints(second)
    first.run()
    assert "apply" in vars(torchs.CheckpointFunction)
    second.run()
    assert "apply" not in vars(torchs.CheckpointFunction)
    assert dict(vars(torchs)) == before


def test_an_error_inside_a_checkpoint_is_the_networks_own() -> None:
    def fail(_x: Tensor) -> Tensor:
        raise KeyError("planted")

    with Undo() as undo, undo:
        run_without_checkpoints(undo)
        for is_reentrant in (True, False):
            with pytest.raises(KeyError, match="planted"):
                checkpoint(fail, torch.ones(1), use_reentrant=is_reentrant)
