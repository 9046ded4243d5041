"""What one forward pass under the rules of relevance has met: attention, tokens and gates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Named = dict[str, Any]


@dataclass(slots=True, eq=False)
class Pass:
    """One forward pass under the rules.

    Attributes:
        is_softmax_constant: `token-lrp`; else `attnlrp`.
        attentions: how many softmaxes over more than two axes, and fused attentions, ran.
        has_tokens: whether a linear layer or a norm has worked on the features of tokens.
        gates: results of activations, also scaled, shifted or viewed → how surely each is a gate, > 0.
    """

    is_softmax_constant: bool = True
    attentions: int = 0
    has_tokens: bool = False
    gates: Any = field(default_factory=WeakTensorKeyDictionary)

    def pass_on(self, result: Any, inputs: Iterable[Any]) -> None:
        """Note a result as a gate if it is computed from gates and constants alone."""
        strength = min((self.strength(value) for value in inputs if depends(value)), default=0)
        for part in result if isinstance(result, tuple | list) else [result]:
            if strength and isinstance(part, Tensor):
                self.gates[part] = strength

    def strength(self, value: Any) -> int:
        """How surely a value is a gate; 0: it is none."""
        return int(self.gates.get(value, 0)) if isinstance(value, Tensor) else 0


Rule = Callable[[Pass, Function, Arguments, Named], Any]


def depends(value: Any) -> bool:
    """Whether a value is computed from the layer."""
    return isinstance(value, Tensor) and value.requires_grad


def is_of_tokens(values: Any) -> bool:
    """Whether a tensor (..., D) has more than one position for each row of the batch."""
    return isinstance(values, Tensor) and values.ndim > 2 and values[0, ..., 0].numel() > 1
