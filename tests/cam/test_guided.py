"""Guided backpropagation: against masks written out, by hand, in every spelling of ReLU, and what it leaves behind."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tests.helpers import oracle
from tests.helpers.nets import PooledHead, random_clip, seeded
from vidcam.cam.guided import guided_gradients
from vidcam.errors import InputError, NonFiniteError, ShapeError

Rectifier = Callable[[Tensor], Tensor]


class Deep(nn.Module):
    """Conv3d → rectifier, twice, mean over the grid, linear; the rectifier is given as a function or a module."""

    def __init__(self, rectify: Rectifier = torch.relu) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv3d(3, 4, 3, padding=1), nn.Conv3d(4, 5, 3, padding=1)])
        self.fc = nn.Linear(5, 4)
        self.rectify = rectify

    def forward(self, clip: Tensor) -> Tensor:
        features = clip
        for conv in self.convs:
            features = self.rectify(conv(features))
        scores: Tensor = self.fc(features.mean(dim=(2, 3, 4)))
        return scores


def deep(rectify: Rectifier = torch.relu) -> Deep:
    net = seeded(Deep, rectify=rectify).double()
    assert isinstance(net, Deep)
    return net


def clip_of(clips: int = 2) -> Tensor:
    return random_clip(clips, 3, 4, 6, 7, dtype=torch.float64)


def first(output: Tensor) -> Tensor:
    return output[:, 0].sum()


def guided(net: nn.Module, clip: Tensor, score: Callable[[Any], Tensor] = first) -> Tensor:
    result = guided_gradients(net, clip, score)
    assert isinstance(result, Tensor)
    return result


def expected_of(net: Deep, clip: Tensor, *, target: int = 0, upper: float = float("inf")) -> Tensor:
    convs = [conv for conv in net.convs if isinstance(conv, nn.Conv3d)]
    return oracle.guided_gradient(convs, net.fc.weight[target].detach(), clip, upper=upper)


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_equals_masks_written_out(target: int) -> None:
    net, clip = deep(), clip_of()
    found, expected = guided(net, clip, lambda output: output[:, target].sum()), expected_of(net, clip, target=target)
    assert found.shape == clip.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    leaf = clip.clone().requires_grad_()
    (plain,) = torch.autograd.grad(net(leaf)[:, target].sum(), leaf)
    assert not torch.allclose(plain, expected, rtol=0, atol=1e-3 * float(expected.abs().max()))


def test_by_hand() -> None:
    """x = (2, 1): a - b = 1 is open, b - a = -1 closed, a + b = 3 open; the score is 2, 5 and -1 times these."""
    net = nn.Sequential(nn.Conv3d(2, 3, 1, bias=False), nn.ReLU(), nn.Conv3d(3, 1, 1, bias=False))
    with torch.no_grad():
        net.get_parameter("0.weight").copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]).view(3, 2, 1, 1, 1))
        net.get_parameter("2.weight").copy_(torch.tensor([2.0, 5.0, -1.0]).view(1, 3, 1, 1, 1))
    clip = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1, 1)
    found = guided(net, clip, torch.sum)
    assert found.flatten().tolist() == [2.0, -2.0]  # 2 · (1, -1); plainly it would be (1, -3)


# ---- every spelling

SPELLINGS: dict[str, Callable[[], Rectifier]] = {
    "nn.ReLU": nn.ReLU,
    "nn.ReLU in place": lambda: nn.ReLU(inplace=True),
    "nn.Threshold": lambda: nn.Threshold(0, 0),
    "nn.Threshold in place": lambda: nn.Threshold(0, 0, inplace=True),
    "nn.ReLU6": nn.ReLU6,
    "nn.ReLU6 in place": lambda: nn.ReLU6(inplace=True),
    "nn.Hardtanh": lambda: nn.Hardtanh(0, 20),
    "F.relu": lambda: F.relu,
    "F.relu by keyword": lambda: lambda x: F.relu(input=x),
    "F.relu in place": lambda: lambda x: F.relu(x, inplace=True),
    "F.relu in place by position": lambda: lambda x: F.relu(x, True),
    "F.relu_": lambda: F.relu_,
    "F.relu6": lambda: F.relu6,
    "F.hardtanh_": lambda: lambda x: F.hardtanh_(x, 0.0, 20.0),
    "F.threshold": lambda: lambda x: F.threshold(x, 0, 0),
    "F.threshold_": lambda: lambda x: torch.threshold_(x, 0, 0),
    "torch.relu": lambda: torch.relu,
    "torch.relu_": lambda: torch.relu_,
    "Tensor.relu": lambda: lambda x: x.relu(),
    "Tensor.relu_": lambda: lambda x: x.relu_(),
    "torch.clamp": lambda: lambda x: torch.clamp(x, 0),
    "torch.clamp by keyword": lambda: lambda x: torch.clamp(input=x, min=0.0),
    "clamp with a tensor": lambda: lambda x: x.clamp(min=torch.zeros(())),
    "clamp(0, 20)": lambda: lambda x: x.clamp(0, 20),
    "Tensor.clamp": lambda: lambda x: x.clamp(min=0),
    "Tensor.clamp_": lambda: lambda x: x.clamp_(min=0),
    "Tensor.clip": lambda: lambda x: x.clip(0),
    "clamp_min": lambda: lambda x: x.clamp_min(0),
    "clamp_min_": lambda: lambda x: x.clamp_min_(0),
    "maximum": lambda: lambda x: torch.maximum(x, torch.zeros_like(x)),
    "maximum the other way": lambda: lambda x: torch.maximum(torch.zeros((), dtype=x.dtype), x),
    "maximum of one element": lambda: lambda x: torch.maximum(x, torch.zeros(1, dtype=x.dtype)),
    "torch.max": lambda: lambda x: torch.max(x, torch.zeros_like(x)),
    "aten": lambda: torch.ops.aten.relu,
    "aten in place": lambda: torch.ops.aten.relu_.default,
    "aten.clamp": lambda: lambda x: torch.ops.aten.clamp.default(x, 0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_gives_the_same(spelling: str) -> None:
    clip = clip_of()
    expected = guided(deep(), clip)
    assert torch.equal(guided(deep(SPELLINGS[spelling]()), clip), expected)


@pytest.mark.parametrize(
    "rectify",
    [
        lambda x: x.clamp(0, 0.3),
        lambda x: x.clamp_(0, 0.3),
        lambda x: x.clamp(torch.zeros(()), torch.tensor(0.3, dtype=torch.float64)),
        nn.Hardtanh(0, 0.3),
        nn.Hardtanh(0, 0.3, inplace=True),
        lambda x: F.relu6(x * 20) / 20,
        lambda x: nn.ReLU6(inplace=True)(x * 20) / 20,
    ],
)
def test_closed_above_an_upper_bound(rectify: Rectifier) -> None:
    net, clip = deep(rectify), clip_of()
    expected = expected_of(net, clip, upper=0.3)
    assert not torch.equal(expected, expected_of(net, clip))
    torch.testing.assert_close(guided(net, clip), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "other",
    [
        nn.LeakyReLU(0.2),
        nn.GELU(),
        lambda x: x.clamp(min=-0.1),
        lambda x: x.clamp(max=0.2),
        lambda x: F.threshold(x, 0.1, 0.05),
        lambda x: F.threshold(x, 0.0, -1.0),
        nn.Hardtanh(),
        lambda x: torch.maximum(x, 0.5 * x),
        lambda x: x - x.max(dim=1, keepdim=True).values,
        lambda x: x / x.abs().max(),
    ],
)
def test_what_is_no_relu_keeps_its_own_gradient(other: Rectifier) -> None:
    """The first rectifier is something else, the second a ReLU whose mask the plain graph can be given by hand."""
    net, clip = deep(), clip_of()
    calls = iter([other, torch.relu])

    def rectify(x: Tensor) -> Tensor:
        return next(calls)(x)

    net.rectify = rectify
    found = guided(net, clip)
    leaf = clip.clone().requires_grad_()
    before = net.convs[1](other(net.convs[0](leaf)))
    gradient = (net.fc.weight[0] / before[0, 0].numel()).clamp(min=0).view(1, -1, 1, 1, 1) * (before > 0)
    (expected,) = torch.autograd.grad(before, leaf, gradient)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_the_values_of_the_forward_pass_are_the_models_own() -> None:
    net, clip, seen = deep(nn.ReLU6(inplace=True)), 30 * clip_of(), []

    def score(output: Tensor) -> Tensor:
        seen.append(output.detach())
        return first(output)

    guided(net, clip, score)
    assert torch.equal(seen[0], net(clip))


class Aliased(nn.Module):
    """Rectifies a tensor, or a part of it, and reads it through an alias that was made before."""

    def __init__(self, *, inplace: bool, part: bool) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.inplace, self.part = inplace, part

    def forward(self, clip: Tensor) -> Tensor:
        features = self.conv(clip)
        if not self.inplace:
            features = torch.cat([features[:, :2].relu(), features[:, 2:]], 1) if self.part else features.relu()
            return features.flatten(2).square().sum(dim=2)
        alias = features.flatten(2)
        (features[:, :2] if self.part else features).relu_()
        read: Tensor = alias.square().sum(dim=2)
        return read


@pytest.mark.parametrize("part", [False, True])
def test_in_place_changes_what_aliases_see(part: bool) -> None:
    clip = clip_of()
    nets = [seeded(Aliased, inplace=inplace, part=part).double() for inplace in (False, True)]
    apart, inside = (guided(net, clip, torch.sum) for net in nets)
    torch.testing.assert_close(inside, apart, rtol=0, atol=1e-12)
    assert torch.equal(nets[0](clip), nets[1](clip))


@pytest.mark.parametrize("rectify", [lambda x: x.relu_(), lambda x: x.clamp_(0, 6), lambda x: x.clamp(min=0).add_(1)])
def test_operations_in_place_first_and_last(rectify: Rectifier) -> None:
    """The clip itself is changed in place by the network, not the caller's."""
    net, clip = nn.Sequential(nn.Conv3d(3, 2, 1)), clip_of().float()
    before = clip.clone()

    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            scores: Tensor = net(rectify(x))
            return scores

    found = guided(First(), clip, lambda output: output[:, 0].sum())
    expected = net.get_parameter("0.weight")[0].clamp(min=0).view(1, 3, 1, 1, 1) * (clip > 0)
    torch.testing.assert_close(found, expected.detach())
    assert torch.equal(before, clip)


def test_batch_equals_one_by_one() -> None:
    net, clips = deep(), clip_of(3)
    together = guided(net, clips)
    for n in range(3):
        torch.testing.assert_close(guided(net, clips[n : n + 1])[0], together[n], rtol=0, atol=1e-12)


class TwoPathways(nn.Module):
    """Reads its first two inputs, and returns a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 2, 1), nn.Conv3d(3, 2, 1)
        self.kinds: list[type] = []

    def forward(self, pathways: list[Tensor]) -> dict[str, Tensor]:
        self.kinds.append(type(pathways))
        slow, fast = self.slow(pathways[0]).relu().mean(dim=2), self.fast(pathways[1]).relu().mean(dim=2)
        return {"logits": (slow + fast).mean(dim=(2, 3))}


@pytest.mark.parametrize("kind", [list, tuple])
def test_several_inputs_give_several_gradients(kind: type) -> None:
    net = seeded(TwoPathways).double()
    assert isinstance(net, TwoPathways)
    slow, fast, unread = clip_of()[:, :, :2], clip_of(), clip_of()
    found = guided_gradients(net, kind([slow, fast, unread]), lambda output: first(output["logits"]))
    assert isinstance(found, tuple)
    assert net.kinds == [kind]
    assert [tuple(part.shape) for part in found] == [tuple(part.shape) for part in (slow, fast, unread)]
    assert not found[2].any()
    for conv, clip, gradient in zip((net.slow, net.fast), (slow, fast), found, strict=False):
        gate = (conv(clip) > 0) & (torch.ones(2) > 0).view(1, -1, 1, 1, 1)
        gate[:, 1] = False  # the score reads the first channel
        expected = F.conv_transpose3d(gate.double() / clip[0, 0].numel(), conv.weight).detach()
        torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


class Encoder(nn.Sequential):
    def __init__(self) -> None:
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="relu")
        super().__init__(nn.Flatten(2), nn.Linear(12, 4), layer)


def test_transformer_layers_take_no_short_cut_through_c() -> None:
    """In evaluation `TransformerEncoderLayer` has a fused path that would hide its ReLU."""
    net, clip = seeded(Encoder).requires_grad_(False), random_clip(2, 3, 3, 2, 2)
    assert guided(net, clip, lambda output: output[:, 0, 0].sum()).any()


class Checkpointed(PooledHead):
    def forward(self, clip: Tensor) -> Tensor:
        features = checkpoint(self.block2, checkpoint(self.block1, clip, use_reentrant=False), use_reentrant=False)
        scores: Tensor = self.fc(self.pool(features).flatten(1))
        return scores


def test_checkpointed_parts_run_again_under_the_same_rule() -> None:
    clip = random_clip(2, 3, 4, 8, 8)
    assert torch.equal(guided(seeded(Checkpointed), clip), guided(seeded(PooledHead), clip))


# ---- conduct


class State:
    """All that must be left alone."""

    def __init__(self, net: nn.Module, clip: Tensor) -> None:
        self.net, self.clip = net, clip
        self.before = self.now()
        self.tensors = [tensor.clone() for tensor in (*net.parameters(), *net.buffers(), clip)]
        self.random = torch.get_rng_state()

    def now(self) -> list[Any]:
        modules, parameters = list(self.net.modules()), list(self.net.parameters())
        return [
            [module.training for module in modules],
            [parameter.requires_grad for parameter in parameters],
            [parameter.grad is None for parameter in parameters],
            [(*module._forward_hooks, *module._forward_pre_hooks, *module._backward_hooks) for module in modules],
            (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
            (self.clip.requires_grad, self.clip.grad),
            torch._C._len_torch_function_stack(),
        ]

    def check_unchanged(self) -> None:
        assert self.now() == self.before
        now = (*self.net.parameters(), *self.net.buffers(), self.clip)
        assert all(torch.equal(old, new) for old, new in zip(self.tensors, now, strict=True))
        assert torch.equal(self.random, torch.get_rng_state())


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_is_left_as_it_was(training: bool, frozen: bool) -> None:
    net, clip = seeded(PooledHead).train(training), random_clip(2, 3, 4, 8, 8)
    expected = guided(seeded(PooledHead).eval(), clip)
    net.get_submodule("block1").eval().requires_grad_(not frozen)
    state = State(net, clip)
    assert torch.equal(guided(net, clip), expected)
    state.check_unchanged()


def _fail(*_: object, **__: object) -> Tensor:
    raise RuntimeError("planted")


BREAKERS: dict[str, Callable[[pytest.MonkeyPatch, nn.Module], None]] = {
    "in the model": lambda patch, net: patch.setattr(net.get_submodule("fc"), "forward", _fail),
    "in a rectifier": lambda patch, _: patch.setattr("vidcam.cam.rectify._closed", _fail),
    "in the rule's reading": lambda patch, _: patch.setattr("vidcam.cam.rectify._gate", _fail),
    "in the backward": lambda patch, _: patch.setattr("torch.autograd.grad", _fail),
    "in the check of the numbers": lambda patch, _: patch.setattr("vidcam.cam.guided.require_finite", _fail),
    "in the check of the clip": lambda patch, _: patch.setattr("vidcam.cam.guided._require_floats", _fail),
}


@pytest.mark.parametrize("where", [*BREAKERS, "in the score"])
def test_the_model_is_left_as_it_was_after_an_exception(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net, clip = seeded(PooledHead).train(), random_clip(2, 3, 4, 8, 8)
    state = State(net, clip)
    with monkeypatch.context() as patch:
        if where in BREAKERS:
            BREAKERS[where](patch, net)
        with pytest.raises(RuntimeError, match="planted"):
            guided(net, clip, first if where in BREAKERS else _fail)
    state.check_unchanged()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_works_inside_no_grad_and_inference_mode(mode: Callable[[], torch.no_grad]) -> None:
    net = seeded(PooledHead)
    expected = guided(net, random_clip(1, 3, 4, 8, 8))
    with mode():
        clip = random_clip(1, 3, 4, 8, 8)
        state = State(net, clip)
        found = guided(net, clip)
        state.check_unchanged()
    assert torch.equal(found, expected)
    assert not found.is_inference()
    assert torch.equal(guided(net, clip), expected)  # an inference tensor, if it was made in that mode


def test_a_clip_that_requires_a_gradient_gets_none() -> None:
    clip = random_clip(1, 3, 4, 8, 8).requires_grad_()
    found = guided(seeded(PooledHead), clip)
    assert clip.grad is None
    assert not found.requires_grad


def test_works_within_autocast() -> None:
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    expected = guided(net, clip)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = guided(net, clip)
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    assert float(F.cosine_similarity(found.flatten(), expected.flatten(), dim=0)) > 0.99


def test_bfloat16_comes_out_as_float32() -> None:
    net, clip = seeded(PooledHead).bfloat16(), random_clip(1, 3, 4, 8, 8, dtype=torch.bfloat16)
    assert guided(net, clip).dtype == torch.float32


@pytest.mark.parametrize("rectify", [torch.relu, torch.relu_, lambda x: x[:, :2].relu_(), lambda x: x.clamp_(0, 6)])
def test_nothing_stays_alive(rectify: Rectifier) -> None:
    net = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1))
    net.register_forward_hook(lambda _module, _inputs, features: rectify(features).mean(dim=(2, 3, 4)))
    gc.collect()
    gc.disable()
    try:
        guided(net, random_clip(1, 3, 4, 8, 8))
        assert not [thing for thing in gc.get_objects() if type(thing).__name__ == "_RectifyBackward"]
    finally:
        gc.enable()


def saved_bytes(run: Callable[[], object]) -> int:
    """Bytes of all storages that are kept for the backward pass."""
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("rectify", [torch.relu, nn.ReLU(inplace=True), nn.ReLU6(), lambda x: x.clamp(min=0)])
def test_no_more_is_kept_than_for_plain_gradients(rectify: Rectifier) -> None:
    net, clip = deep(rectify), clip_of()

    def plain() -> Tensor:
        leaf = clip.clone().requires_grad_()
        return torch.autograd.grad(first(net(leaf)), leaf)[0]

    assert saved_bytes(lambda: guided(net, clip)) <= 1.25 * saved_bytes(plain)
    assert rectify is not torch.relu or saved_bytes(lambda: guided(net, clip)) <= saved_bytes(plain)


# ---- wrappers


def test_data_parallel_runs_without_its_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its replicas run in threads of their own, where nothing of this one is active."""
    net, clip = seeded(PooledHead), random_clip(1, 3, 4, 8, 8)
    monkeypatch.setattr(nn.DataParallel, "forward", _fail)
    assert torch.equal(guided(nn.DataParallel(net), clip), guided(net, clip))


@pytest.mark.slow
def test_compiled_models_run_as_they_were_written() -> None:
    clip = random_clip(1, 3, 4, 8, 8)
    expected, calls = guided(seeded(PooledHead), clip), []

    def backend(graph: Any, _: object) -> Any:
        calls.append(graph)
        return graph.forward

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outside = torch.compile(seeded(PooledHead).eval(), backend=backend)
        inside = seeded(PooledHead).eval()
        inside.get_submodule("block2").compile(backend=backend)
        for net in (outside, inside):
            assert isinstance(net, nn.Module)
            with torch.no_grad():
                net(clip)
            assert calls
            calls.clear()
            assert torch.equal(guided(net, clip), expected)
            assert not calls


# ---- refusals


@pytest.mark.parametrize(
    ("activation", "has"),
    [
        (nn.GELU(), "; it has GELU;"),
        (nn.SiLU(inplace=True), "; it has SiLU;"),
        (nn.LeakyReLU(), "; it has LeakyReLU;"),
        (lambda x: F.elu(x) * x.tanh(), "; it has ELU, Tanh;"),
        (torch.square, "a rule for ReLUs;"),
    ],
)
def test_a_model_without_relu_is_refused(activation: Rectifier, has: str) -> None:
    with pytest.raises(InputError, match="no ReLU lies between the clip and the score, and guided") as caught:
        guided(deep(activation), clip_of())
    assert has in str(caught.value)


def test_a_relu_beside_the_way_does_not_count() -> None:
    def rectify(x: Tensor) -> Tensor:
        scale = torch.relu(torch.ones(1, requires_grad=True))
        x.relu().sum()
        return F.silu(x) * scale

    with pytest.raises(InputError, match=r"no ReLU lies between the clip and the score.*it has SiLU"):
        guided(deep(rectify), clip_of())


@pytest.mark.filterwarnings("ignore")
def test_torch_script_is_refused() -> None:
    net, clip = seeded(PooledHead).eval(), random_clip(1, 3, 4, 8, 8)
    traced = torch.jit.trace(net, clip)  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match=r"the model is a TopLevelTracedModule, expected an nn\.Module"):
        guided(traced, clip)
    with pytest.raises(InputError, match="module '1' is TorchScript"):
        guided(nn.Sequential(nn.ReLU(), traced), clip)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("times", [0, 3])
def test_scripted_functions_are_refused(times: int) -> None:
    """On its first runs a scripted function is torch's own graph, later an optimised one."""

    def rectify(x: Tensor) -> Tensor:
        return 2 * torch.relu(x)

    scripted, clip = torch.jit.script(rectify), clip_of()
    for _ in range(times):
        scripted(clip.requires_grad_())
    with pytest.raises(InputError, match=r"a part of the model runs as TorchScript or C\+\+, whose ReLUs"):
        guided(deep(lambda x: scripted(torch.relu(x))), clip.detach())


def test_relus_in_c_are_refused() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(3, 4, nonlinearity="relu", batch_first=True)

        def forward(self, clip: Tensor) -> Tensor:
            states: Tensor = self.rnn(clip.mean(dim=(3, 4)).relu().transpose(1, 2))[0]
            return states[:, -1]

    with pytest.raises(InputError, match=r"TorchScript or C\+\+"):
        guided(Recurrent(), random_clip(1, 3, 4, 8, 8))


@pytest.mark.parametrize(
    ("score", "error", "message"),
    [
        (lambda output: output[:, 0], ShapeError, r"the score has shape \(2,\), expected one number"),
        (lambda output: output.tolist()[0], ShapeError, "the score has list, expected one number"),
        (lambda output: output.detach().sum(), InputError, "the score does not depend on the clip"),
        (lambda output: torch.ones((), requires_grad=True) * 2, InputError, "the score does not depend on the clip"),
        (lambda output: (output.sum() * 0).sqrt(), NonFiniteError, "the guided gradients contain NaN or infinity"),
    ],
)
def test_bad_scores(score: Callable[[Any], Tensor], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        guided(deep(), clip_of(), score)


def test_bad_clips() -> None:
    with pytest.raises(InputError, match=r"the clip is of torch.uint8, expected floating point"):
        guided(deep(), torch.zeros(1, 3, 4, 6, 7, dtype=torch.uint8))
    with pytest.raises(InputError, match="the clip is an empty sequence, expected floating point"):
        guided_gradients(deep(), [], first)


# ---- peers


class Modules(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            *(nn.Conv3d(3, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(), nn.MaxPool3d(2)),
            *(nn.Conv3d(6, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()),
            *(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)),
        )


@pytest.mark.filterwarnings("ignore")
def test_agrees_with_captum() -> None:
    """Captum hooks `nn.ReLU` modules; on a network that has only these, each used once, it does the same."""
    captum = pytest.importorskip("captum.attr")
    net, clip = seeded(Modules).eval(), random_clip(2, 3, 4, 8, 8)
    found = guided(net, clip, lambda output: output[:, 1].sum())
    theirs = captum.GuidedBackprop(net).attribute(clip.clone().requires_grad_(), target=1)
    scale = float(theirs.abs().max())
    assert scale > 0
    torch.testing.assert_close(found / scale, theirs.detach() / scale, rtol=0, atol=1e-5)
