"""Run an image network on clips: of one frame, or as a mean over the frames."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vidcam.errors import ShapeError


def image_network(network: nn.Module) -> nn.Module:
    """Make an image network, which takes (N, 3, H, W), also accept clips of one frame, (N, 3, 1, H, W).

    The layers keep their names and their outputs, (N, D, h, w). Set `layout="frames"` in the spec to restore the time
    axis.

    Args:
        network: the image network. It gets a forward pre-hook that removes the time axis of a 5-D input. A 4-D input
            is unchanged.

    Returns:
        The same network.
    """
    network.register_forward_pre_hook(_remove_time_axis)
    return network


class FrameAverage(nn.Module):
    """An image network on clips (N, T, 3, H, W): its logits are the mean over the frames.

    Attributes:
        network: from images (N·T, 3, H, W) to logits (N·T, K).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clip: Tensor) -> Tensor:
        """Return logits (N, K)."""
        logits: Tensor = self.network(clip.flatten(0, 1))
        return logits.reshape(*clip.shape[:2], -1).mean(dim=1)


def _remove_time_axis(_network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    clip = inputs[0]
    if not isinstance(clip, Tensor) or clip.ndim != 5:
        return inputs
    if clip.shape[2] != 1:
        raise ShapeError(
            f"an image network takes clips (N, 3, 1, H, W), got {tuple(clip.shape)}; set frames=1 in the spec"
        )
    return (clip.squeeze(2), *inputs[1:])
