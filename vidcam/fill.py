"""Fills: what replaces hidden pixels, in the measures and in map videos. Every result names its fill."""

from __future__ import annotations

from typing import Literal, get_args

Fill = Literal["black", "mean", "blur", "frame-mean"]
"""`black`: pixel value 0 (GC++); `mean`: the dataset's mean colour; `blur`: the blurred frame; `frame-mean`: the
frame's mean colour."""

FILLS: tuple[Fill, ...] = get_args(Fill)

ScoreFill = Literal[Fill, "infill"]
"""The fills of `score`: those above, and `infill`, imputed from the visible pixels; see `vidcam.metrics.infill`."""

SCORE_FILLS: tuple[ScoreFill, ...] = (*FILLS, "infill")

BLUR_SHARE = 10 / 224
"""Standard deviation of the blur as a share of the frame's shorter side (sigma 10 at 224, Fong and Vedaldi 2017)."""
