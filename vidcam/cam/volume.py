"""From channel weights to a raw map: relu(Σ_d w_d · A_d) on the feature grid (GC++ eq. 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from vidcam.cam.weights import at_least_float32
from vidcam.errors import ShapeError


def combine(weights: Tensor, activations: Tensor) -> Tensor:
    """The raw class activation map, before upsampling and normalising.

    Args:
        weights: w, (N, D).
        activations: A, (N, D, t, h, w).

    Returns:
        (N, t, h, w), >= 0, float32 (float64 for float64 activations).

    Raises:
        ShapeError: N or D differ.
    """
    if weights.shape != activations.shape[:2]:
        raise ShapeError(f"weights must be (N, D) of activations, got {weights.shape = }, {activations.shape = }")
    values = at_least_float32(activations)
    flat = torch.bmm(weights.unsqueeze(1).to(values.dtype), values.flatten(2))  # (N, 1, t·h·w)
    return flat.view(values.shape[0], *values.shape[2:]).relu()
