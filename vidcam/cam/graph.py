"""What autograd's graph tells of a head: whether it is piecewise linear, and whether its scores are probabilities.

Piecewise linear in the activations A: eq. 16 of Grad-CAM++, and with it eq. 19, is exact where the second derivatives
of the score in A vanish, in heads of convolutions, linear layers, ReLUs, pooling and the like. That is known by the
names of autograd's nodes, at no cost; to differentiate the head twice costs a second backward pass, and is left for
operations that this file does not know.

Probabilities: several views, crops or heads are often averaged behind the softmax. No softmax stands at the end then
that could be taken off, rows need not add up to 1, and taken as logits they give maps of vanishing gradients.
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
        "Abs",
        "AdaptiveAvgPool2D",
        "AdaptiveAvgPool3D",
        "AdaptiveMaxPool2D",
        "AdaptiveMaxPool3D",
        "Add",
        "Alias",
        "Amax",
        "Amin",
        "AsStrided",
        "AvgPool2D",
        "AvgPool3D",
        "Cat",
        "Clamp",
        "ClampMax",
        "ClampMin",
        "Clone",
        "ConstantPadNd",
        "Cumsum",
        "Expand",
        "Flip",
        "Gather",
        "Hardsigmoid",
        "Hardtanh",
        "Index",
        "IndexSelect",
        "LeakyRelu",
        "MaskedFill",
        "Max",
        "Maximum",
        "MaxPool2DWithIndices",
        "MaxPool3DWithIndices",
        "Mean",
        "Min",
        "Minimum",
        "Neg",
        "Permute",
        "ReflectionPad1D",
        "ReflectionPad2D",
        "ReflectionPad3D",
        "Relu",
        "Repeat",
        "ReplicationPad1D",
        "ReplicationPad2D",
        "ReplicationPad3D",
        "ReshapeAlias",
        "Roll",
        "Select",
        "Slice",
        "Split",
        "SplitWithSizes",
        "Squeeze",
        "Stack",
        "Sub",
        "Sum",
        "T",
        "Threshold",
        "ToCopy",
        "Transpose",
        "Unbind",
        "UnsafeSplit",
        "UnsafeView",
        "Unsqueeze",
        "UpsampleBilinear2D",
        "UpsampleLinear1D",
        "UpsampleNearest1D",
        "UpsampleNearest2D",
        "UpsampleNearest3D",
        "UpsampleTrilinear3D",
        "View",
        "Where",
    ]
)
"""Whatever of their inputs depends on A. A node's name is one of these, 'Backward' and a number."""

PRODUCTS = frozenset(["Addmm", "Addmv", "Baddbmm", "Bmm", "Convolution", "Dot", "Linear", "Mm", "Mul", "Mv", "Prelu"])
"""Linear as long as one of their inputs alone depends on A."""

IN_THE_FIRST = frozenset(["Div", "NativeBatchNorm", "CudnnBatchNorm", "MiopenBatchNorm"])
"""Linear as long as their first input alone does, and a batch normalisation takes its statistics from elsewhere."""

CURVED = frozenset(
    ["Elu", "Erf", "Exp", "Gelu", "Hardswish", "Mish", "NativeLayerNorm", "Sigmoid", "Silu", "Softplus", "Tanh"]
)

_JOINS = frozenset(
    [
        "Add",
        "Alias",
        "AsStrided",
        "Cat",
        "Clone",
        "Div",
        "Expand",
        "Flip",
        "Index",
        "IndexSelect",
        "Mean",
        "Mul",
        "Permute",
        "ReshapeAlias",
        "Select",
        "Slice",
        "Split",
        "Squeeze",
        "Stack",
        "Sum",
        "T",
        "ToCopy",
        "Transpose",
        "Unbind",
        "UnsafeView",
        "Unsqueeze",
        "View",
    ]
)
"""What averages, joins and reshapes; a product counts as long as one factor alone depends on the activations."""

_PROBABILITIES = frozenset(["Softmax", "Sigmoid"])
_LOGARITHMS = frozenset(["LogSoftmax", "LogSigmoid"])

_NAME = re.compile(r"(?:.*::)?(\w+)Backward\d*")


def operation(node: Node) -> str:
    """The operation that a node differentiates: 'ReluBackward0' → 'Relu'; '' of a leaf and of a user's own function."""
    match = None if _is_custom(node) else _NAME.fullmatch(node.name())
    return match[1] if match else ""


def nodes_below(end: Node | None, *, enters: Callable[[Node], bool] = lambda _: True) -> Iterator[Node]:
    """All nodes of a graph, each after those that it is computed from.

    Args:
        end: the last node, `grad_fn` of a result.
        enters: whether to look below a node; one at which it says no is still yielded.
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
                stack.extend((before, False) for before, _ in node.next_functions if before is not None)


def is_graph_piecewise_linear(score: Tensor, leaves: Collection[Tensor]) -> bool | None:
    """Whether every operation between the leaves and the score is piecewise linear in the leaves.

    Args:
        score: any tensor with a graph.
        leaves: the activations; those of a later layer may lie within the graph.

    Returns:
        True: each is. False: one of them, at least, is known to be curved. None: there is one that is not known.
    """
    found = [_is_linear(node, reaching) for node, reaching in _dependents(score.grad_fn, leaves)]
    if False in found:
        return False
    return None if None in found else True


def has_custom_function(score: Tensor) -> bool:
    """Whether a `torch.autograd.Function` written in Python lies below the score: its backward may hide a curvature."""
    return any(_is_custom(node) for node in nodes_below(score.grad_fn))


def looks_like_probabilities(scores: Tensor) -> str | None:
    """'probabilities' or 'logarithms of probabilities' if that is what scores (N, K) with a graph are, else None."""
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
        return sum(before is not None for before, _ in node.next_functions) < 2
    return name in _JOINS


def _is_linear(node: Node, reaching: tuple[int, ...]) -> bool | None:
    """Of one operation of which the inputs `reaching` depend on the leaves."""
    returned: Sequence[Any] = node._input_metadata  # noqa: SLF001 – torch tells it in no other way
    is_complex = any(one.dtype.is_complex for one in returned)  # what follows may take the magnitude: a root of squares
    name = "" if is_complex else operation(node)
    if name in CURVED:
        return False
    if name in PRODUCTS:
        return True if len(reaching) == 1 else None
    if name in IN_THE_FIRST:
        return True if reaching == (0,) and not getattr(node, "_saved_training", False) else None
    return True if name in PIECEWISE_LINEAR else None


def _is_custom(node: object) -> bool:
    return isinstance(node, BackwardCFunction)


def _dependents(end: Node | None, leaves: Collection[Tensor]) -> Iterator[tuple[Node, tuple[int, ...]]]:
    """Each operation that depends on a leaf, and which of its inputs do."""
    ids = {id(leaf) for leaf in leaves}
    alive: set[Node] = {leaf.grad_fn for leaf in leaves if leaf.grad_fn is not None}
    for node in nodes_below(end):
        inputs = [before for before, _ in node.next_functions]
        reaching = tuple(index for index, before in enumerate(inputs) if before in alive)
        if reaching or id(getattr(node, "variable", None)) in ids:
            alive.add(node)
        if reaching:
            yield node, reaching
