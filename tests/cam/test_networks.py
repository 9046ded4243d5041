"""Any network: 1-D to 3-D, every kind of output and layer, wrappers, narrow numbers, modes; and how each is left."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.video import r3d_18
from torchvision.models.video.swin_transformer import SwinTransformer3d

from tests.helpers.conduct import State
from tests.helpers.nets import HiddenHead, PooledHead, random_clip, seeded
from vidcam.cam.explain import explain, explain_each
from vidcam.cam.network import Input
from vidcam.cam.reshape import channels_last, tokens
from vidcam.errors import InputError, LayerError, NonFiniteError
from vidcam.results.explanation import Explanation

CHEAP = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")
EVERY = (*CHEAP, "gradcam++signed", "gradcam++softmax", "cam", "guided-gradcam", "guided-gradcam+", "guided-gradcam++")


def assert_alike(first: Explanation, second: Explanation, *, tolerance: float = 1e-5) -> None:
    """The same methods with the same maps, relative to their maxima; guided ones to three times as much."""
    for ours, theirs, times in ((first.volumes, second.volumes, 1), (first.guided, second.guided, 3)):
        assert list(ours) == list(theirs)
        for name, volume in ours.items():
            scale = max(float(np.abs(theirs[name]).max()), 1e-30)
            np.testing.assert_allclose(
                volume / scale, theirs[name] / scale, rtol=0, atol=times * tolerance, err_msg=name
            )


def by_hand(activations: Tensor, gradients: Tensor) -> dict[str, np.ndarray[Any, Any]]:
    """The formulas of METHODS, spelled out once more."""
    axes = tuple(range(2, activations.ndim))
    positive, total = gradients.clamp(min=0), activations.sum(dim=axes, keepdim=True)
    weights = {
        "gradcam": gradients.mean(dim=axes, keepdim=True),
        "gradcam+": positive.mean(dim=axes, keepdim=True),
        "gradcam++": (positive / (2 + total * positive)).sum(dim=axes, keepdim=True),
        "hirescam": gradients,
        "layercam": positive,
    }
    return {name: (w * activations).sum(dim=1).clamp(min=0).numpy() for name, w in weights.items()}


def frame(kernel: int, head: Callable[[int], nn.Module]) -> nn.Module:
    """Conv → ReLU → pooling with positions → two linear layers, in 1, 2 or 3 dimensions."""
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[kernel - 1]
    return nn.Sequential(conv(3, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), head(5 * 6**kernel))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_features_of_any_dimension(axes: int) -> None:
    def head(cells: int) -> nn.Module:
        return nn.Sequential(nn.Linear(cells, 7), nn.ReLU(), nn.Linear(7, 4))

    net = seeded(lambda: frame(axes, head)).double()  # type: ignore[arg-type]
    clip = random_clip(2, 3, *[6] * axes, dtype=torch.float64)
    result = explain(net, clip, layer="1", methods=CHEAP, target=2)
    leaf = net.get_submodule("1")(net.get_submodule("0")(clip)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(net.get_submodule("3")(leaf.flatten(1))[:, 2].sum(), leaf)
    for name, expected in by_hand(leaf.detach(), gradient).items():
        np.testing.assert_allclose(result.volumes[name], expected, rtol=1e-9, atol=1e-15)
        assert result.heat(name).shape == (2, *[6] * axes)


@pytest.mark.parametrize(
    ("make", "shape", "head"),
    [
        pytest.param(resnet18, (2, 3, 64, 64), lambda net, a: net.fc(a.mean(dim=(2, 3))), id="resnet18"),
        pytest.param(r3d_18, (1, 3, 16, 32, 32), lambda net, a: net.fc(a.mean(dim=(2, 3, 4))), id="r3d_18"),
    ],
)
def test_torchvision_networks_at_their_last_block(
    make: Callable[..., nn.Module], shape: tuple[int, ...], head: Callable[[Any, Tensor], Tensor]
) -> None:
    net, clip = seeded(make, weights=None, num_classes=6).eval(), random_clip(*shape)  # type: ignore[arg-type]
    kept: list[Tensor] = []
    handle = net.get_submodule("layer4").register_forward_hook(lambda _m, _i, out: kept.append(out.detach()))
    with torch.no_grad():
        net(clip)
    handle.remove()
    leaf = kept[0].requires_grad_()
    (gradient,) = torch.autograd.grad(head(net, leaf)[:, 3].sum(), leaf)
    expected = by_hand(leaf.detach(), gradient)
    result = explain(net, clip, methods=(*CHEAP, "cam"), target=3)
    assert result.layer == "layer4"
    for name in CHEAP:
        np.testing.assert_allclose(result.volumes[name], expected[name], rtol=1e-4, atol=1e-5 * expected[name].max())
    cells = leaf[0, 0].numel()
    np.testing.assert_allclose(result.volumes["cam"] / cells, expected["gradcam"], rtol=1e-3, atol=1e-5)


# ---- which layer


def test_a_layer_by_dots_slashes_or_as_a_module() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    results = [explain(net, clip, layer=layer) for layer in ("block2.2", "/block2/2/", net.get_submodule("block2.2"))]
    assert {result.layer for result in results} == {"block2.2"}
    for result in results[1:]:
        np.testing.assert_array_equal(result.volumes["gradcam++"], results[0].volumes["gradcam++"])
    both = explain(net, clip, layer=[net.get_submodule("block1"), "block2/2", "block2.2"])
    assert both.layer == "block1 + block2.2"


def test_a_module_of_another_network_is_refused() -> None:
    with pytest.raises(LayerError, match="a ReLU, is not one of the network's modules, expected one of them"):
        explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8), layer=nn.ReLU())


def test_no_layer_in_a_list_is_refused() -> None:
    with pytest.raises(LayerError, match="no layer was given, expected at least one"):
        explain(seeded(PooledHead), random_clip(1, 3, 4, 8, 8), layer=[])


class Pair(NamedTuple):
    features: Tensor
    number: int


class Wrapped(nn.Module):
    """A layer that returns its features in something."""

    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.conv, self.relu, self.wrap = nn.Conv3d(3, 5, 3, padding=1), nn.ReLU(), wrap

    def forward(self, clip: Tensor) -> Any:
        return self.wrap(self.relu(self.conv(clip)))


class WrappedNet(nn.Module):
    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.trunk, self.fc = Wrapped(wrap), nn.Linear(5 * 3 * 16, 4)
        self.kinds: list[type] = []

    def forward(self, clip: Tensor) -> Tensor:
        output = self.trunk(clip)
        self.kinds.append(type(output))
        scores: Tensor = self.fc((output[0] if isinstance(output, list | tuple) else output).flatten(1))
        return scores


@pytest.mark.parametrize("wrap", [lambda x: (x, 3), lambda x: Pair(x, 3), lambda x: [x, x]])
def test_layers_that_return_tuples(wrap: Callable[[Tensor], Any]) -> None:
    clip = random_clip(2, 3, 3, 4, 4)
    net = seeded(WrappedNet, wrap=wrap)
    assert isinstance(net, WrappedNet)
    expected = explain(seeded(WrappedNet, wrap=lambda x: x), clip, layer="trunk", methods=CHEAP)
    assert_alike(explain(net, clip, layer="trunk", methods=CHEAP), expected, tolerance=0)
    assert set(net.kinds) == {type(wrap(clip))}


# ---- what the model returns


class Output:
    def __init__(self, logits: Tensor) -> None:
        self.logits = logits


class Ending(nn.Module):
    """The pooled network with something behind its scores, which may be scaled up."""

    def __init__(self, end: Callable[[Tensor], Any] = lambda scores: scores, *, scale: float = 1.0) -> None:
        super().__init__()
        self.net, self.end, self.scale = seeded(PooledHead), end, scale

    def forward(self, clip: Tensor) -> Any:
        return self.end(self.scale * self.net(clip))


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda s: (s, 1), id="tuple"),
        pytest.param(lambda s: [[s, s]], id="nested"),
        pytest.param(lambda s: {"aux": 0, "logits": s}, id="dict"),
        pytest.param(Output, id="object"),
        pytest.param(lambda s: torch.stack([2 * s, 0 * s], dim=2), id="(N, K, t)"),
    ],
)
def test_outputs_that_hold_logits(end: Callable[[Tensor], Any]) -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    expected = explain(Ending(), clip, layer="net.block2", methods=EVERY)
    found = explain(Ending(end), clip, layer="net.block2", methods=EVERY)
    np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-6)
    assert_alike(found, expected)


SOFT: dict[str, Callable[[Tensor], Any]] = {
    "module": nn.Softmax(dim=1),
    "functional": lambda s: nn.functional.softmax(s, dim=1),
    "functional by keyword": lambda s: nn.functional.softmax(input=s, dim=1),
    "method": lambda s: s.softmax(1),
    "torch": lambda s: torch.softmax(s, 1),
    "special": lambda s: torch.special.softmax(s, 1),
    "log module": nn.LogSoftmax(dim=1),
    "log functional": lambda s: nn.functional.log_softmax(s, dim=1),
    "log method": lambda s: s.log_softmax(1),
    "in a tuple": lambda s: (s.softmax(1), s),
    "before a view": lambda s: s[:, :, None, None].softmax(1).mean(dim=(2, 3)).view(len(s), -1),
    "one of two": lambda s: (s.softmax(1), (3 * s).softmax(1)),
}
SIGMOID: dict[str, Callable[[Tensor], Any]] = {
    "module": nn.Sigmoid(),
    "functional": nn.functional.sigmoid,
    "method": lambda s: s.sigmoid(),
    "torch": torch.sigmoid,
    "expit": torch.special.expit,
    "in place": lambda s: s.sigmoid_(),
    "torch in place": torch.sigmoid_,
    "log": nn.LogSigmoid(),
    "before a view": lambda s: s[:, :, None].sigmoid().squeeze(2),
    "one of two": lambda s: (s.sigmoid(), (3 * s).sigmoid()),
}


@pytest.mark.parametrize("scale", [1.0, 4000.0])
@pytest.mark.parametrize(("kind", "name"), [("softmax", name) for name in SOFT] + [("sigmoid", n) for n in SIGMOID])
def test_an_end_of_probabilities_is_taken_off(kind: str, name: str, scale: float) -> None:
    """Also where float32 has no more than p = 1 to say."""
    clip, end = random_clip(2, 3, 4, 8, 8), (SOFT if kind == "softmax" else SIGMOID)[name]
    methods = ("gradcam", "gradcam++", "guided-gradcam")
    expected = explain(Ending(scale=scale), clip, layer="net.block2", methods=methods)
    found = explain(Ending(end, scale=scale), clip, layer="net.block2", methods=methods)
    np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-6)
    assert_alike(found, expected)
    assert (found.activation, expected.activation) == (kind, "softmax")
    assert (np.float32(found.probability).max() == 1.0) == (scale > 1)
    assert found.empty["gradcam"].tolist() == expected.empty["gradcam"].tolist()


def test_log_probabilities_that_cannot_be_taken_off_are_refused() -> None:
    net = Ending(lambda s: s.softmax(dim=1).log())
    with pytest.raises(InputError, match="the model returns logarithms of probabilities, expected logits, because"):
        explain(net, random_clip(2, 3, 4, 8, 8), layer="net.block2")


DISGUISED: dict[str, tuple[str, Callable[[Tensor], Any]]] = {
    "mean of softmaxes": ("probabilities", lambda s: torch.stack([s.softmax(1), (2 * s).softmax(1)]).mean(0)),
    "mean of sigmoids over time": ("probabilities", lambda s: torch.stack([s, 2 * s, -s], 2).sigmoid().mean(2)),
    "two sigmoids, joined": ("probabilities", lambda s: torch.cat([s.sigmoid(), (s - 1).sigmoid()], 1)),
    "half a softmax": ("probabilities", lambda s: s.softmax(1) / 2),
    "sum of halves": ("probabilities", lambda s: 0.5 * s.softmax(1) + 0.5 * s.sigmoid()),
    "softmax over the clips": ("probabilities", lambda s: s.softmax(0)),
    "softmax over the clips, by keyword": ("probabilities", lambda s: torch.softmax(s, dim=-2)),
    "mean of log-softmaxes": ("logarithms of probabilities", lambda s: (s.log_softmax(1) + (2 * s).log_softmax(1)) / 2),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_averaged_and_joined_probabilities_are_refused(name: str) -> None:
    what, end = DISGUISED[name]
    with pytest.raises(InputError, match=rf"the model returns {what}.*, expected logits, .* softmax or sigmoid"):
        explain(Ending(end), random_clip(2, 3, 4, 8, 8), layer="net.block2")


GATED: dict[str, Callable[[Tensor], Any]] = {
    "gate": lambda s: s * s.sigmoid(),
    "gate by another": lambda s: s.softmax(1) * s.sigmoid(),
    "scaled": lambda s: 20 * s.sigmoid(),
    "with a bias of its own": lambda s: 0.1 * s.sigmoid() + nn.Parameter(torch.full((4,), 0.1)),
    "shifted": lambda s: s.sigmoid() - 0.9,
}


@pytest.mark.parametrize("name", GATED)
def test_scores_that_a_sigmoid_has_a_part_in_are_logits(name: str) -> None:
    found = explain(Ending(GATED[name]), random_clip(2, 3, 4, 8, 8), layer="net.block2")
    assert (found.activation, found.logits.shape) == ("softmax", (2, 4))


class MixesClips(nn.Module):
    """Batch normalisation by the batch's own statistics, also in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4, track_running_stats=False)
        self.relu, self.fc = nn.ReLU(), nn.Linear(4, 3)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.relu(self.norm(self.conv(clip))).mean(dim=(2, 3, 4)))
        return scores


def test_clips_that_a_network_mixes_are_refused_together() -> None:
    net, clip = seeded(MixesClips), random_clip(2, 3, 4, 8, 8)
    with pytest.raises(InputError, match=r"layer 'norm' normalises .* mixes its 2 clips, .* pass one clip at a time"):
        explain(net, clip, layer="relu")
    assert explain(net, clip[:1], layer="relu").logits.shape == (1, 3)


# ---- what it takes


class Pathways(nn.Module):
    """Slow and fast, as in SlowFast: the slow one sees every fourth frame."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Sequential(nn.Conv3d(3, 6, 3, padding=1), nn.ReLU())
        self.fast = nn.Sequential(nn.Conv3d(3, 2, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(8, 4)

    def forward(self, clips: list[Tensor]) -> Tensor:
        if not isinstance(clips, list):
            raise TypeError(type(clips))
        features = [path(clip).mean(dim=(2, 3, 4)) for path, clip in zip((self.slow, self.fast), clips, strict=True)]
        scores: Tensor = self.fc(torch.cat(features, dim=1))
        return scores


@pytest.mark.parametrize(("layer", "frames", "columns"), [("slow", 2, slice(0, 6)), ("fast", 8, slice(6, 8))])
def test_two_pathways(layer: str, frames: int, columns: slice) -> None:
    net, fast = seeded(Pathways), random_clip(2, 3, 8, 6, 6)
    assert isinstance(net, Pathways)
    clips = [fast[:, :, ::4], fast]
    state = State(net, *clips)
    result = explain(net, clips, layer=layer, methods=("gradcam", "guided-gradcam"), target=1)
    state.check_unchanged()
    activations = net.get_submodule(layer)(clips[0 if layer == "slow" else 1]).detach()
    weights = net.fc.weight[1, columns].detach() / activations[0, 0].numel()
    expected = torch.einsum("d,ndthw->nthw", weights, activations).relu().numpy()
    np.testing.assert_allclose(result.volumes["gradcam"], expected, rtol=1e-4, atol=1e-6)
    assert result.volumes["gradcam"].shape == (2, frames, 6, 6)
    assert result.heat("gradcam").shape == (2, 8, 6, 6)
    assert result.guided["guided-gradcam"].shape == (2, 3, 8, 6, 6)


def test_pathways_are_fused_on_the_finest_grid() -> None:
    net, fast = seeded(Pathways), random_clip(2, 3, 8, 6, 6)
    clips: Input = [fast[:, :, ::4], fast]
    assert explain(net, clips, layer=["slow", "fast"], target=1).volumes["gradcam"].shape == (2, 8, 6, 6)
    assert explain(net, clips, target=1).layer == "fast"


# ---- transformers


class Turned(nn.Module):
    """One convolutional network, its features kept as (N, D, t, h, w), (N, t, h, w, D) or tokens after others."""

    def __init__(self, *, how: str = "first", others: int = 1) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv3d(3, 5, 3, padding=1), nn.Identity()
        self.hidden, self.out = nn.Linear(5, 9), nn.Linear(9, 4)
        self.how, self.others = how, others

    def forward(self, clip: Tensor) -> Tensor:
        features = self.conv(clip).relu()
        if self.how == "first":
            read = self.last(features).movedim(1, -1).flatten(1, 3)
        elif self.how == "last":
            read = self.last(features.movedim(1, -1)).flatten(1, 3)
        else:
            places = features.flatten(2).transpose(1, 2)
            read = self.last(torch.cat([places[:, :1].expand(-1, self.others, -1), places], dim=1))[:, self.others :]
        scores: Tensor = self.out(self.hidden(read).relu().mean(dim=1))
        return scores


@pytest.mark.parametrize(
    ("options", "reshape"),
    [
        ({"how": "last"}, channels_last),
        ({"how": "tokens", "others": 1}, tokens((3, 4, 5))),
        ({"how": "tokens", "others": 0}, tokens((3, 4, 5), class_tokens=0)),
        ({"how": "tokens", "others": 2}, tokens((3, 4, 5), class_tokens=2)),
    ],
)
def test_a_reshape_gives_the_maps_of_the_same_network_channels_first(
    options: dict[str, Any], reshape: Callable[[Tensor], Tensor]
) -> None:
    clip, methods = random_clip(2, 3, 3, 4, 5), (*CHEAP, "gradcam++softmax", "gradcam++signed", "guided-gradcam++")
    expected = explain(seeded(Turned), clip, layer="last", methods=methods)
    found = explain(seeded(Turned, **options), clip, layer="last", reshape=reshape, methods=methods)
    assert_alike(found, expected)


class Attention(nn.Module):
    """Two blocks of one attention each; the head reads the class token alone."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.token = nn.Conv3d(3, 8, 2, 2), nn.Parameter(torch.randn(1, 1, 8))
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True) for _ in range(2)])
        self.norm, self.fc = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, clip: Tensor) -> Tensor:
        places = self.embed(clip).flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(len(places), -1, -1), places], dim=1)
        for block in self.blocks:
            rows = block(rows)
        scores: Tensor = self.fc(self.norm(rows)[:, 0])
        return scores


@pytest.mark.parametrize("layer", ["blocks.1", "norm"])
def test_a_layer_of_which_the_class_token_alone_is_read_is_refused_with_one_that_works(layer: str) -> None:
    net, clip, reshape = seeded(Attention), random_clip(2, 3, 4, 6, 6), tokens((2, 3, 3))
    state = State(net, clip)
    message = (
        rf"layer '{layer}' has a gradient at no place of its grid, .* the class token alone; choose a layer before "
        rf"that, such as 'blocks.0', which has one"
    )
    with pytest.raises(LayerError, match=message):
        explain(net, clip, layer=layer, reshape=reshape)
    state.check_unchanged()
    result = explain(net, clip, layer="blocks.0", reshape=reshape)
    assert result.volumes["gradcam"].max() > 0
    assert result.alpha_exact is not True


def test_swin_is_channels_last() -> None:
    small: dict[str, Any] = {"patch_size": [2, 4, 4], "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2]}
    net = seeded(SwinTransformer3d, **small, window_size=[2, 4, 4], num_classes=4)
    clip = random_clip(1, 3, 4, 32, 32)
    result = explain(net, clip, reshape=channels_last, methods=("gradcam", "cam"), target=2)
    assert result.layer == "norm"
    assert result.volumes["gradcam"].shape == (1, 2, 4, 4)
    np.testing.assert_allclose(result.volumes["cam"] / 32, result.volumes["gradcam"], rtol=1e-3, atol=1e-5)


# ---- wrappers, narrow numbers, modes


@pytest.fixture
def eager_compiler() -> Iterator[None]:
    """`torch.compile` for this one test; what it warns of by itself is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
        torch.compiler.reset()


def _whole(net: nn.Module) -> Any:
    return torch.compile(net, backend="eager")


def _part(net: nn.Module) -> Any:
    net.block2 = torch.compile(net.get_submodule("block2"), backend="eager")  # type: ignore[assignment]
    return net


def _own(net: nn.Module) -> Any:
    net.compile(backend="eager")
    return net


def _own_part(net: nn.Module) -> Any:
    net.get_submodule("block2").compile(backend="eager")
    return net


@pytest.mark.parametrize("wrap", [_whole, _part, _own, _own_part])
def test_compiled_networks(wrap: Callable[[nn.Module], Any], eager_compiler: None) -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    expected = explain(seeded(PooledHead), clip, layer="block2.2", methods=EVERY)
    net = wrap(seeded(PooledHead).eval())
    with torch.no_grad():
        scores = net(clip)  # compiled before it is explained
    state = State(net, clip)
    assert_alike(explain(net, clip, layer="block2.2", methods=EVERY), expected)
    state.check_unchanged()
    with torch.no_grad():
        assert torch.equal(net(clip), scores)
    with torch.compiler.set_stance("fail_on_recompile"), torch.no_grad():
        net(clip)  # what was compiled still is


def test_data_parallel_networks() -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2", methods=EVERY)
    for layer in ("block2", "module.block2"):
        assert_alike(explain(nn.DataParallel(net), clip, layer=layer, methods=EVERY), expected, tolerance=0)


def test_script_modules_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(seeded(PooledHead).eval())
    with pytest.raises(InputError, match=r"the model is a RecursiveScriptModule, expected an nn.Module whose layers"):
        explain(scripted, random_clip(1, 3, 4, 8, 8), layer="block2")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.04), (torch.float16, 0.005)])
def test_autocast(dtype: torch.dtype, tolerance: float) -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2", methods=EVERY, target=1)
    with torch.autocast("cpu", dtype=dtype):
        state = State(net, clip)
        found = explain(net, clip, layer="block2", methods=EVERY, target=1)
        state.check_unchanged()
    assert_alike(found, expected, tolerance=tolerance)
    assert {volume.dtype for volume in (*found.volumes.values(), *found.guided.values())} == {np.dtype(np.float32)}


def test_sums_are_taken_in_float32_under_autocast() -> None:
    """A = 60 on 8 × 28 × 28 cells, g = 600: ΣA·g overflows float16 by far, and halves would round the sums."""
    clip, head = torch.full((1, 1, 8, 28, 28), 60.0), nn.Conv3d(1, 2, 1)
    net = nn.Sequential(nn.ReLU(), head, nn.AdaptiveAvgPool3d(1), nn.Flatten())
    with torch.autocast("cpu", dtype=torch.float16):
        found = explain(net, clip.half(), layer="0", methods=CHEAP, target=0)
    weight = float(head.weight[0].detach().half())
    cells = 8 * 28 * 28
    gradient = float(torch.tensor(weight / cells).half())
    np.testing.assert_allclose(found.volumes["gradcam"], max(0, 60 * gradient), rtol=5e-3)
    expected = 60 * cells * max(gradient, 0) / (2 + 60 * cells * max(gradient, 0))
    np.testing.assert_allclose(found.volumes["gradcam++"], expected, rtol=5e-3)


def test_autocast_keeps_no_weights_of_ours_for_the_callers_own_step() -> None:
    net, clip = seeded(PooledHead).eval(), random_clip(2, 3, 4, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        explain(net, clip, layer="block2")
        loss = net(clip).square().sum()
    loss.backward()
    assert all(
        parameter.grad is not None and parameter.grad.any() for parameter in net.get_submodule("fc").parameters()
    )
    assert net.get_parameter("block1.0.weight").grad is not None


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.04), (torch.float16, 0.005)])
def test_narrow_weights(dtype: torch.dtype, tolerance: float) -> None:
    net, clip = seeded(PooledHead), random_clip(2, 3, 4, 8, 8)
    expected = explain(net, clip, layer="block2", methods=EVERY, target=1)
    found = explain(net.to(dtype), clip.to(dtype), layer="block2", methods=EVERY, target=1)
    assert_alike(found, expected, tolerance=tolerance)


@contextmanager
def _inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "grad": nullcontext,
    "no grad": torch.no_grad,
    "inference": _inference,
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_modes_do_not_matter(mode: str, training: bool, frozen: bool) -> None:
    expected = explain(seeded(PooledHead).eval(), random_clip(2, 3, 4, 8, 8), layer="block2", methods=EVERY)
    net = seeded(PooledHead).train(training).requires_grad_(not frozen)
    net.get_submodule("block1").train(not training)
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    with MODES[mode]():
        clip = random_clip(2, 3, 4, 8, 8)
        assert clip.is_inference() == (mode == "inference")
        state = State(net, clip)
        found = explain(net, clip, layer="block2", methods=EVERY)
        several = explain_each(net, clip, [found.target.tolist(), 0], layer="block2", methods=EVERY)
        state.check_unchanged()
    assert_alike(found, expected, tolerance=0)
    assert_alike(several[0], expected)


def test_infinite_activations_are_refused_also_where_the_head_bounds_them() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Hardtanh(0, 5), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    clip = random_clip(1, 3, 2, 4, 4)
    explain(net, clip, layer="0")
    clip[0, 0, 0, 0, 0] = torch.inf
    with pytest.raises(NonFiniteError, match="the activations at layer '0' contain NaN or infinity, expected finite"):
        explain(net, clip, layer="0")


def test_weights_made_in_inference_mode_are_refused() -> None:
    with torch.inference_mode():
        net = seeded(PooledHead)
    message = r"weight 'block1.0.weight' was made inside torch.inference_mode, expected one that gradients can pass"
    with pytest.raises(InputError, match=message):
        explain(net, random_clip(1, 3, 4, 8, 8), layer="block2")


# ---- an exception at any step


def _fail(*_: object, **__: object) -> Any:
    raise RuntimeError("planted")


STEPS: dict[str, Callable[[pytest.MonkeyPatch, nn.Module], None]] = {
    "the trunk": lambda patch, net: patch.setattr(net.get_submodule("block1"), "forward", _fail),
    "the head": lambda patch, net: patch.setattr(net.get_submodule("fc"), "forward", _fail),
    "a hook's registration": lambda patch, net: patch.setattr(
        net.get_submodule("block2"), "register_forward_hook", _fail
    ),
    **{
        name: lambda patch, _, name=name: patch.setattr(name, _fail)  # type: ignore[misc]
        for name in (
            "torch.autograd.grad",
            "vidcam.cam.attribution.class_scores",
            "vidcam.cam.attribution.class_target",
            "vidcam.cam.attribution.require_finite",
            "vidcam.cam.methods.combine",
            "vidcam.cam.methods.hirescam",
            "vidcam.cam.attribution.softmax_form",
            "vidcam.cam.attribution.classifier_weights",
            "vidcam.cam.attribution.fuse",
            "vidcam.cam.methods.audit_alpha",
            "vidcam.cam.record.is_graph_piecewise_linear",
            "vidcam.cam.attribution.upsample_volume",
            "vidcam.cam.guided.guided_gradients",
            "vidcam.cam.guided._operations",
            "vidcam.cam.guided._require_finite",
            "vidcam.cam.rectify._gate",
        )
    },
}


@pytest.mark.parametrize("where", STEPS)
def test_an_exception_at_any_step_leaves_the_model_as_it_was(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, clip = seeded(PooledHead).train(), random_clip(2, 3, 4, 8, 8)
    net.get_submodule("block1").eval()
    is_fused = where.endswith("fuse")
    layers, methods = (["block1", "block2"], ["gradcam"]) if is_fused else (["block2"], list(EVERY))
    state = State(net, clip)
    with monkeypatch.context() as patch:
        STEPS[where](patch, net)
        with pytest.raises(Exception, match="planted"):
            explain(net, clip, layer=layers, methods=methods)
    state.check_unchanged()


def test_an_exception_in_the_second_guided_forward_pass_leaves_the_model_as_it_was() -> None:
    net, clip, runs = seeded(HiddenHead).train(), random_clip(1, 3, 3, 4, 4), []

    def hook(*_: object) -> None:
        runs.append(1)
        if len(runs) == 2:
            raise RuntimeError("planted")

    net.get_submodule("out").register_forward_hook(hook)
    state = State(net, clip)
    with pytest.raises(RuntimeError, match="planted"):
        explain(net, clip, layer="relu", methods=["guided-gradcam"])
    state.check_unchanged()
