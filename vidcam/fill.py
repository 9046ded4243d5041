"""What hidden pixels become, in the measures and in the map video: the fill is named in every result."""

from __future__ import annotations

from typing import Literal, get_args

Fill = Literal["black", "mean", "blur", "frame-mean"]
"""`black`: pixel 0 (GC++); `mean`: the dataset's mean colour; `blur`: the frame blurred; `frame-mean`: its own mean."""

FILLS: tuple[Fill, ...] = get_args(Fill)

BLUR_SHARE = 10 / 224
"""Standard deviation of the blur as a share of the frame's shorter side (sigma 10 at 224, Fong and Vedaldi 2017)."""
