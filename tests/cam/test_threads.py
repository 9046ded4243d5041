"""One model explained from several threads at once."""

from __future__ import annotations

import copy
import pickle
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo import eval_frame

import vidcam
from tests.helpers.conduct import State
from tests.helpers.nets import random_clip
from tests.helpers.passes import attribution, record
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.request import MapRequest


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


METHODS = (
    "gradcam",
    "gradcam+",
    "gradcam++",
    "layercam",
    "gradcam++softmax",
    "cam",
    "guided-gradcam",
    "guided-gradcam++",
)


def _use(net: nn.Module, clip: Tensor, number: int) -> Any:
    """Use a model in one of several ways; arrays of the result."""
    layer = "3" if number % 2 else None
    if number < 2 * len(METHODS):
        method = METHODS[number // 2]
        made = vidcam.explain(net, clip, methods=method, layer=layer, target=1)
        return made.guided[method] if method in made.guided else made.volumes[method]
    if number == 2 * len(METHODS):
        return [layer.grid for layer in vidcam.list_layers(net, clip)]
    if number == 2 * len(METHODS) + 1:
        return vidcam.compute_baseline(net, clip, layer=layer).activations["3"].numpy()
    if number == 2 * len(METHODS) + 2:
        with record(net, ["3"]) as recorder:
            return recorder.gradients(net(clip)[:, 1].sum())["3"].numpy()
    with attribution(net, clip, MapRequest(methods=("gradcam++",))) as run:
        first = run.explain(1).volumes["gradcam++"]
        time.sleep(0.0003)  # left open while others work
        return np.stack([first, run.explain(2).volumes["gradcam++"]])


USES = 2 * len(METHODS) + 4


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let threads take turns a hundred times as often as usual."""
    former = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(former)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("calls", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_four_threads_use_one_model_in_every_way(calls: int) -> None:
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 3))
    net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4), nn.Conv3d(4, 4, 1), nn.ReLU(), *head).train()
    net[4].eval()
    state, clips = State(net), [random_clip(1, 3, 4, 6, 6) + place for place in range(2)]
    expected = {(place, use): _use(net, clips[place], use) for place in range(2) for use in range(USES)}
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]  # noqa: S301 – made here

    def work(place: int) -> None:
        order = random.Random(place)  # noqa: S311
        for _ in range(calls):
            clip, use = order.randrange(2), order.randrange(USES)
            np.testing.assert_array_equal(_use(net, clips[clip], use), expected[clip, use])

    in_threads(work, 4)
    state.check_unchanged()
    for copied in copies:  # of a model that was explained
        assert [module.training for module in copied.modules()] == [module.training for module in net.modules()]
        assert not any(module._forward_hooks for module in copied.modules())
        np.testing.assert_array_equal(_use(copied, clips[0], 0), expected[0, 0])


def test_models_that_share_modules_may_be_explained_together() -> None:
    shared = nn.Sequential(nn.Dropout(), nn.Linear(2, 2)).train()
    whole, first, second = nn.Sequential(shared, nn.ReLU()).train(), Undo(), Undo()
    preserve_model(whole, first)
    preserve_model(shared, second)
    first.run()
    assert whole.training
    assert not shared.training
    second.run()
    assert all(module.training for module in whole.modules())
    torch.set_grad_enabled(True)
    torch.set_autocast_cache_enabled(True)


def test_a_copy_made_while_a_model_is_explained_has_silent_hooks() -> None:
    net, calls = nn.Sequential(nn.Linear(2, 2)), list[int]()
    with Undo() as undo, undo:
        undo.add_hook(net[0], lambda *_: calls.append(1))
        copied, loaded = copy.deepcopy(net), pickle.loads(pickle.dumps(net))  # noqa: S301 – made here
        copied(torch.zeros(1, 2))
        loaded(torch.zeros(1, 2))
        assert calls == []
        net(torch.zeros(1, 2))
    assert calls == [1]


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
