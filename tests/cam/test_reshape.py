"""Reshapes by hand, and frame by frame: one map for each frame, as if each had been explained alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.helpers.nets import random_clip, seeded
from vidcam.cam.explain import explain
from vidcam.cam.layers import default_layer, list_layers
from vidcam.cam.reshape import channels_last, frames, in_turn, reshape_of, tokens
from vidcam.errors import LayerError, ShapeError
from vidcam.models.specs import I3D_SPEC
from vidcam.spec import TokenGrid

T = 3
METHODS = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")


class FrameNet(nn.Module):
    """A network of images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 5, 3, padding=1), nn.ReLU()
        self.hidden, self.out = nn.Linear(5 * 4 * 4, 7), nn.Linear(7, 4)

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.out(torch.relu(self.hidden(self.relu(self.conv(image)).flatten(1))))
        return scores


class FrameWise(nn.Module):
    """The same for videos: time is folded into the batch, the frames' scores are averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.net = seeded(FrameNet)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.net(clip.transpose(1, 2).flatten(0, 1)).unflatten(0, (-1, clip.shape[2]))
        return scores.mean(dim=1)


def test_frames_by_hand() -> None:
    folded = torch.arange(12.0).reshape(6, 2, 1, 1)  # 2 clips of 3 frames, 2 channels
    expected = torch.tensor([[[0, 2, 4], [1, 3, 5]], [[6, 8, 10], [7, 9, 11]]])
    assert torch.equal(frames(T)(folded)[..., 0, 0], expected)


def test_frames_of_one_is_an_image_with_a_time_axis() -> None:
    image = random_clip(2, 5, 4, 6)
    assert torch.equal(frames(1)(image), image.unsqueeze(2))


@pytest.mark.parametrize("shape", [(5, 2, 4, 4), (6, 2), (6, 2, 4), (2, 2, 3, 4, 4)])
def test_what_is_not_folded_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(LayerError, match=r"not \(N·3, D, h, w\); choose a layer"):
        frames(T)(torch.zeros(shape))


def test_tokens_of_single_frames() -> None:
    grids = random_clip(2, 5, T, 4, 6)
    places = grids.transpose(1, 2).flatten(0, 1).flatten(2).transpose(1, 2)  # (2·3, 24, 5)
    output = torch.cat([torch.zeros(6, 1, 5), places], dim=1)
    assert torch.equal(in_turn([tokens((4, 6)), frames(T)])(output), grids)


def test_tokens_and_channels_last() -> None:
    grids = random_clip(2, 5, 3, 4, 6)
    places = grids.flatten(2).transpose(1, 2)
    assert torch.equal(tokens((3, 4, 6), class_tokens=0)(places), grids)
    assert torch.equal(channels_last(grids.movedim(1, -1)), grids)
    assert torch.equal(in_turn([])(grids), grids)
    with pytest.raises(LayerError, match=r"returns \(2, 72, 5\), not \(N, 1 \+ 72, D\)"):
        tokens((3, 4, 6))(places)


def test_one_map_for_each_frame_as_if_it_were_explained_alone() -> None:
    """The score is the mean over T frames: each frame's gradient is a T-th of its own."""
    model, clip = FrameWise(), random_clip(2, 3, T, 4, 4)
    together = explain(model, clip, layer="net.relu", methods=("hirescam", "layercam"), target=1, reshape=frames(T))
    for frame in range(T):
        alone = explain(model.net, clip[:, :, frame], layer="relu", methods=("hirescam", "layercam"), target=1)
        for method, volumes in alone.volumes.items():
            np.testing.assert_allclose(T * together.volumes[method][:, frame], volumes, rtol=1e-5, atol=1e-7)
    assert together.heat("layercam").shape == (2, T, 4, 4)


@pytest.mark.parametrize("method", METHODS)
def test_one_frame_is_the_two_dimensional_formula(method: str) -> None:
    net, images = seeded(FrameNet), random_clip(3, 3, 4, 4)
    flat = explain(net, images, layer="relu", methods=(method,), target=2)
    clip = explain(_AsClip(net), images.unsqueeze(2), layer="net.relu", methods=(method,), target=2, reshape=frames(1))
    np.testing.assert_allclose(clip.volumes[method][:, 0], flat.volumes[method], rtol=1e-6)


def test_layers_are_listed_through_the_reshape() -> None:
    layers = list_layers(FrameWise(), random_clip(1, 3, T, 4, 4), reshape=frames(T))
    assert [(layer.name, layer.grid) for layer in layers] == [("net.conv", (T, 4, 4)), ("net.relu", (T, 4, 4))]
    assert default_layer(layers) == "net.relu"


def test_channels_last_by_hand() -> None:
    output = torch.arange(24).view(1, 2, 3, 4)  # (N, h, w, D)
    assert channels_last(output).shape == (1, 4, 2, 3)
    assert channels_last(output)[0, 1].tolist() == [[1, 5, 9], [13, 17, 21]]


@pytest.mark.parametrize("others", [0, 1, 3])
def test_tokens_by_hand(others: int) -> None:
    rows = torch.arange((others + 8) * 2).view(1, others + 8, 2)
    made = tokens((2, 2, 2), class_tokens=others)(rows)
    assert made.shape == (1, 2, 2, 2, 2)
    assert made[0, 1].flatten().tolist() == [2 * (others + cell) + 1 for cell in range(8)]


def test_tokens_with_time_fastest_by_hand() -> None:
    """TimeSformer: the token of cell (t, h, w) is 1 + (h·3 + w)·2 + t."""
    rows = torch.arange(1 + 12.0).view(1, 13, 1)  # t, h, w = 2, 2, 3
    made = tokens((2, 2, 3), order="hwt")(rows)
    assert made[0, 0].tolist() == [[[1, 3, 5], [7, 9, 11]], [[2, 4, 6], [8, 10, 12]]]


@pytest.mark.parametrize("order", ["".join(letters) for letters in permutations("thw")])
@pytest.mark.parametrize("axes", ["NLD", "LND"])
@pytest.mark.parametrize("others", [0, 2])
def test_round_trip_of_every_order(order: str, axes: str, others: int) -> None:
    """Cells written out token by token, in loops over the axes, come back; so do gradients."""
    grids = random_clip(2, 5, 3, 4, 6)
    lengths = {"t": 3, "h": 4, "w": 6}
    slow, middle, fast = tuple(order)
    rows = [torch.zeros(2, 5)] * others
    for i in range(lengths[slow]):
        for j in range(lengths[middle]):
            for k in range(lengths[fast]):
                at = {slow: i, middle: j, fast: k}
                rows.append(grids[:, :, at["t"], at["h"], at["w"]])
    output = torch.stack(rows, dim=axes.index("L")).requires_grad_()
    layout = TokenGrid((3, 4, 6), others, order, axes)  # type: ignore[arg-type]
    reshape = reshape_of(replace(I3D_SPEC, layout=layout))
    assert reshape is not None
    assert torch.equal(reshape(output), grids)
    weights = random_clip(2, 5, 3, 4, 6)
    (gradient,) = torch.autograd.grad((reshape(output) * weights).sum(), output)
    assert torch.equal(reshape(gradient), weights)
    assert float(gradient.select(axes.index("L"), 0).abs().sum()) == 0 or not others


def test_single_frames_sequence_first() -> None:
    """UniFormerV2: (L, N·T, D), frames of one clip next to each other."""
    grids = random_clip(2, 5, T, 4, 6)
    rows = [torch.zeros(2 * T, 5)] + [
        torch.stack([grids[n, :, t, h, w] for n in range(2) for t in range(T)]) for h in range(4) for w in range(6)
    ]
    assert torch.equal(in_turn([tokens((4, 6), axes="LND"), frames(T)])(torch.stack(rows)), grids)
    spec = replace(I3D_SPEC, frames=T, layout=(TokenGrid((4, 6), axes="LND"), "frames"))
    reshape = reshape_of(spec)
    assert reshape is not None
    assert torch.equal(reshape(torch.stack(rows)), grids)


def test_unknown_orders_and_axes_of_tokens_are_refused() -> None:
    with pytest.raises(ShapeError, match="order is 'htx', expected 'thw', 'hwt' or another"):
        tokens((2, 2, 2), order="htx")
    with pytest.raises(ShapeError, match="axes of tokens are 'LDN', expected 'NLD' or 'LND'"):
        tokens((2, 2, 2), axes="LDN")  # type: ignore[arg-type]
    with pytest.raises(LayerError, match=r"not \(1 \+ 8, N, D\) for a grid of \(2, 2, 2\); correct grid"):
        tokens((2, 2, 2), axes="LND")(torch.zeros(1, 9, 2))


@pytest.mark.parametrize("shape", [(1, 8, 2), (1, 10, 2), (1, 2, 9, 2), (9, 2)])
def test_other_numbers_of_tokens_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(LayerError, match=r"not \(N, 1 \+ 8, D\) for a grid of \(2, 2, 2\); correct grid"):
        tokens((2, 2, 2))(torch.zeros(shape))


class _AsClip(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.net(clip[:, :, 0])
        return scores
