"""The graph's answers about a head agree with second derivatives in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – the name that everybody knows

from tests.helpers.passes import record
from vidcam.cam.graph import has_custom_function, is_graph_piecewise_linear

Head = Callable[[Tensor], Tensor]

WEIGHT = torch.linspace(-1, 1, 4 * 4 * 27, dtype=torch.float64).view(4, 4, 3, 3, 3).requires_grad_()
MATRIX = torch.linspace(-1, 1, 4 * 6, dtype=torch.float64).view(6, 4).requires_grad_()


def _normed(a: Tensor, *, training: bool) -> Tensor:
    return F.batch_norm(a, torch.ones(4).to(a), torch.full((4,), 2.0).to(a), MATRIX[0], training=training)


def _pooled(a: Tensor) -> Tensor:
    return a.mean(dim=(2, 3, 4))


LINEAR: dict[str, Head] = {
    "mean, linear": lambda a: F.linear(_pooled(a), MATRIX, MATRIX[:, 0]),
    "linear without a bias": lambda a: F.linear(_pooled(a), MATRIX),
    "convolution, relu, pool": lambda a: _pooled(F.max_pool3d(F.conv3d(a, WEIGHT, padding=1).relu(), 2)),
    "normalised": lambda a: _normed(a, training=False),
    "two branches, joined": lambda a: torch.cat([F.leaky_relu(a), F.conv3d(a, WEIGHT, padding=1)], dim=1),
    "residual": lambda a: F.relu(a + F.conv3d(a, WEIGHT, padding=1)),
    "scaled by a weight": lambda a: a * MATRIX[0].view(4, 1, 1, 1) / 3,
    "divided by a weight": lambda a: a / MATRIX[0].view(4, 1, 1, 1),
    "a curved function of the weights alone": lambda a: _pooled(a) @ MATRIX.exp().tanh().T,
    "largest": lambda a: a.amax(dim=(2, 3, 4)) + a.flatten(2).max(dim=2).values,
    "clamped": lambda a: F.hardtanh(a) + a.clamp(-1, 0.5) + a.abs() + F.relu6(a),
    "enlarged": lambda a: F.interpolate(F.pad(a, (1, 1)), scale_factor=2, mode="trilinear"),
    "cut and turned": lambda a: a.permute(0, 2, 1, 3, 4)[:, 1:].flip(1).flatten(1).unsqueeze(0),
    "attention with fixed weights": lambda a: torch.bmm(MATRIX[None, :4].expand(len(a), 4, 4), a.flatten(2)),
}
CURVED: dict[str, Head] = {
    "gelu": F.gelu,
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "layer norm": lambda a: F.layer_norm(a, a.shape[2:]),
    "relu, then gelu": lambda a: F.gelu(F.linear(_pooled(a.relu()), MATRIX)),
}
UNKNOWN: dict[str, Head] = {
    "square": lambda a: a * a,
    "gate": lambda a: a * a.mean(dim=1, keepdim=True),
    "power": lambda a: a**3,
    "one over": lambda a: 1 / (3 + a.abs()),
    "share": lambda a: a / (1 + a.abs().sum(dim=1, keepdim=True)),
    "normalised by its own statistics": lambda a: _normed(a, training=True),
    "softmax": lambda a: a.softmax(dim=1),
    "root": lambda a: (1 + a.abs()).sqrt(),
    "magnitude of a complex number": lambda a: (a.to(torch.complex128) + 1j * a.roll(1, 1).to(torch.complex128)).abs(),
    "magnitude of a number turned complex by a factor": lambda a: (a * 1j + a.roll(1, 1)).abs(),
    "dynamic convolution": lambda a: F.conv3d(a[:1], a[:, :, :3, :3, :3][:1]),
}


def _activations() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, 4, 4, 4, 4, generator=generator, dtype=torch.float64).requires_grad_()


def _score(head: Head, activations: Tensor) -> Tensor:
    out = head(activations.clone())
    return (out * torch.linspace(0.1, 1, out.numel(), dtype=out.dtype).view(out.shape)).sum()


def _is_straight(head: Head) -> bool:
    """Decide by second derivatives along a random direction."""
    activations = _activations()
    (gradient,) = torch.autograd.grad(_score(head, activations), activations, create_graph=True)
    if not gradient.requires_grad:
        return True
    generator = torch.Generator().manual_seed(4)
    along = torch.randn(gradient.shape, generator=generator, dtype=gradient.dtype)
    slope = (gradient * along).sum()
    second: Tensor | None = torch.autograd.grad(slope, [activations], allow_unused=True)[0]
    return second is None or float(second.abs().max()) < 1e-12


@pytest.mark.parametrize("name", LINEAR)
def test_piecewise_linear_heads_have_no_second_derivative(name: str) -> None:
    activations = _activations()
    assert is_graph_piecewise_linear(_score(LINEAR[name], activations), [activations]) is True
    assert _is_straight(LINEAR[name])


@pytest.mark.parametrize("name", CURVED)
def test_curved_operations(name: str) -> None:
    activations = _activations()
    assert is_graph_piecewise_linear(_score(CURVED[name], activations), [activations]) is False
    assert not _is_straight(CURVED[name])


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_operations_give_none(name: str) -> None:
    activations = _activations()
    assert is_graph_piecewise_linear(_score(UNKNOWN[name], activations), [activations]) is None
    assert not _is_straight(UNKNOWN[name])


class Relu(torch.autograd.Function):
    """A curved function with the name of a piecewise linear one."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.exp()


class ReluBackward0(Relu):
    """Its node is called 'ReluBackward0Backward'."""


@pytest.mark.parametrize("function", [Relu, ReluBackward0])
def test_custom_functions_are_not_judged_by_name(function: type[torch.autograd.Function]) -> None:
    activations = _activations()
    score = _score(function.apply, activations)
    assert is_graph_piecewise_linear(score, [activations]) is None
    assert has_custom_function(score)
    assert not has_custom_function(_score(torch.relu, activations))


def test_operations_beside_the_activations_do_not_count() -> None:
    activations, other = _activations(), _activations()
    score = _score(lambda a: a.relu() + other.sigmoid() * other, activations)
    assert is_graph_piecewise_linear(score, [activations]) is True
    assert is_graph_piecewise_linear(score, [activations, other]) is False


def test_activations_inside_the_graph_are_leaves_too() -> None:
    first = _activations()
    inner = torch.tanh(MATRIX)
    assert is_graph_piecewise_linear((first.relu().sum() + (inner * inner).sum()), [first]) is True
    assert is_graph_piecewise_linear((first.relu().sum() + (inner * inner).sum()), [first, inner]) is None


def test_a_constant_score_is_piecewise_linear() -> None:
    assert is_graph_piecewise_linear(torch.ones(()), [_activations()]) is True


class _Net(nn.Module):
    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        self.relu, self.end, self.out = nn.ReLU(), end, nn.Linear(4, 3)

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.out(self.end(self.relu(clip)).mean(dim=(2, 3, 4)))
        return scores


@pytest.mark.parametrize(
    ("end", "expected", "twice"),
    [(nn.BatchNorm3d(4), True, 0), (nn.GELU(), False, 0), (nn.Softmax(1), False, 1)],
    ids=["known", "curved", "unknown"],
)
def test_only_unknown_heads_are_differentiated_twice(
    end: nn.Module, expected: bool, twice: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_graph_calls: list[bool] = []
    grad: Callable[..., Any] = torch.autograd.grad

    def counting(*args: Any, create_graph: bool = False, **options: Any) -> Any:
        create_graph_calls.append(create_graph)
        return grad(*args, create_graph=create_graph, **options)

    net = _Net(end).eval()
    with record(net, ["relu"]) as recorder:
        score = net(_activations().detach().float())[:, 1].sum()
        monkeypatch.setattr(torch.autograd, "grad", counting)
        assert recorder.is_piecewise_linear(score) is expected
    assert sum(create_graph_calls) == twice
