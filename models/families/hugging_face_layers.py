"""Layers of the video networks of Hugging Face: where a class activation map is read, and the order of its tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from vidcam.spec import Layout, TokenGrid

Sizes = tuple[int, int, int]
Layouts = Layout | tuple[Layout, ...]


@dataclass(frozen=True, slots=True)
class Architecture:
    """What transformers' config does not say of an architecture.

    Attributes:
        layer: function from the config to the default layer's name: the last norm before attention, where every token
            still has a gradient of its own. None: found by a forward pass.
        layout: function from the config and the input's (T, H, W) to the layout of the layer's output.
        fps: frames a second of the published accuracy or of the pretraining; None: not published.
        frames: frames of a clip, if neither the config nor the processor states them.
    """

    layer: Callable[[Any], str | None]
    layout: Callable[[Any, Sizes], Layouts | None]
    fps: Fraction | None = None
    frames: int | None = None


def frames_of(config: Any) -> int | None:
    """Return the number of frames that a config states; None if it states none."""
    vision = getattr(config, "vision_config", config)
    return getattr(vision, "num_frames", None) or getattr(vision, "frames_per_clip", None)


def _grid(config: Any, size: Sizes) -> Sizes:
    """Return the tokens (t, h, w) of a clip (T, H, W)."""
    config = getattr(config, "vision_config", config)
    tube = getattr(config, "tubelet_size", 1)
    patch = tuple(tube) if isinstance(tube, list | tuple) else (tube, *_pair(config.patch_size))
    return size[0] // patch[0], size[1] // patch[1], size[2] // patch[2]


def _pair(side: Any) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else (side[0], side[-1])


def _frame_by_frame(config: Any, size: Sizes, *, class_tokens: int) -> Layouts:
    return TokenGrid(_grid(config, size)[1:], class_tokens), "frames"


def _timesformer_layout(config: Any, size: Sizes) -> Layouts:
    """Time is the fastest axis of the tokens, unless attention is divided: then the norm sees single frames."""
    if config.attention_type == "joint_space_time":
        return TokenGrid(_grid(config, size), 1, "hwt")
    return _frame_by_frame(config, size, class_tokens=1)


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "videomae": Architecture(
            lambda config: f"videomae.encoder.layer.{config.num_hidden_layers - 1}.layernorm_before",
            lambda config, size: TokenGrid(_grid(config, size), 0),
            Fraction(15, 2),  # 16 frames, every fourth of 30 a second
            frames=16,
        ),
        "timesformer": Architecture(
            lambda config: f"timesformer.encoder.layer.{config.num_hidden_layers - 1}.layernorm_before",
            _timesformer_layout,
            Fraction(15, 16),  # 8 frames, every 32nd of 30 a second
        ),
        "vivit": Architecture(
            lambda config: f"vivit.layers.{config.num_hidden_layers - 1}.layernorm_before",
            lambda config, size: TokenGrid(_grid(config, size), 1),
            Fraction(25, 2),  # 32 frames, every second of 25 a second
        ),
        "vjepa2": Architecture(
            lambda _: "vjepa2.encoder.layernorm",  # what the attentive pooler reads
            lambda config, size: TokenGrid(_grid(config, size), 0),
            Fraction(4),  # of the pretraining
        ),
        "videoprism_vision_model": Architecture(
            lambda _: "vision_model.layernorm1",  # after it the tokens are grouped by place
            lambda config, size: _frame_by_frame(config, size, class_tokens=0),
        ),
        "xclip": Architecture(  # the last block's norm sees one more token, the message of the other frames
            lambda config: f"network.vision_model.encoder.layers.{config.vision_config.num_hidden_layers - 2}",
            lambda config, size: _frame_by_frame(config, size, class_tokens=1),
            Fraction(4, 5),  # 8 frames of a clip of 10 s
        ),
        "clip": Architecture(
            lambda config: (
                f"network.vision_model.encoder.layers.{config.vision_config.num_hidden_layers - 1}.layer_norm1"
            ),
            lambda config, size: _frame_by_frame(config, size, class_tokens=1),
            Fraction(5),
            frames=8,
        ),
    }
)
"""Architectures by the config's model_type."""

UNKNOWN = Architecture(layer=lambda _config: None, layout=lambda _config, _size: None)
"""Any other."""
