"""From a model's layout, which is data, to the function that the core takes."""

from __future__ import annotations

from vidcam.cam.reshape import Reshape, channels_last, frames, in_turn, tokens
from vidcam.spec import Layout, ModelSpec, TokenGrid


def reshape_of(spec: ModelSpec) -> Reshape | None:
    """Layer output → (N, D, t, h, w) for this model; None where that is what its layers return."""
    steps = [_step(layout, spec.frames) for layout in spec.layouts]
    return in_turn(steps) if steps else None


def _step(layout: Layout, frame_count: int) -> Reshape:
    if isinstance(layout, TokenGrid):
        return tokens(layout.grid, class_tokens=layout.class_tokens)
    return channels_last if layout == "channels-last" else frames(frame_count)
