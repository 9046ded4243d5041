"""Independent derivations: Grad-CAM++ from three derivatives of Y, cell by cell; guided backpropagation by its masks.

Y = exp(score) or softmax(scores)_c, differentiated three times by autograd in float64; or, where float64 itself would
cancel because 1 - p is tiny, by finite differences with 120 decimal digits. Nothing here uses the closed forms of
eq. 19 or eq. 22–24, or anything of `vidcam.cam`. Slow on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext

import torch
from torch import Tensor, nn

ScoreOfActivations = Callable[[Tensor], Tensor]


def three_derivatives(score: ScoreOfActivations, activations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Y′, Y″ and Y‴ of Y = exp(score) with respect to each single activation.

    Args:
        score: activations (D, t, h, w) → scalar.
        activations: A, (D, t, h, w), float64.
    """
    return derivatives(lambda leaf: torch.exp(score(leaf)), activations)


def derivatives(function: ScoreOfActivations, activations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The first three derivatives of a scalar function with respect to each single activation, (D, t, h, w) each."""
    leaf = activations.detach().clone().requires_grad_()
    first = torch.autograd.grad(function(leaf), leaf, create_graph=True)[0].flatten()
    second, third = torch.zeros_like(first), torch.zeros_like(first)
    for index in range(first.numel()):
        row = torch.autograd.grad(first[index], leaf, create_graph=True)[0].flatten()
        second[index] = row[index].detach()
        third[index] = torch.autograd.grad(row[index], leaf, retain_graph=True)[0].flatten()[index]
    shape = activations.shape
    return first.detach().view(shape), second.detach().view(shape), third.detach().view(shape)


def gradcam_pp_weights(score: ScoreOfActivations, activations: Tensor) -> Tensor:
    """Channel weights by eq. 5 and eq. 10 of arXiv:1710.11063, (D,): α = Y″ / (2 Y″ + ΣA · Y‴), w = Σ α relu(Y′)."""
    return _by_equation_10(three_derivatives(score, activations), activations)


def softmax_pp_weights(scores: ScoreOfActivations, activations: Tensor, target: int) -> Tensor:
    """The same for Y = softmax(scores)_target, divided by p·(1 - p), (D,).

    Args:
        scores: activations (D, t, h, w) → (K,).
        activations: A, (D, t, h, w), float64.
        target: c.
    """

    def probability(leaf: Tensor) -> Tensor:
        return torch.softmax(scores(leaf), dim=0)[target]

    p = float(probability(activations).detach())
    return _by_equation_10(derivatives(probability, activations), activations) / (p * (1 - p))


def softmax_pp_weights_in_decimals(
    hidden: Tensor, out: Tensor, bias: Tensor, activations: Tensor, target: int
) -> Tensor:
    """`softmax_pp_weights` of the head S = out · relu(hidden · A) + bias, true to float64 also at 1 - p = 1e-30.

    Args:
        hidden: (J, D·t·h·w).
        out: (K, J).
        bias: (K,).
        activations: A, (D, t, h, w).
        target: c.
    """
    with localcontext(prec=120):
        rows, head, offsets = _decimals(hidden), _decimals(out), [Decimal(float(b)) for b in bias]
        cells = [Decimal(float(a)) for a in activations.flatten()]
        sums = [sum(map(Decimal, channel.flatten().tolist()), Decimal(0)) for channel in activations]
        weights = [Decimal(0)] * len(sums)
        per_channel = len(cells) // len(sums)

        def probability_and_rest(index: int, step: Decimal) -> tuple[Decimal, Decimal]:
            moved = [*cells[:index], cells[index] + step, *cells[index + 1 :]]
            units = [max(Decimal(0), _dot(row, moved)) for row in rows]
            scores = [_dot(row, units) + offset for row, offset in zip(head, offsets, strict=True)]
            powers = [score.exp() for score in scores]
            return powers[target] / sum(powers), (sum(powers) - powers[target]) / sum(powers)

        def y(index: int, steps: int) -> Decimal:
            return probability_and_rest(index, steps * h)[0]

        h = Decimal("1e-20")
        for index in range(len(cells)):
            first = (y(index, 1) - y(index, -1)) / (2 * h)
            second = (y(index, 1) - 2 * y(index, 0) + y(index, -1)) / h**2
            third = (y(index, 2) - 2 * y(index, 1) + 2 * y(index, -1) - y(index, -2)) / (2 * h**3)
            if first > 0:
                alpha = second / (2 * second + sums[index // per_channel] * third)
                weights[index // per_channel] += alpha * first
        p, rest = probability_and_rest(0, Decimal(0))
        return torch.tensor([float(weight / (p * rest)) for weight in weights], dtype=torch.float64)


def _by_equation_10(three: tuple[Tensor, Tensor, Tensor], activations: Tensor) -> Tensor:
    first, second, third = three
    sums = activations.flatten(1).sum(dim=1).view(-1, 1, 1, 1)
    denominator = 2 * second + sums * third
    alpha = torch.where(second != 0, second / torch.where(second != 0, denominator, 1), 0.0)
    return (alpha * first.clamp(min=0)).flatten(1).sum(dim=1)


def _decimals(matrix: Tensor) -> list[list[Decimal]]:
    return [[Decimal(value) for value in row] for row in matrix.tolist()]


def _dot(row: Sequence[Decimal], column: Sequence[Decimal]) -> Decimal:
    return sum((x * y for x, y in zip(row, column, strict=True)), Decimal(0))


def weighted_map(weights: Tensor, activations: Tensor) -> Tensor:
    """relu(Σ_d w_d A_d) with plain loops, (t, h, w)."""
    total = torch.zeros_like(activations[0])
    for weight, channel in zip(weights, activations, strict=True):
        total = total + weight * channel
    return total.clamp(min=0)


def guided_gradient(convs: list[nn.Conv3d], row: Tensor, clip: Tensor, *, upper: float = float("inf")) -> Tensor:
    """∂score/∂clip (N, C, T, H, W) through Conv3d → ReLU, as often as there are `convs`, mean over the grid, dot `row`.

    Convolutions of stride 1. A gate is open where 0 < x < upper; only g > 0 goes through. No autograd.
    """
    before: list[Tensor] = []
    signal = clip
    with torch.no_grad():
        for conv in convs:
            before.append(conv(signal))
            signal = torch.where(before[-1] > 0, torch.where(before[-1] < upper, before[-1], upper), 0.0)
        cells = signal[0, 0].numel()
        gradient = (row.view(1, -1, 1, 1, 1) / cells).expand_as(signal)
        for conv, x in zip(reversed(convs), reversed(before), strict=True):
            gate_open = ((x > 0) & (x < upper)).to(x.dtype)
            positive = (gradient > 0).to(x.dtype)
            padding = tuple(int(side) for side in conv.padding)
            gradient = nn.functional.conv_transpose3d(gradient * gate_open * positive, conv.weight, padding=padding)
    return gradient
