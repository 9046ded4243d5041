"""Maps of clips whose axes are not (N, C, T, H, W), said or inferred."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import vidcam
from tests.helpers.nets import PooledHead, pooled_model, random_clip, seeded
from tests.helpers.networks import assert_alike
from vidcam.axes import Axes
from vidcam.cam.guided import guided_saliency
from vidcam.cam.request import MapRequest
from vidcam.errors import InputError, ShapeError
from vidcam.results.explanation import Explanation

METHODS = ("gradcam", "gradcam++", "hirescam", "layercam", "neutral-gradcam", "guided-gradcam", "guided-gradcam++")
ORDERS = ("NTCHW", "NTHWC", "NCHWT", "NHWTC")


class Takes(nn.Module):
    """A network for (N, C, T, H, W) that takes clips in another order; `change` makes it copy them first."""

    def __init__(self, net: nn.Module, order: str, change: Callable[[Tensor], Tensor] = lambda clip: clip) -> None:
        super().__init__()
        self.net, self.axes, self.change = net, Axes(order), change

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.net(self.change(self.axes.view(clip)))
        return scores


class Consensus(nn.Module):
    """A 2-D network of single frames, and the mean of their scores; as TSN has it."""

    def __init__(self, frames: int, classes: int = 4) -> None:
        super().__init__()
        self.frames = frames
        self.conv, self.relu, self.fc = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Linear(6, classes)

    def forward(self, clip: Tensor) -> Tensor:
        scores = self.fc(self.relu(self.conv(clip)).mean((2, 3)))
        mean: Tensor = scores.unflatten(0, (-1, self.frames)).mean(1)
        return mean


class Stacked(nn.Module):
    """A 2-D network that takes the colours of all frames as its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.Linear(6, 4)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.relu(self.conv(clip)).mean((2, 3)))
        return scores


def explained(net: nn.Module, clip: Tensor, *, baseline: Tensor, **options: object) -> Explanation:
    return vidcam.explain(net, clip, methods=METHODS, target=1, baseline=baseline, **options)  # type: ignore[arg-type]


def assert_same(one: Explanation, other: Explanation) -> None:
    """Equal to the last bit, guided maps, input and thumbnails included."""
    assert one.layer == other.layer.removeprefix("net.")
    assert one.input_size == other.input_size
    assert [*one.guided] == [*other.guided] == ["guided-gradcam", "guided-gradcam++"]
    np.testing.assert_array_equal(one.logits, other.logits)
    for method, volumes in one.volumes.items():
        np.testing.assert_array_equal(volumes, other.volumes[method])
        np.testing.assert_array_equal(one.heat(method), other.heat(method))
    for method, values in one.guided.items():
        np.testing.assert_array_equal(values, other.guided[method])
    assert one.frames is not None
    assert other.frames is not None
    np.testing.assert_array_equal(one.frames, other.frames)


@pytest.mark.parametrize("layer", [None, "block1"])
@pytest.mark.parametrize("is_said", [True, False], ids=["said", "inferred"])
@pytest.mark.parametrize("order", ORDERS)
def test_maps_are_those_of_the_inner_network(order: str, is_said: bool, layer: str | None) -> None:
    inner, clip, grey = seeded(PooledHead), random_clip(2, 3, 8, 16, 12), torch.zeros(1, 3, 8, 16, 12)
    net, axes = Takes(inner, order), Axes(order)
    expected = explained(inner, clip, baseline=grey, layer=layer)
    found = explained(
        net,
        axes.restore(clip),
        baseline=axes.restore(grey),
        layer=layer and f"net.{layer}",
        axes=order if is_said else None,
    )
    assert_same(expected, found)
    assert any(order in note for note in found.notes) is not is_said
    assert not any("Axes" in note for note in expected.notes)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(2, 3, 8, 16, 12), (1, 3, 3, 8, 8), (2, 3, 1, 8, 8)], ids=str)
@pytest.mark.parametrize(
    "change", [lambda clip: clip, lambda clip: ((clip - 0.5) / 2).contiguous()], ids=["view", "copy"]
)
def test_axes_are_inferred_from_a_view_and_from_a_copy(
    order: str, shape: tuple[int, ...], change: Callable[[Tensor], Tensor]
) -> None:
    """Three frames in three colours have one size: one slot of an axis is changed to see where it goes."""
    clip = Axes(order).restore(random_clip(*shape))
    net = Takes(nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), Mean(), nn.Linear(4, 4)), order, change)
    found = vidcam.explain(net, clip, layer="net.1")
    assert found.input_size == shape[2:]
    assert any(order in note for note in found.notes)
    expected = vidcam.explain(net, clip, layer="net.1", axes=order)
    np.testing.assert_array_equal(found.heat("gradcam"), expected.heat("gradcam"))


class Mean(nn.Module):
    """The mean over the grid."""

    def forward(self, features: Tensor) -> Tensor:
        return features.flatten(2).mean(2)


@pytest.mark.parametrize("shape", [(1, 3, 3, 8, 8), (2, 3, 4, 3, 8), (2, 3, 8, 16, 12)], ids=str)
def test_an_ordinary_clip_has_no_note(shape: tuple[int, ...]) -> None:
    net = Takes(nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU(), Mean(), nn.Linear(4, 4)), "NCTHW", lambda clip: clip * 2)
    found = vidcam.explain(net, random_clip(*shape), layer="net.1")
    assert found.input_size == shape[2:]
    assert found.notes == ()


def test_a_2d_network_in_a_3d_clip() -> None:
    """(N, T, C, H, W), folded by the network itself: `frames` brings time back, on the axis that was inferred."""

    class Folds(Consensus):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(clip.flatten(0, 1))

    clip, net = random_clip(2, 5, 3, 8, 6), seeded(Folds, frames=5)
    found = vidcam.explain(net, clip, reshape=vidcam.frames(5))
    assert found.input_size == (5, 8, 6)
    expected = vidcam.explain(seeded(Consensus, frames=5), clip.flatten(0, 1))
    assert_alike(found, expected)
    for layer in (None, "relu"):
        with pytest.raises(InputError, match=r"vidcam\.frames\(5\)"):
            vidcam.explain(net, clip, layer=layer)


@pytest.mark.parametrize("order", ["NHWC", "NLC"])
def test_images_and_signals(order: str) -> None:
    shape, conv = ((2, 3, 16, 12), nn.Conv2d) if order == "NHWC" else ((2, 3, 9), nn.Conv1d)
    clip = random_clip(*shape)
    inner = nn.Sequential(conv(3, 4, 1), nn.ReLU(), Mean(), nn.Linear(4, 4))
    expected = vidcam.explain(inner, clip)
    found = vidcam.explain(Takes(inner, order), Axes(order).restore(clip))
    np.testing.assert_array_equal(found.heat("gradcam"), expected.heat("gradcam"))


def test_grey_frames_without_a_channel_axis() -> None:
    clip = random_clip(2, 1, 8, 16, 12)
    inner = nn.Sequential(nn.Conv3d(1, 4, 1), nn.ReLU(), Mean(), nn.Linear(4, 4))
    found = vidcam.explain(Takes(inner, "NTHW"), clip[:, 0], axes="NTHW")
    np.testing.assert_array_equal(found.heat("gradcam"), vidcam.explain(inner, clip).heat("gradcam"))


@pytest.mark.parametrize("axes", [None, "(NT)CHW"])
@pytest.mark.parametrize("layer", [None, "relu"])
def test_frames_in_the_batch(axes: str | None, layer: str | None) -> None:
    """Two clips of five frames are ten rows; Grad-CAM by plain autograd."""
    net, clip = seeded(Consensus, frames=5), random_clip(10, 3, 8, 6)
    found = vidcam.explain(
        net, clip, target=[1, 2], layer=layer, axes=axes, methods=("gradcam", "cam", "guided-gradcam")
    )
    activations = net.get_submodule("relu")(net.get_submodule("conv")(clip)).detach()
    weight = net.get_parameter("fc.weight")[[1, 2]].detach()  # g is W / (T·H·W) at every cell
    sums = torch.einsum("nd,ntdhw->nthw", weight, activations.unflatten(0, (2, 5))).relu()
    np.testing.assert_allclose(found.volumes["gradcam"], sums / (5 * 8 * 6), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.volumes["cam"], sums, rtol=1e-4, atol=1e-6)
    assert found.heat("gradcam").shape == (2, 5, 8, 6)
    assert found.guided["guided-gradcam"].shape == (2, 3, 5, 8, 6)
    assert any("(NT)CHW" in note for note in found.notes) is (axes is None)


@pytest.mark.parametrize("axes", [None, "(NT)CHW"])
def test_layers_of_frames_in_the_batch(axes: str | None) -> None:
    """T is known only after the run, from the rows of the scores."""
    net, clip = seeded(Consensus, frames=5), random_clip(10, 3, 8, 6)
    for reshape in (None, vidcam.frames(5)):
        layers = vidcam.list_layers(net, clip, axes=axes, reshape=reshape)
        assert [(layer.name, layer.grid, layer.stride) for layer in layers] == [
            ("conv", (5, 8, 6), (1.0, 1.0, 1.0)),
            ("relu", (5, 8, 6), (1.0, 1.0, 1.0)),
        ]
        np.testing.assert_array_equal(
            vidcam.explain(net, clip, axes=axes, reshape=reshape).volumes["gradcam"],
            vidcam.explain(net, clip, axes=axes, layer="relu").volumes["gradcam"],
        )


def test_one_frame_a_clip_is_said_not_inferred() -> None:
    net, clip = seeded(Consensus, frames=1), random_clip(4, 3, 8, 6)
    assert vidcam.explain(net, clip).input_size == (8, 6)
    assert vidcam.explain(net, clip, axes="(NT)CHW").input_size == (1, 8, 6)


@pytest.mark.parametrize("axes", ["N(TC)HW", "N(CT)HW"])
def test_frames_in_the_channels(axes: str) -> None:
    """All frames share one map, drawn on each; guided gradients tell them apart."""
    net, clip = seeded(Stacked, channels=15), random_clip(2, 15, 8, 6)
    found = vidcam.explain(net, clip, axes=axes, methods=("gradcam", "guided-gradcam"), target=1)
    as_image = vidcam.explain(net, clip, methods=("gradcam", "guided-gradcam"), target=1)
    assert found.volumes["gradcam"].shape == (2, 1, 8, 6)
    np.testing.assert_array_equal(found.volumes["gradcam"][:, 0], as_image.volumes["gradcam"])
    np.testing.assert_array_equal(found.heat("gradcam"), as_image.heat("gradcam")[:, None].repeat(5, axis=1))
    guided = torch.from_numpy(as_image.guided["guided-gradcam"])
    np.testing.assert_array_equal(found.guided["guided-gradcam"], Axes(axes).view(guided).numpy())
    assert any(axes in note for note in as_image.notes)
    assert not any(axes in note for note in found.notes)


def test_layers_and_baseline_take_axes() -> None:
    net, clip = Takes(seeded(PooledHead), "NTHWC"), random_clip(2, 8, 16, 12, 3)
    plain = vidcam.list_layers(seeded(PooledHead), random_clip(2, 3, 8, 16, 12))
    for axes in ("NTHWC", None):
        layers = vidcam.list_layers(net, clip, axes=axes)
        assert [(x.name, x.grid, x.stride) for x in layers if x.name != "net"] == [
            (f"net.{x.name}", x.grid, x.stride) for x in plain
        ]
        assert vidcam.compute_baseline(net, clip, axes=axes).layers == ("net.block2",)


class TwoSpeeds(nn.Module):
    """Two pathways of (N, T, C, H, W), as SlowFast has them."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = seeded(PooledHead), seeded(PooledHead, 1)

    def forward(self, clips: list[Tensor]) -> Tensor:
        slow, fast = (clip.transpose(1, 2) for clip in clips)
        scores: Tensor = self.slow(slow) + self.fast(fast)
        return scores


@pytest.mark.parametrize("axes", [None, "NTCHW"])
def test_several_pathways(axes: str | None) -> None:
    """Maps lie on the axes of the finer pathway."""
    net, fast = TwoSpeeds(), random_clip(2, 16, 3, 16, 12)
    found = vidcam.explain(
        net, [fast[:, ::4], fast], layer="fast.block2", axes=axes, methods=("gradcam", "guided-gradcam"), target=1
    )
    expected = vidcam.explain(net.fast, fast.transpose(1, 2), layer="block2", methods="gradcam", target=1)
    np.testing.assert_array_equal(found.volumes["gradcam"], expected.volumes["gradcam"])
    assert found.input_size == (16, 16, 12)
    assert found.guided["guided-gradcam"].shape == (2, 3, 16, 16, 12)


def test_guided_saliency_lies_on_the_canonical_axes() -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 8, 16, 12)
    axes = Axes("NTCHW")
    found = guided_saliency(Takes(net, "NTCHW"), axes.restore(clip), 1, MapRequest(axes=axes))
    np.testing.assert_array_equal(found, guided_saliency(net, clip, 1))


def test_a_batch_axis_is_added_in_the_named_order() -> None:
    net, clip = Takes(seeded(PooledHead), "NTCHW"), random_clip(8, 3, 16, 12)
    expected = vidcam.explain(net, clip[None], axes="NTCHW")
    assert_alike(vidcam.explain(net, clip, axes="NTCHW"), expected)


@pytest.mark.parametrize("net", [nn.Sequential(nn.Conv2d(3, 4, 1)), nn.Flatten(), nn.Conv3d(3, 4, 1)])
def test_six_axes_are_refused(net: nn.Module) -> None:
    with pytest.raises(ShapeError, match="six axes"):
        vidcam.explain(net, random_clip(2, 4, 3, 8, 6, 6))


def test_a_model_has_its_axes_in_its_spec() -> None:
    model = pooled_model()
    with pytest.raises(InputError, match="spec"):
        vidcam.explain(model, random_clip(1, 3, *model.spec.input_size), axes="NTCHW")


def test_time_that_may_have_been_taken_for_channels_is_named() -> None:
    """Nothing shows the axes of a network without a convolution."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.relu, self.fc = nn.AvgPool3d((1, 2, 2)), nn.ReLU(), nn.Linear(16, 4)

        def forward(self, clip: Tensor) -> Tensor:
            scores: Tensor = self.fc(self.relu(self.pool(clip)).flatten(2).mean(2))
            return scores

    found = vidcam.explain(Tokens(), random_clip(1, 16, 3, 8, 8))
    assert any("axes='NTCHW'" in note for note in found.notes)


def test_colours_that_a_network_mixes_are_not_time() -> None:
    """Twelve channels after space-to-depth in a clip of twelve frames: the clip's three channels stay channels."""

    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu, self.fc = nn.Conv3d(12, 4, 1), nn.ReLU(), nn.Linear(4, 4)

        def forward(self, clip: Tensor) -> Tensor:
            n, c, t, h, w = clip.shape
            deep = clip.reshape(n, c, t, h // 2, 2, w // 2, 2).permute(0, 1, 4, 6, 2, 3, 5).reshape(n, 12, t, 4, 3)
            scores: Tensor = self.fc(self.relu(self.conv(deep)).flatten(2).mean(2))
            return scores

    assert vidcam.explain(Deep(), random_clip(1, 3, 12, 8, 6)).input_size == (12, 8, 6)


@pytest.mark.parametrize("layer", [None, "net.block2"])
@pytest.mark.parametrize("named", ["NCTHW", "NTHWC"])
@pytest.mark.parametrize(
    ("frames", "factor"), [(8, None), (3, None), (2, None), (8, 2), (2, 2)]
)  # three frames of a copy: nothing tells
def test_wrong_axes_name_those_that_the_network_receives(
    named: str, layer: str | None, frames: int, factor: int | None
) -> None:
    """Also where the grid happens to fit the wrong axes: two frames are fewer than three colours."""
    net = Takes(seeded(PooledHead), "NTCHW", lambda clip: clip if factor is None else clip * factor)
    clip = random_clip(2, frames, 3, 16, 12)
    for run in (vidcam.explain, vidcam.compute_baseline):
        with pytest.raises(ShapeError, match=f"axes is {named!r}, but the first convolution receives 'NTCHW'"):
            run(net, clip, axes=named, layer=layer)
    with pytest.raises(ShapeError, match="the first convolution receives 'NTCHW'"):
        vidcam.list_layers(net, clip, axes=named)


def test_a_reshape_may_turn_the_axes_of_a_convolution() -> None:
    """A network that convolves (H, W, T), with a reshape that puts time first."""
    net = Takes(seeded(PooledHead), "NCTHW", lambda clip: clip.permute(0, 1, 3, 4, 2))
    clip = random_clip(2, 3, 8, 16, 12)
    found = vidcam.explain(net, clip, axes="NCTHW", layer="net.block2", reshape=lambda a: a.permute(0, 1, 4, 2, 3))
    assert found.input_size == (8, 16, 12)
    assert found.volumes["gradcam"].shape == (2, 4, 8, 6)
    with pytest.raises(ShapeError, match="the first convolution receives"):
        vidcam.explain(net, clip, axes="NCTHW", layer="net.block2")


def test_one_grey_frame_has_every_order() -> None:
    net = Takes(nn.Sequential(nn.Conv3d(1, 4, 1), nn.ReLU(), Mean(), nn.Linear(4, 4)), "NTCHW")
    assert vidcam.explain(net, random_clip(2, 1, 1, 8, 6), axes="NTCHW").input_size == (1, 8, 6)
