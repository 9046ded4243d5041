"""Layers that run several times, against plain autograd in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import vidcam
from tests.helpers.branches import FrameLoop, Siamese, Stream, gradcam_by_hand, hirescam_by_hand, runs_by_autograd
from tests.helpers.conduct import State
from tests.helpers.nets import random_clip, seeded
from tests.helpers.networks import CHEAP, assert_alike
from vidcam.cam.explain import explain, explain_each
from vidcam.cam.reshape import frames
from vidcam.errors import InputError, LayerError


def double(*shape: int, seed: int = 1) -> Tensor:
    return random_clip(*shape, seed=seed, dtype=torch.float64)


def test_a_loop_over_frames_has_the_map_of_all_frames() -> None:
    net, clip = seeded(FrameLoop).double(), double(2, 3, 6, 16, 16)
    state = State(net, clip)
    result = explain(net, clip, layer="cnn", target=1, methods=("gradcam", "hirescam"))
    state.check_unchanged()
    runs = runs_by_autograd(net, clip, "cnn", lambda scores: scores[:, 1])
    a, g = (torch.stack([run[which] for run in runs], dim=2) for which in (0, 1))
    assert (result.layer, a.shape) == ("cnn", (2, 8, 6, 8, 8))
    np.testing.assert_allclose(result.volumes["gradcam"], gradcam_by_hand(a, g), rtol=1e-10)
    np.testing.assert_allclose(result.volumes["hirescam"], hirescam_by_hand(a, g), rtol=1e-10)
    each = torch.stack([gradcam_by_hand(a, g) for a, g in runs], dim=1)  # the weights of each frame alone
    np.testing.assert_allclose(result.volumes["hirescam"], each, rtol=1e-10)
    assert result.notes == ("Layer 'cnn' runs once for each frame; its 6 runs are stacked.",)


def test_a_loop_and_a_batch_of_frames_have_the_same_maps() -> None:
    methods = (*CHEAP, "gradcam++signed", "gradcam++softmax", "neutral-gradcam", "guided-gradcam")
    clip, grey = double(2, 3, 6, 16, 16), torch.zeros(1, 3, 6, 16, 16, dtype=torch.float64)
    loop, folded = seeded(FrameLoop).double(), seeded(FrameLoop, is_folded=True).double()
    ours = explain(loop, clip, layer="cnn", target=[1, 2], methods=methods, baseline=grey)
    theirs = explain(folded, clip, layer="cnn", target=[1, 2], methods=methods, baseline=grey, reshape=frames(6))
    assert_alike(ours, theirs, tolerance=1e-9)


def test_a_loop_over_frames_is_the_default_layer_too() -> None:
    net, clip = seeded(FrameLoop).double(), double(1, 3, 6, 16, 16)
    default, named = (explain(net, clip, layer=layer, target=0) for layer in (None, "cnn"))
    assert default.layer == "cnn"
    np.testing.assert_array_equal(default.volumes["gradcam"], named.volumes["gradcam"])


def test_one_frame_of_a_loop() -> None:
    net, clip = seeded(FrameLoop).double(), double(1, 3, 6, 16, 16)
    with pytest.raises(LayerError, match="layer 'cnn' runs 6 times, so there is no run 6"):
        explain(net, clip, layer="cnn#6")
    with pytest.raises(LayerError, match="layer 'cnn' runs once for each frame; name 'cnn'"):
        explain(net, clip, layer="cnn#5")


class EverySecond(FrameLoop):
    """The loop reads every second frame."""

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip[:, :, ::2])


@pytest.mark.parametrize("layer", ["cnn", "cnn#1"])
def test_fewer_runs_than_frames_have_no_time(layer: str) -> None:
    """With an axis of time of one cell they have a map; plain autograd."""
    net, clip = seeded(EverySecond).double(), double(2, 3, 6, 16, 16)
    with pytest.raises(LayerError, match=r"no time axis; .* pass reshape=lambda output: output\[:, :, None\]"):
        explain(net, clip, layer=layer)
    found = explain(net, clip, layer=layer, target=1, reshape=lambda output: output[:, :, None])
    pairs = runs_by_autograd(net, clip, "cnn", lambda scores: scores[:, 1])
    maps = [(g.mean((2, 3), keepdim=True) * a).sum(1).relu()[:, None] for a, g in pairs]
    expected = maps[1] if layer == "cnn#1" else sum(maps)
    np.testing.assert_allclose(found.volumes["gradcam"], expected, rtol=1e-9, atol=1e-15)


def test_two_targets_of_a_loop() -> None:
    net, clip = seeded(FrameLoop).double(), double(2, 3, 6, 16, 16)
    for target, result in enumerate(explain_each(net, clip, [0, 1, 2], layer="cnn")):
        alone = explain(net, clip, layer="cnn", target=target)
        np.testing.assert_allclose(result.volumes["gradcam"], alone.volumes["gradcam"], rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("layer", ["trunk.block", None])
def test_a_siamese_trunk(layer: str | None) -> None:
    net, clips = seeded(Siamese).double(), [double(2, 3, 4, 8, 8), double(2, 3, 4, 8, 8, seed=2)]
    state = State(net, *clips)
    result = explain(net, clips, layer=layer, target=1)
    state.check_unchanged()
    pairs = runs_by_autograd(net, clips, "trunk.block", lambda scores: scores[:, 1])
    assert result.layer == "trunk.block#0 + trunk.block#1"
    maps = [gradcam_by_hand(a, g) for a, g in pairs]
    np.testing.assert_allclose(result.volumes["gradcam"], sum(maps), rtol=1e-10)
    for run, expected in enumerate(maps):
        one = explain(net, clips, layer=f"trunk.block#{run}", target=1).volumes["gradcam"]
        np.testing.assert_allclose(one, expected, rtol=1e-10)
    text = "runs 2 times; the maps of all runs are used" if layer else "parallel branches"
    assert any(text in note for note in result.notes)


def test_runs_with_a_baseline() -> None:
    net, clips = seeded(Siamese).double(), [double(2, 3, 4, 8, 8), double(2, 3, 4, 8, 8, seed=2)]
    grey = [torch.zeros(1, 3, 4, 8, 8, dtype=torch.float64)] * 2
    seen = vidcam.compute_baseline(net, grey, layer="trunk.block")
    assert seen.layers == ("trunk.block#0", "trunk.block#1")
    methods = ("gradcam", "neutral-gradcam")
    fused = explain(net, clips, layer="trunk.block", methods=methods, baseline=seen, target=0).volumes
    alone = [
        explain(net, clips, layer=f"trunk.block#{run}", methods=methods, baseline=grey, target=0).volumes
        for run in range(2)
    ]
    for name in methods:
        np.testing.assert_allclose(fused[name], alone[0][name] + alone[1][name], rtol=1e-10)
    with pytest.raises(InputError, match="baseline is of layer"):
        explain(net, clips, layer="trunk.stem", methods=methods, baseline=seen)


def test_flip_averaging_says_how_to_name_one_run() -> None:
    class Flipped(Stream):
        def forward(self, clip: Tensor) -> Tensor:
            return (super().forward(clip) + super().forward(clip.flip(-1))) / 2

    net, clip = seeded(Flipped).double(), double(1, 3, 4, 8, 8)
    (note,) = explain(net, clip, layer="block", target=0).notes
    assert "If the network flips or crops the clip between them, name one run: 'block#0'." in note
    (a, g), _ = runs_by_autograd(net, clip, "block", lambda scores: scores[:, 0])
    first = explain(net, clip, layer="block#0", target=0).volumes["gradcam"]
    np.testing.assert_allclose(first, gradcam_by_hand(a, g), rtol=1e-10)


def test_one_run_of_a_loop_over_frames_is_no_map_of_the_clip() -> None:
    with pytest.raises(LayerError, match="'cnn' runs once for each frame; name 'cnn'"):
        explain(seeded(FrameLoop), torch.rand(1, 3, 6, 16, 16), layer="cnn#0")
