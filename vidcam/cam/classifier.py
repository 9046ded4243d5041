"""The weights of a linear classifier behind global average pooling, for the method `cam`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidcam.cam.weights import at_least_float32
from vidcam.errors import InputError

_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest difference of W·mean(A) + b from the logits, relative to the sum of the terms' absolute values."""


def classifier_weights(network: nn.Module, activations: Tensor, scores: Tensor) -> Tensor:
    """Return the weights W of a linear classifier, for `cam` (GC++ eq. 1–2).

    W exists if the head is global average pooling and one linear layer: S = W·mean(A) + b. This is checked on the given
    clips.

    Args:
        network: the network without wrappers. The last layer that fits is used: linear, or a convolution with kernels
            of one cell.
        activations: A, (N, D, t, h, w).
        scores: S, (N, K).

    Returns:
        (K, D).

    Raises:
        InputError: no such layer explains the scores.
    """
    pooled = at_least_float32(activations).flatten(2).mean(dim=2)
    rounding = _ROUNDING.get(activations.dtype, 2e-2)
    for module in reversed(list(network.modules())):
        weight = _linear_weight(module)
        if weight is None or weight.shape != (scores.shape[1], activations.shape[1]):
            continue
        weight = weight.detach().to(pooled)
        given = getattr(module, "bias", None)
        bias = weight.new_zeros(len(weight)) if given is None else given.detach().to(pooled)
        sizes = pooled.abs() @ weight.abs().T + bias.abs()
        if float((pooled @ weight.T + bias - scores.detach()).abs().max()) <= rounding * float(sizes.max()):
            return weight
    raise InputError("cam needs global average pooling and one linear layer after the target layer; use gradcam")


def _linear_weight(module: nn.Module) -> Tensor | None:
    """(K, D) of a linear layer or a convolution of one cell; None for all else."""
    if isinstance(module, nn.Linear):
        return module.weight
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and module.groups == 1:
        return module.weight.flatten(1) if max(module.kernel_size) == 1 else None
    return None
