"""Whether a model's scores are probabilities in disguise: averaged or joined behind the softmax or sigmoid.

Several views, crops or heads are often averaged as probabilities. No softmax stands at the end then that could be taken
off, rows need not add up to 1, and taken as logits they give maps of vanishing gradients. The scores' graph tells.
"""

from __future__ import annotations

import re

from torch import Tensor
from torch.autograd.graph import Node

_MADE_BY = {"Softmax": "probabilities", "Sigmoid": "probabilities"}
_LOGARITHMS_BY = {"LogSoftmax": "logarithms of probabilities", "LogSigmoid": "logarithms of probabilities"}

_KEPT_BY = frozenset(
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

_NAME = re.compile(r"(\w+?)Backward\d+")


def disguised(scores: Tensor) -> str | None:
    """'probabilities' or 'logarithms of probabilities' if that is what scores (N, K) with a graph are, else None."""
    if scores.grad_fn is None:
        return None
    ends = set(_ends(scores.grad_fn))
    values = scores.detach()
    if ends and ends <= _MADE_BY.keys() and bool(((values >= 0) & (values <= 1)).all()):
        return "probabilities"
    if ends and ends <= _LOGARITHMS_BY.keys() and bool((values <= 0).all()):
        return "logarithms of probabilities"
    return None


def _ends(node: Node) -> list[str]:
    """Names of the operations that the scores were averaged, joined and reshaped from."""
    found, ahead, seen = [], [node], {node}
    while ahead:
        one = ahead.pop()
        match = _NAME.fullmatch(one.name())
        name = match[1] if match else one.name()
        before = [earlier for earlier, _ in one.next_functions if earlier is not None]
        if name not in _KEPT_BY or (name in {"Mul", "Div"} and len(before) > 1):
            found.append(name)
            continue
        ahead += [earlier for earlier in before if earlier not in seen]
        seen.update(before)
    return found
