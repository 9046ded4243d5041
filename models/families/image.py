"""Image networks as video networks of one frame."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vidcam.errors import ShapeError


def image_network(network: nn.Module) -> nn.Module:
    """Let an image network, which takes (N, 3, H, W), take clips of one frame as well, (N, 3, 1, H, W).

    Its layers keep their names and their outputs, (N, D, h, w); the spec's layout 'frames' puts the time axis back.

    Args:
        network: is given a hook that drops the time axis of five-dimensional input; images it takes as before.

    Returns:
        The same network.
    """
    network.register_forward_pre_hook(_without_time)
    return network


def _without_time(_network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    clip = inputs[0]
    if not isinstance(clip, Tensor) or clip.ndim != 5:
        return inputs
    if clip.shape[2] != 1:
        raise ShapeError(
            f"an image network was given clips {tuple(clip.shape)}, expected (N, 3, 1, H, W); let its spec have 1 frame"
        )
    return (clip.squeeze(2), *inputs[1:])
