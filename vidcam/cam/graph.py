"""Inspect autograd's graph of a head: is it piecewise linear, and are its scores probabilities?

Piecewise linear in the activations A: eq. 16 and 19 of Grad-CAM++ are exact where the second derivatives of the score
in A are zero: in heads of convolutions, linear layers, ReLUs, pooling and the like. The names of autograd's nodes tell,
at no cost. Only for operations that this file does not list is the head differentiated twice.

Probabilities: many models average several views, crops or heads after a softmax. Then there is no last softmax to
remove, and rows need not sum to 1. Taken as logits, such scores give maps of vanishing gradients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

PIECEWISE_LINEAR = frozenset(
    [
        *("Abs", "Add", "Amax", "Amin", "Clamp", "ClampMax", "ClampMin", "Cumsum", "Hardsigmoid", "Hardtanh"),
        *("LeakyRelu", "MaskedFill", "Max", "Maximum", "Mean", "Min", "Minimum", "Neg", "Relu", "Sub", "Sum"),
        *("Threshold", "Where"),
        *("AdaptiveAvgPool2D", "AdaptiveAvgPool3D", "AdaptiveMaxPool2D", "AdaptiveMaxPool3D"),
        *("AvgPool2D", "AvgPool3D", "MaxPool2DWithIndices", "MaxPool3DWithIndices"),
        *("Alias", "AsStrided", "Cat", "Clone", "Expand", "Flip", "Gather", "Index", "IndexSelect", "Permute"),
        *("Repeat", "ReshapeAlias", "Roll", "Select", "Slice", "Split", "SplitWithSizes", "Squeeze", "Stack", "T"),
        *("ToCopy", "Transpose", "Unbind", "UnsafeSplit", "UnsafeView", "Unsqueeze", "View"),
        *("ConstantPadNd", "ReflectionPad1D", "ReflectionPad2D", "ReflectionPad3D"),
        *("ReplicationPad1D", "ReplicationPad2D", "ReplicationPad3D"),
        *("UpsampleBilinear2D", "UpsampleLinear1D", "UpsampleTrilinear3D"),
        *("UpsampleNearest1D", "UpsampleNearest2D", "UpsampleNearest3D"),
    ]
)
"""Piecewise linear in all inputs that depend on A. The node's name is one of these, 'Backward' and a number."""

PRODUCTS = frozenset(["Addmm", "Addmv", "Baddbmm", "Bmm", "Convolution", "Dot", "Linear", "Mm", "Mul", "Mv", "Prelu"])
"""Linear if only one of their inputs depends on A."""

LINEAR_IN_FIRST = frozenset(["Div", "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm"])
"""Linear if only their first input depends on A, and if a batch normalisation uses running statistics."""

CURVED = frozenset(
    ["Elu", "Erf", "Exp", "Gelu", "Hardswish", "Mish", "NativeLayerNorm", "Sigmoid", "Silu", "Softplus", "Tanh"]
)

_JOINS = frozenset(
    [
        *("Add", "Alias", "AsStrided", "Cat", "Clone", "Div", "Expand", "Flip", "Index", "IndexSelect", "Mean", "Mul"),
        *("Permute", "ReshapeAlias", "Select", "Slice", "Split", "Squeeze", "Stack", "Sum", "T", "ToCopy"),
        *("Transpose", "Unbind", "UnsafeView", "Unsqueeze", "View"),
    ]
)
"""Operations that average, join or reshape. A product counts if only one factor depends on the activations."""

_PROBABILITIES = frozenset(["Softmax", "Sigmoid"])
_LOGARITHMS = frozenset(["LogSoftmax", "LogSigmoid"])

_NAME = re.compile(r"(?:.*::)?(\w+)Backward\d*")


def operation(node: Node) -> str:
    """Return the operation of a node: 'ReluBackward0' → 'Relu'; '' for a leaf and for a custom function."""
    match = None if _is_custom(node) else _NAME.fullmatch(node.name())
    return match[1] if match else ""


def nodes_below(end: Node | None, *, enters: Callable[[Node], bool] = lambda _: True) -> Iterator[Node]:
    """Yield all nodes of a graph, each after the nodes that it is computed from.

    Args:
        end: the last node, `grad_fn` of a result.
        enters: whether to continue below a node; the node itself is always yielded.
    """
    seen: set[Node] = set()
    stack = [] if end is None else [(end, False)]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if enters(node):
                stack.extend((source, False) for source, _ in node.next_functions if source is not None)


def is_graph_piecewise_linear(score: Tensor, leaves: Collection[Tensor]) -> bool | None:
    """Whether every operation between the leaves and the score is piecewise linear in the leaves.

    Args:
        score: any tensor with a graph.
        leaves: the activations; those of a later layer may lie inside the graph.

    Returns:
        True: all are. False: at least one is curved. None: at least one is unknown, and none is known to be curved.
    """
    results = [_is_linear(node, positions) for node, positions in _dependents(score.grad_fn, leaves)]
    if False in results:
        return False
    return None if None in results else True


def has_custom_function(score: Tensor) -> bool:
    """Whether the score's graph has a custom `torch.autograd.Function`, whose backward may hide a curvature."""
    return any(_is_custom(node) for node in nodes_below(score.grad_fn))


def looks_like_probabilities(scores: Tensor) -> str | None:
    """Return 'probabilities' or 'logarithms of probabilities' if scores (N, K) with a graph are that, else None."""
    ends = {operation(node) for node in nodes_below(scores.grad_fn, enters=_joins) if not _joins(node)}
    values = scores.detach()
    if ends and ends <= _PROBABILITIES and bool(((values >= 0) & (values <= 1)).all()):
        return "probabilities"
    if ends and ends <= _LOGARITHMS and bool((values <= 0).all()):
        return "logarithms of probabilities"
    return None


def _joins(node: Node) -> bool:
    name = operation(node)
    if name in {"Mul", "Div"}:
        return sum(source is not None for source, _ in node.next_functions) < 2
    return name in _JOINS


def _is_linear(node: Node, positions: tuple[int, ...]) -> bool | None:
    """Whether one operation is piecewise linear in its inputs at these positions, which depend on the leaves."""
    outputs: Sequence[Any] = node._input_metadata  # noqa: SLF001 – torch has no public way
    is_complex = any(output.dtype.is_complex for output in outputs)  # a magnitude may follow: a root of squares
    name = "" if is_complex else operation(node)
    if name in CURVED:
        return False
    if name in PRODUCTS:
        return True if len(positions) == 1 else None
    if name in LINEAR_IN_FIRST:
        return True if positions == (0,) and not getattr(node, "_saved_training", False) else None
    return True if name in PIECEWISE_LINEAR else None


def _is_custom(node: object) -> bool:
    return isinstance(node, BackwardCFunction)


def _dependents(end: Node | None, leaves: Collection[Tensor]) -> Iterator[tuple[Node, tuple[int, ...]]]:
    """Yield each operation that depends on a leaf, and the positions of its inputs that do."""
    ids = {id(leaf) for leaf in leaves}
    dependent: set[Node] = {leaf.grad_fn for leaf in leaves if leaf.grad_fn is not None}
    for node in nodes_below(end):
        sources = [source for source, _ in node.next_functions]
        positions = tuple(index for index, source in enumerate(sources) if source in dependent)
        if positions or id(getattr(node, "variable", None)) in ids:
            dependent.add(node)
        if positions:
            yield node, positions
