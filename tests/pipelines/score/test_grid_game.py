"""The grid pointing game for tensors, on networks whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.grids import BlindNet, ChannelNet, FixedChannelNet, channel_model, coloured_clips
from tests.helpers.nets import bright_image_model
from vidcam.errors import InputError, NonFiniteError, ShapeError
from vidcam.models.model import Model
from vidcam.pipelines.score.grid_game import GridGame, grid_game
from vidcam.pipelines.score.summary import Mean

METHODS = ("gradcam", "gradcam+", "gradcam++", "layercam", "guided-gradcam")
CLASSES = [0, 1, 2, 0, 1, 2]
ONE = Mean(1.0, 1.0, 1.0, 2)


def assert_all(game: GridGame, methods: tuple[str, ...], value: float) -> None:
    for method in methods:
        for where, shares in game.shares[method].items():
            np.testing.assert_allclose(shares, value, atol=1e-6, err_msg=f"{method} {where}")


@pytest.mark.parametrize("network", [ChannelNet, FixedChannelNet])
def test_a_network_that_looks_at_its_class_has_a_share_of_one(network: type[ChannelNet]) -> None:
    game = grid_game(network().eval(), coloured_clips(CLASSES), CLASSES, pairs=[(0, 1), (5, 3)], methods=METHODS)
    assert_all(game, METHODS, 1.0)
    figures = game.methods["gradcam"]
    assert figures.space == figures.time == figures.space_right_side == figures.time_right_side == ONE
    assert game.shrunk == (("space", "time") if network is FixedChannelNet else ())
    assert game.shares["gradcam"]["time"].shape == (2, 2)


def test_a_network_that_ignores_the_class_gets_one_half() -> None:
    clips = coloured_clips(CLASSES) * torch.tensor([1.0, 3.0, 1.0, 1.0, 1.0, 1.0]).view(6, 1, 1, 1, 1)
    game = grid_game(BlindNet().eval(), clips, CLASSES, pairs=[(0, 1)], methods="gradcam")
    figures, shares = game.methods["gradcam"], game.shares["gradcam"]["space"]
    assert figures.space is not None
    assert figures.space.value == pytest.approx(0.5)
    assert figures.space_right_side == Mean(0.5, None, None, 1)
    assert shares[0, 1] == pytest.approx(0.75, abs=0.01)  # three times as bright
    assert shares.sum() == pytest.approx(1.0)


def test_the_controls_know_nothing() -> None:
    game = grid_game(channel_model(), coloured_clips(CLASSES), CLASSES, pairs=[(0, 1), (2, 4)])
    for name in ("centre", "frame-difference", "uniform"):
        for shares in game.shares[name].values():
            np.testing.assert_allclose(shares.mean(axis=1), 0.5, atol=1e-9)
        assert game.methods[name].space_right_side == Mean(0.5, 0.5, 0.5, 2)
    np.testing.assert_allclose(game.shares["random"]["space"], 0.5, atol=0.05)
    assert tuple(game.shares) == ("gradcam", "random", "centre", "frame-difference", "uniform")
    assert (
        "centre"
        not in grid_game(channel_model(), coloured_clips(CLASSES), CLASSES, pairs=[(0, 1)], controls=False).methods
    )


def test_the_baseline_of_a_model_has_the_size_of_the_composite() -> None:
    game = grid_game(channel_model(), 2 * coloured_clips(CLASSES), CLASSES, pairs=[(0, 1)], methods="neutral-gradcam")
    assert_all(game, ("neutral-gradcam",), 1.0)


def test_a_plain_network_takes_a_baseline_clip() -> None:
    clips, grey = 2 * coloured_clips(CLASSES), torch.full((1, 3, 4, 16, 16), 0.5)
    for network in (ChannelNet(), FixedChannelNet()):
        game = grid_game(network, clips, CLASSES, pairs=[(0, 1)], methods="neutral-gradcam", baseline=grey)
        assert_all(game, ("neutral-gradcam",), 1.0)


def test_pairs_are_drawn_among_clips_that_are_rightly_and_surely_classified() -> None:
    model, clips = channel_model(scale=20.0), coloured_clips(CLASSES)
    clips[3] = coloured_clips([1])[0]  # another class
    clips[4] *= 0.01  # of no class
    game = grid_game(model, clips, ["red", "green", "blue", "red", "green", "blue"])
    used = [clip for pair in game.pairs for clip in pair]
    assert len(used) == len(set(used)) >= 2
    assert set(used) <= {0, 1, 2, 5}
    assert all(CLASSES[first] != CLASSES[second] for first, second in game.pairs)
    assert game.pairs == grid_game(model, clips, CLASSES).pairs
    assert_all(game, ("gradcam",), 1.0)


def test_without_two_sure_clips_there_is_no_game() -> None:
    with pytest.raises(InputError, match="no pair: 0 of 6"):
        grid_game(channel_model(scale=0.1), coloured_clips(CLASSES), CLASSES)
    with pytest.raises(ShapeError, match="targets must name"):
        grid_game(channel_model(), coloured_clips(CLASSES), [0])


def test_other_axes_and_images() -> None:
    class Transposed(ChannelNet):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(clip.transpose(1, 2))

    clips = coloured_clips(CLASSES).transpose(1, 2)
    game = grid_game(Transposed(), clips, CLASSES, pairs=[(0, 1)], axes="NTCHW")
    assert_all(game, ("gradcam",), 1.0)
    assert game.shrunk == ()
    image = bright_image_model()
    game = grid_game(image, torch.rand(2, 3, 1, *image.spec.crop_size), [0, 1], pairs=[(0, 1)])
    assert set(game.shares["gradcam"]) == {"space"}
    assert game.methods["gradcam"].time is None


def test_an_error_that_is_not_about_the_size_is_raised() -> None:
    class Broken(ChannelNet):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(clip) * float("nan")

    with pytest.raises(NonFiniteError):
        grid_game(Broken(), coloured_clips(CLASSES), CLASSES, pairs=[(0, 1)])
    with pytest.raises(InputError, match="gradcma"):
        grid_game(ChannelNet(), coloured_clips(CLASSES), CLASSES, pairs=[(0, 1)], methods="gradcma")


def test_a_spec_of_fixed_layout_shrinks_the_clips(tiny: tuple[Model, Tensor]) -> None:
    model, clips = tiny
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    game = grid_game(model, clips, [0, 1], pairs=[(0, 1)], methods=("gradcam", "neutral-gradcam"))
    assert game.shrunk == (("space", "time") if model.spec.name == "tiny_c3d" else ())
    for shares in game.shares["gradcam"].values():
        assert ((shares >= 0) & (shares <= 1)).all()
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    assert all(parameter.grad is None for parameter in model.module.parameters())


@pytest.fixture(params=["tiny_r3d", "tiny_c3d"])
def tiny(request: pytest.FixtureRequest) -> tuple[Model, Tensor]:
    model = vidcam.load_model(request.param)
    return model, torch.rand(2, 3, *model.spec.input_size, generator=torch.Generator().manual_seed(0))


class FrameNet(nn.Module):
    """The same score of frames that are rows of the batch, (N·T, 3, H, W); at the double length too."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, frames: Tensor) -> Tensor:
        scores: Tensor = self.relu(frames).mean(dim=(2, 3)).mean(dim=0, keepdim=True)
        return scores


def test_frames_may_be_rows_of_the_batch() -> None:
    model = channel_model()
    model = replace(model, spec=replace(model.spec, axes="(NT)CHW"), module=FrameNet())
    clips = coloured_clips([0, 1]).transpose(1, 2).flatten(0, 1)
    assert_all(grid_game(model, clips, [0, 1], pairs=[(0, 1)], methods="gradcam"), ("gradcam",), 1.0)
    with pytest.raises(ShapeError, match="grid game needs"):
        grid_game(FrameNet(), clips, [0, 1], axes="(NT)CHW")
