"""One model explained from several threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo import eval_frame

import vidcam
from vidcam.cam.preserve import Undo, preserve_model


class Slow(nn.Module):
    """Waits in its middle until every thread is there."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__()
        self.barrier = barrier

    def forward(self, features: Tensor) -> Tensor:
        """Waits at most a second."""
        try:
            self.barrier.wait(timeout=1.0)
        except threading.BrokenBarrierError:
            self.barrier.reset()
        return features


def network(barrier: threading.Barrier) -> nn.Sequential:
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 3))
    return nn.Sequential(Slow(barrier), nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), Slow(barrier), head)


def in_threads(work: Callable[[int], None], count: int) -> None:
    """Run the work in threads and raise what one of them raised."""
    errors: list[BaseException] = []

    def guarded(place: int) -> None:
        try:
            work(place)
        except BaseException as exc:
            errors.append(exc)

    workers = [threading.Thread(target=guarded, args=(place,)) for place in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("is_training", [False, True])
def test_threads_get_the_maps_of_one_thread(*, is_training: bool) -> None:
    net = network(threading.Barrier(1)).train(is_training)
    clips = [torch.rand(1, 3, 4, 8, 8, generator=torch.Generator().manual_seed(place)) for place in range(3)]
    methods = ("gradcam", "gradcam++", "guided-gradcam")
    alone = [vidcam.explain(net, clip, layer="2", methods=methods, target=1) for clip in clips]
    together: dict[int, vidcam.Explanation] = {}
    for module in net.modules():
        if isinstance(module, Slow):
            module.barrier = threading.Barrier(len(clips))

    def work(place: int) -> None:
        together[place] = vidcam.explain(net, clips[place], layer="2", methods=methods, target=1)

    in_threads(work, len(clips))
    for place, expected in enumerate(alone):
        for method in expected.volumes:
            np.testing.assert_array_equal(together[place].volumes[method], expected.volumes[method])
        np.testing.assert_array_equal(together[place].guided["guided-gradcam"], expected.guided["guided-gradcam"])
    assert eval_frame._stance.stance == "default"
    assert all(module.training == is_training for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_training_flags_come_back_with_the_last_of_two_overlapping_uses() -> None:
    net = nn.Sequential(nn.Dropout(), nn.Linear(2, 2)).train()
    net[1].eval()
    first, second = Undo(), Undo()
    preserve_model(net, first)
    preserve_model(net, second)
    first.run()
    assert not net[0].training
    second.run()
    assert (net.training, net[0].training, net[1].training) == (True, True, False)
    torch.set_grad_enabled(True)  # the two were not left in the order of entering
    torch.set_autocast_cache_enabled(True)
