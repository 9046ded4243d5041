"""The way back from the model's input to the source, from the corners of the view alone."""

from __future__ import annotations

from vidcam.geometry import Geometry


def to_source(geometry: Geometry, y_px: float, x_px: float) -> tuple[float, float]:
    """Position (y, x) in the model's input → source position."""
    top, left, bottom, right = geometry.view_box
    height, width = geometry.crop_size
    return top + y_px * (bottom - top) / height, left + x_px * (right - left) / width
