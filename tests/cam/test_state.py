"""Networks that keep something from one run to the next: each run starts from the same state and leaves it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.nets import random_clip
from tests.helpers.passes import record
from vidcam.cam.network import predicted
from vidcam.cam.preserve import Undo, preserve_model
from vidcam.cam.state import same_state

KINDS = ("in place", "replaced", "attribute", "list", "queue", "dictionary")


class Stream(nn.Module):
    """Puts the last features of the run before in front of its own, and counts its runs, as streaming MoViNets do."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.stem = nn.Sequential(nn.Conv3d(3, 6, 3, stride=(1, 2, 2), padding=1), nn.ReLU())
        self.block = nn.Sequential(nn.Conv3d(6, 6, 3, padding=(0, 1, 1)), nn.ReLU())
        self.fc = nn.Linear(6, 4)
        self.runs = 0
        self.tail: Tensor | None
        if kind in ("in place", "replaced"):
            self.register_buffer("tail", torch.rand(1, 6, 2, 4, 4))
        else:
            self.tail = None
        self.store: Any = {"list": [], "queue": deque(maxlen=1), "dictionary": {}}.get(kind)
        self.shapes: list[tuple[int, ...]] = []

    def former(self, features: Tensor) -> Tensor:
        """The features of the run before."""
        kept = self.tail
        if self.store:
            kept = self.store["tail"] if self.kind == "dictionary" else self.store[-1]
        return torch.zeros_like(features[:, :, :2]) if kept is None else kept.expand(len(features), -1, -1, -1, -1)

    def keep(self, tail: Tensor) -> None:
        """Keep features for the next run."""
        if self.kind == "in place":
            assert self.tail is not None
            self.tail.copy_(tail)
        elif self.kind == "dictionary":
            self.store["tail"] = tail
        elif self.store is not None:
            self.store.append(tail)
        else:
            self.tail = tail

    def forward(self, clip: Tensor) -> Tensor:
        features = self.stem(clip)
        mixed = self.block(torch.cat([self.former(features), features], dim=2))
        self.keep(features[:1, :, -2:])
        self.runs += 1
        self.shapes.append(tuple(clip.shape))
        scores: Tensor = self.fc(mixed.mean(dim=(2, 3, 4)) + (mixed[:, :, :2] * self.former(mixed)).mean(dim=(2, 3, 4)))
        return scores / self.runs


def kept(net: Stream) -> list[Any]:
    """All that a run changes."""
    store = net.store.values() if isinstance(net.store, dict) else net.store or ()
    return [net.runs, *(None if tensor is None else tensor.tolist() for tensor in (net.tail, *store))]


def oracle(kind: str, clip: Tensor, layer: str) -> np.ndarray[Any, Any]:
    """Grad-CAM of the first run of such a network, by plain autograd."""
    net, seen = Stream(kind).eval(), list[Tensor]()
    net.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    (gradient,) = torch.autograd.grad(net(clip)[:, 1].sum(), seen)
    volume = torch.relu((gradient.mean(dim=(2, 3, 4), keepdim=True) * seen[0]).sum(dim=1))
    return volume.detach().numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", ["block", "stem"])
def test_every_run_starts_from_the_same_state(kind: str, layer: str) -> None:
    net, clip = Stream(kind), random_clip(2, 3, 4, 8, 8)
    objects, before = (net.tail, net.store), kept(net)
    expected = oracle(kind, clip, layer)
    for _ in range(2):  # the second call would start from the state of the first
        explanation = vidcam.explain(net, clip, layer=layer, target=1, methods=["gradcam", "guided-gradcam"])
        np.testing.assert_allclose(explanation.volumes["gradcam"], expected, rtol=0, atol=1e-6 * expected.max())
    assert kept(net) == before
    assert (net.tail, net.store) == objects
    assert net.shapes  # notes without tensors stay


@pytest.mark.parametrize("kind", KINDS)
def test_the_run_that_finds_the_layers_leaves_the_state(kind: str) -> None:
    """The stem reaches the scores through the block, and through what the network keeps of it."""
    net, clip = Stream(kind), random_clip(2, 3, 4, 8, 8)
    before = kept(net)
    first, second = (vidcam.explain(net, clip, target=1, methods="gradcam") for _ in range(2))
    assert first.layer == "stem + block"
    np.testing.assert_array_equal(first.volumes["gradcam"], second.volumes["gradcam"])
    assert kept(net) == before


@pytest.mark.parametrize("kind", KINDS)
def test_other_runs_leave_the_state(kind: str) -> None:
    net, clip = Stream(kind).eval(), random_clip(1, 3, 4, 8, 8)
    with torch.no_grad():
        net(clip)
        before = kept(net)
        again = Stream(kind).eval()
        again(clip)
        expected = again(clip)
    vidcam.list_layers(net, clip)
    vidcam.compute_baseline(net, clip)
    with record(net, ["block"]) as recorder:
        recorder.gradients(net(clip).sum())
    with Undo() as undo, undo:
        preserve_model(net, undo)
        for _ in range(2):  # as masked clips are run
            assert torch.equal(predicted(net, clip).logits, expected)
    assert kept(net) == before


def test_the_state_is_put_back_after_an_error() -> None:
    net, clip = Stream("in place"), random_clip(2, 3, 4, 8, 8)
    before = kept(net)
    net.fc.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        vidcam.explain(net, clip, layer="block")
    assert kept(net) == before


def test_tensors_that_share_memory_still_do() -> None:
    class Ring(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("ring", torch.zeros(2, 3))
            self.row = self.get_buffer("ring")[0]

        def forward(self, x: Tensor) -> Tensor:
            self.row.add_(1)
            return x + self.get_buffer("ring").sum()

    net = Ring()
    with Undo() as undo, undo, same_state(net, undo):
        assert float(net(torch.zeros(()))) == 3
        assert float(net(torch.zeros(()))) == 6
    assert not net.get_buffer("ring").any()
    assert net.row.data_ptr() == net.get_buffer("ring").data_ptr()


def test_a_tensor_that_a_network_gets_after_its_first_run_is_put_back() -> None:
    class Switched(nn.Module):
        sums: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            return x if self.sums is None else x + self.sums.add_(1)

    net = Switched()
    for expected, sums in ((0, None), (1, torch.zeros(()))):
        net.sums = sums
        for _ in range(2):
            with Undo() as undo, undo, same_state(net, undo):
                assert float(net(torch.zeros(()))) == expected
    assert net.sums == 0


def test_layers_built_in_the_first_run_stay() -> None:
    class Lazy(nn.Module):
        is_built = False

        def forward(self, x: Tensor) -> Tensor:
            if not self.is_built:
                self.fc, self.is_built = nn.Linear(2, 2), True
            return torch.as_tensor(self.fc(x))

    net = Lazy()
    with Undo() as undo, undo, same_state(net, undo):
        net(torch.zeros(1, 2))
    assert net.is_built


def test_threads_run_a_stream_one_after_the_other() -> None:
    net, clips = Stream("in place"), [random_clip(1, 3, 4, 8, 8) + place for place in range(4)]
    expected = [oracle("in place", clip, "block") for clip in clips]
    before, failures = kept(net), list[int]()

    def work(place: int) -> None:
        for _ in range(10):
            volume = vidcam.explain(net, clips[place], layer="block", target=1).volumes["gradcam"]
            if not np.allclose(volume, expected[place], rtol=0, atol=1e-6 * expected[place].max()):
                failures.append(place)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert kept(net) == before
