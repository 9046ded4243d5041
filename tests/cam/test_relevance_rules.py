"""The rules of single operations: forms of activations, norms and products, and what is said of unknown ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from vidcam.cam.relevance_mode import RelevanceMode, unknown_operations
from vidcam.cam.relevance_pass import Pass
from vidcam.cam.tracer import LogitTracer

Run = Callable[[Tensor], Any]


def passed(run: Run, x: Tensor, *, is_softmax_constant: bool = True) -> tuple[Tensor, Tensor]:
    """The values of an operation, and x times the gradient of their weighted sum."""
    leaf = x.clone().requires_grad_()
    with RelevanceMode(Pass(is_softmax_constant)), LogitTracer():
        y = run(leaf.clone())
    weights = torch.linspace(-1, 2, y.numel(), dtype=x.dtype).reshape(y.shape)
    (gradient,) = torch.autograd.grad((y * weights).sum(), leaf)
    assert torch.equal(y.detach(), run(x)) or torch.allclose(y.detach(), run(x), rtol=1e-14, atol=1e-14)
    return y.detach() * weights, x * gradient


def values(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def gelu_tanh(x: Tensor) -> Tensor:
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


ACTIVATIONS: dict[str, Run] = {
    "gelu": functional.gelu,
    "gelu, tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu by hand": gelu_tanh,
    "gelu by erf": lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0))),
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "silu": functional.silu,
    "silu by hand": lambda x: torch.sigmoid(x) * x,
    "silu in place": lambda x: nn.SiLU(inplace=True)(x.clone()),
    "silu of a clone in place": lambda x: x.clone().mul_(x.sigmoid()),
    "hardswish": functional.hardswish,
    "hardswish by hand": lambda x: x * functional.relu6(x + 3) / 6,
    "mish": functional.mish,
    "elu": functional.elu,
    "tanh": torch.tanh,
    "relu": functional.relu,
    "squared relu": lambda x: functional.relu(x) ** 2,
    "square root": lambda x: x.square().sqrt(),
    "mish by hand": lambda x: x * functional.softplus(x).tanh(),
    "lstm": lambda x: x.sigmoid() * x.tanh(),
    "silu and its gate": lambda x: functional.silu(x) * (2 * functional.silu(x)).sigmoid(),
}


@pytest.mark.parametrize("is_softmax_constant", [True, False])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_passes_relevance_on_as_it_is(name: str, is_softmax_constant: bool) -> None:
    result, given = passed(ACTIVATIONS[name], values(4, 6), is_softmax_constant=is_softmax_constant)
    torch.testing.assert_close(given, result, rtol=1e-12, atol=1e-14)


def test_an_activation_at_zero_has_its_slope() -> None:
    leaf = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    with RelevanceMode(Pass()):
        y = functional.gelu(leaf.clone()) + functional.elu(leaf.clone())
    (gradient,) = torch.autograd.grad(y.sum(), leaf)
    assert gradient.tolist() == [1.5, 1.5, 1.5]


WEIGHT, BIAS = values(6), torch.linspace(0, 1, 6, dtype=torch.float64)


def layer_norm(x: Tensor) -> Tensor:
    mean = x.mean(dim=-1, keepdim=True)
    return (x - mean) / torch.sqrt((x - mean).pow(2).mean(dim=-1, keepdim=True) + 1e-5) * WEIGHT + BIAS


def rms_norm(x: Tensor) -> Tensor:
    return WEIGHT * (x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + 1e-6))


NORMS: dict[str, tuple[Run, Run]] = {
    "layer": (lambda x: functional.layer_norm(x, (6,), WEIGHT, BIAS), layer_norm),
    "layer of two axes": (
        lambda x: functional.layer_norm(x, (5, 6)),
        lambda x: (x - x.mean((-1, -2), keepdim=True)) / (x.var((-1, -2), correction=0, keepdim=True) + 1e-5).sqrt(),
    ),
    "rms": (lambda x: functional.rms_norm(x, [6], weight=WEIGHT, eps=1e-6), rms_norm),
    "group": (
        lambda x: functional.group_norm(x, 1),
        lambda x: (x - x.mean((1, 2), keepdim=True)) / (x.var((1, 2), correction=0, keepdim=True) + 1e-5).sqrt(),
    ),
    "instance": (
        functional.instance_norm,
        lambda x: (x - x.mean(2, keepdim=True)) / (x.var(2, correction=0, keepdim=True) + 1e-5).sqrt(),
    ),
    "rms by a power": (lambda x: x * (x.pow(2).mean(-1, keepdim=True) + 1e-6) ** -0.5, lambda x: rms_norm(x) / WEIGHT),
    "layer by var_mean": (
        lambda x: functional.layer_norm(x, (6,)),
        lambda x: (
            (x - torch.var_mean(x, -1, keepdim=True)[1])
            * torch.rsqrt(torch.var_mean(x, -1, correction=0, keepdim=True)[0] + 1e-5)
        ),
    ),
    "length": (lambda x: functional.normalize(x, dim=-1), lambda x: x / x.norm(dim=-1, keepdim=True)),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_equal_those_by_hand_and_are_linear(name: str) -> None:
    ours, theirs = (passed(run, values(2, 5, 6)) for run in NORMS[name])
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    if name != "layer":  # without a bias all adds up
        torch.testing.assert_close(ours[0].sum(), ours[1].sum(), rtol=1e-9, atol=1e-12)


PRODUCTS: dict[str, Run] = {
    "square": lambda x: x * x,
    "two values": lambda x: x * x.roll(1, dims=-1),
    "matmul": lambda x: x @ x.mT,
    "bmm": lambda x: torch.bmm(x, x.mT),
    "einsum": lambda x: torch.einsum("nld,nmd->nlm", x, x),
    "three factors": lambda x: torch.einsum("nld,nmd,nkd->nlmk", x, x, x),
    "swiglu": lambda x: functional.silu(x) * x.roll(1, dims=-1),
    "glu": lambda x: functional.glu(x, dim=-1),
    "matmul by name": lambda x: torch.matmul(input=x, other=x.mT),
    "mul by name": lambda x: torch.mul(input=x, other=x.roll(1, dims=-1)),
    "tensordot": lambda x: torch.tensordot(x, x, dims=([2], [2])),
    "inner": lambda x: torch.inner(x, x),
    "outer": lambda x: torch.outer(x[0, 0], x[1, 1]),
    "mv": lambda x: x[0] @ x[0, 0] + torch.mv(x[1], x[0, 1]).sum(),
    "dot": lambda x: torch.dot(x[0, 0], x[0, 1])[None],
    "addcmul": lambda x: torch.addcmul(x, x, x.roll(1, dims=-1)),
    "powers": lambda x: x**3 + x.pow(2),
    "cosine": lambda x: functional.cosine_similarity(x, x.roll(1, dims=-1), dim=-1),
    "cosine with a text": lambda x: functional.cosine_similarity(x1=x.mean(1), x2=WEIGHT),
    "attention of sigmoids": lambda x: (x @ x.mT).sigmoid() @ x,
    "linear attention": lambda x: functional.relu(x) @ (functional.relu(x).mT @ x),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_counts_once(name: str) -> None:
    result, given = passed(PRODUCTS[name], values(2, 5, 6))
    torch.testing.assert_close(given.sum(), result.sum(), rtol=1e-10, atol=1e-12)


def test_a_gate_is_a_constant_of_a_product() -> None:
    """Squeeze and excite: all relevance stays with the value, also where the gate was viewed and scaled."""
    mix = values(6, 6)
    _, given = passed(lambda x: x * (1.0 + 0.5 * torch.sigmoid(x.mean(dim=1) @ mix)[:, None, :]), values(2, 5, 6))
    result, _ = passed(lambda x: x * (1.0 + 0.5 * torch.sigmoid(x.mean(dim=1) @ mix)[:, None, :]), values(2, 5, 6))
    torch.testing.assert_close(given, result, rtol=1e-10, atol=1e-12)


def halved(x: Tensor) -> Tensor:
    x /= x.norm(dim=-1, keepdim=True)
    return x


IN_PLACE: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "product": lambda x, y: x.mul_(y),
    "product with a gate": lambda x, y: x.mul_(y.sigmoid()),
    "product of a part": lambda x, y: x[:, 1:].mul_(y[:, 1:]),
    "quotient": lambda x, _: halved(x),
    "silu": lambda x, _: nn.SiLU(inplace=True)(x),
    "hardswish": lambda x, _: nn.Hardswish(inplace=True)(x),
    "elu": lambda x, _: nn.ELU(inplace=True)(x),
    "tanh": lambda x, _: x.tanh_(),
    "square": lambda x, _: x.pow_(2),
}


@pytest.mark.parametrize("is_softmax_constant", [True, False])
@pytest.mark.parametrize("name", IN_PLACE)
def test_what_is_done_in_place_is_seen_by_other_views(name: str, is_softmax_constant: bool) -> None:
    """The value stays that of the network where it drops the result and goes on with what was changed."""

    def run(x: Tensor) -> Tensor:
        changed = x.clone()
        view = changed.view(-1)
        IN_PLACE[name](changed, x.roll(1, dims=-1))
        return changed + view.view_as(x)

    result, given = passed(run, values(2, 5, 6), is_softmax_constant=is_softmax_constant)
    torch.testing.assert_close(given.sum(), result.sum(), rtol=1e-10, atol=1e-12)


def test_weights_are_no_values() -> None:
    """A trainable scale is not the second value of a product, and functions of weights alone are constants."""
    scale = nn.Parameter(values(6))
    for run in (lambda x: x * scale, lambda x: scale * x, lambda x: x @ (scale * scale.tanh())):
        result, given = passed(run, values(5, 6))
        torch.testing.assert_close(given.sum(), result.sum(), rtol=1e-12, atol=1e-13)
    assert scale.grad is None


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"enable_gqa": True}, {"scale": 0.3}, {"masked": True}])
@pytest.mark.parametrize("is_softmax_constant", [True, False])
def test_fused_attention_equals_its_definition(options: dict[str, Any], is_softmax_constant: bool) -> None:
    keys = 2 if "enable_gqa" in options else 4
    given = {name: each for name, each in options.items() if name != "masked"}
    mask = values(5, 5) if "masked" in options else torch.ones(5, 5, dtype=torch.bool)
    mask = mask.tril() if "is_causal" in options else mask

    def fused(x: Tensor) -> Tensor:
        extra: dict[str, Any] = {} if "is_causal" in options else {"attn_mask": mask}
        return functional.scaled_dot_product_attention(x, x[:, :keys] * 2, x[:, -keys:].tanh(), **given, **extra)

    def plain(x: Tensor) -> Any:
        times = 4 // keys
        k, v = (x[:, :keys] * 2).repeat_interleave(times, 1), x[:, -keys:].tanh().repeat_interleave(times, 1)
        scores = x @ k.mT * given.get("scale", 6**-0.5)
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        return scores.softmax(dim=-1) @ v

    ours, theirs = (passed(run, values(2, 4, 5, 6), is_softmax_constant=is_softmax_constant) for run in (fused, plain))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("is_softmax_constant", [True, False])
def test_a_mask_that_depends_on_the_layer_is_part_of_attention(is_softmax_constant: bool, by_name: bool) -> None:
    """As relative positions that are read by the queries."""
    places = values(6, 5)

    fused: Any = functional.scaled_dot_product_attention
    runs = (
        lambda x: fused(x, x, x, attn_mask=x @ places) if by_name else fused(x, x, x, x @ places),
        lambda x: (x @ x.mT * 6**-0.5 + x @ places).softmax(dim=-1) @ x,
    )
    ours, theirs = (passed(run, values(2, 4, 5, 6), is_softmax_constant=is_softmax_constant) for run in runs)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("is_softmax_constant", [True, False])
def test_torch_multihead_attention_is_looked_into(is_softmax_constant: bool) -> None:
    """With its weights returned, or not."""
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(6, 2, bias=False, batch_first=True, dtype=torch.float64).eval()
    runs = [lambda x, need=need: layer(x, x, x, need_weights=need)[0] for need in (True, False)]
    ours, theirs = (passed(run, values(2, 5, 6), is_softmax_constant=is_softmax_constant) for run in runs)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    if is_softmax_constant:
        torch.testing.assert_close(ours[0].sum(), ours[1].sum(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("run", "names"), [(torch.exp, ("Exp",)), (torch.cos, ("Cos",)), (functional.gelu, ())])
def test_an_operation_without_a_rule_is_named(run: Run, names: tuple[str, ...]) -> None:
    leaf = values(5, 6).requires_grad_()
    with RelevanceMode(Pass()):
        y = run(leaf.clone()) @ values(6, 2)
    assert unknown_operations(y) == names
