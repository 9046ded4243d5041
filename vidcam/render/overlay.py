"""Draw evidence on frames: the overlay, the outline of the model's view, and the explanation map.

Frames are (H, W, 3) uint8 RGB. `view` is the region of the frame that the model saw, as (rows, columns) slices (see
`Geometry.view_slices`). `heat` is (h', w') float32 in [0, 1], one value per pixel of the view. It is upsampled before,
so that rounding to 256 steps comes last. The overlay does not change pixels outside the view. Only `draw_outline`
modifies its input.

The overlay runs once for every frame, so it must be fast. Heat has 256 steps and a pixel has 256 values. Therefore all
possible results are computed once into a lookup table of 64 KB per channel. A frame then takes three lookups per pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFilter

from vidcam.errors import InputError, ShapeError
from vidcam.fill import BLUR_SHARE, Fill
from vidcam.maps import upsample_volume
from vidcam.render.colormap import DEFAULT_COLOURS, ColourTable, colour_table

Frame = NDArray[np.uint8]
Heat = NDArray[np.float32]
View = tuple[slice, slice]

OPACITY = 0.65
"""Largest opacity of the overlay: where the evidence is 1."""

FADE = 0.25
"""Evidence below which the overlay fades out."""

GROUND = 128
"""Grey of the frame for which `drawn_colours` shows the colours."""

_BLOCK_PIXELS = 64 * 1024  # its buffers of 0.8 MB fit into the CPU cache; small blocks cost calls
_TOLERANCE = 1e-3  # how far heat may exceed [0, 1] by rounding in float32; less than half a step of 1/255


def opacity_curve(largest: float) -> NDArray[np.float64]:
    """Return the opacity of each of the 256 steps of heat, (256,).

    a = largest · (1 + heat) / 2 · s(heat / FADE), where s(x) = x³ (6x² - 15x + 10) up to x = 1, and 1 above. So heat of
    0.25 already has 0.62 of the largest opacity, and heat below 0.02 less than 0.003 of it.
    """
    heat = np.linspace(0.0, 1.0, 256)
    x = np.minimum(heat / FADE, 1.0)
    curve: NDArray[np.float64] = largest * (1.0 + heat) / 2.0 * x**3 * (x * (6.0 * x - 15.0) + 10.0)
    return curve


def blend_table(table: ColourTable, opacities: NDArray[np.float64], values: range = range(256)) -> NDArray[np.uint8]:
    """Compute all results of blending, (3, 256, V) uint8: [channel, step of heat, pixel].

    Args:
        table: (256, 3) uint8, the colour of each step of heat.
        opacities: (256,) in [0, 1], the opacity of each step.
        values: V values of pixels.
    """
    alpha, pixels = opacities[:, None, None], np.array(values)[None, :, None]
    blended = np.floor(alpha * table[:, None, :] + (1.0 - alpha) * pixels + 0.5).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(blended, -1, 0))


def drawn_colours(table: ColourTable, opacity: float = OPACITY) -> ColourTable:
    """Return the colours as an overlay draws them over mid-grey, (256, 3) uint8; a colour bar shows these."""
    return np.ascontiguousarray(blend_table(table, opacity_curve(opacity), range(GROUND, GROUND + 1))[:, :, 0].T)


class Overlay:
    """Draw evidence over frames. The constructor computes the lookup table.

    A pixel becomes `a * colour(heat) + (1 - a) * pixel`, rounded, where a is the `opacity_curve` at this heat. Heat 0
    does not change it.

    Args:
        table: colour table, (256, 3) uint8; see `colour_table`.
        opacity: weight of the colour where the evidence is 1, in [0, 1].

    Raises:
        InputError: the opacity is not in [0, 1].
    """

    __slots__ = ("_lookup",)

    def __init__(self, table: ColourTable, *, opacity: float = OPACITY) -> None:
        if not 0.0 <= opacity <= 1.0:
            raise InputError(f"opacity must be in [0, 1], got {opacity}")
        self._lookup = blend_table(table, opacity_curve(opacity)).reshape(3, 256 * 256)

    def blend(self, frame: Frame, heat: Heat, view: View) -> Frame:
        """Draw the evidence over a frame, in a new array.

        Raises:
            ShapeError: the heat is not in [0, 1].
        """
        result = frame.copy()
        view_pixels = result[view]
        size = (min(heat.shape[0], _rows_of_block(heat.shape[1])), heat.shape[1])
        buffers = np.zeros((*size, 8), np.uint8), np.empty(size, np.uint8), np.empty(size, np.float32)
        for rows in _row_blocks(heat.shape):
            parts, values, steps = (buffer[: rows.stop - rows.start] for buffer in buffers)
            indices = parts.view("<i8")[..., 0]  # its lowest byte is the pixel, the next one the step of heat
            np.multiply(in_unit_range(heat[rows]), np.float32(255.0), out=steps)
            steps += np.float32(0.5)
            parts[..., 1] = steps
            for channel, lookup in enumerate(self._lookup):
                parts[..., 0] = view_pixels[rows, :, channel]
                lookup.take(indices, out=values, mode="clip")  # faster than indexing; never clips
                view_pixels[rows, :, channel] = values
        return result


def overlay(
    frames: NDArray[Any], heat: ArrayLike, *, colormap: str = DEFAULT_COLOURS, opacity: float = OPACITY
) -> NDArray[np.uint8]:
    """Draw heat over the frames of one clip.

    Args:
        frames: (T, H, W, 3) or (H, W, 3), RGB: uint8, or floats in [0, 1].
        heat: (t, h, w) or (h, w) in [0, 1], for example one clip of `Explanation.heat`. It is upsampled to the frames.
        colormap: `vidcam`, or the name of one of matplotlib's colour maps.
        opacity: largest opacity of the overlay, in [0, 1].

    Returns:
        (T, H, W, 3) uint8, or (H, W, 3) for one frame.

    Raises:
        ShapeError: frames or heat have a wrong shape or range.
        InputError: the colour map is unknown, or the opacity is not in [0, 1].
    """
    values = np.asarray(heat, dtype=np.float32)
    is_empty = 0 in (frames.size, values.size)
    if is_empty or frames.ndim not in (3, 4) or frames.shape[-1] != 3 or values.ndim != frames.ndim - 1:
        raise ShapeError(
            f"frames must be (T, H, W, 3) and heat (t, h, w), got {tuple(frames.shape)} and {values.shape}"
        )
    if frames.dtype != np.uint8:
        if not 0.0 <= float(frames.min()) <= float(frames.max()) <= 1.0:
            raise ShapeError("frames of floats must be in [0, 1]; convert pixel values to uint8")
        frames = np.round(frames * 255.0).astype(np.uint8)
    blender = Overlay(colour_table(colormap), opacity=opacity)
    clip = frames if frames.ndim == 4 else frames[None]
    volume = upsample_volume(values if values.ndim == 3 else values[None], clip.shape[:3])
    view = (slice(0, clip.shape[1]), slice(0, clip.shape[2]))
    blended = np.stack([blender.blend(frame, plane, view) for frame, plane in zip(clip, volume, strict=True)])
    return blended if frames.ndim == 4 else blended[0]


def draw_outline(frame: Frame, view: View) -> None:
    """Draw a thin border just inside the model's view, in place: a white line inside a black one, visible on any frame.

    A side of the view on the edge of the frame gets no line. Each line is H // 360 pixels thick, at least 1.
    """
    edges = tuple((side.start, side.stop) for side in view)
    black, white = _outline(frame.shape[:2], edges)
    for side in black:
        frame[side] -= frame[side] // 2
    for side in white:
        frame[side] //= 2
        frame[side] += 128


def explanation_map(
    frame: Frame,
    heat: Heat,
    view: View,
    *,
    fill: Fill = "black",
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Frame:
    """Draw the explanation map: the frame where there is evidence, and a fill elsewhere.

    E = L * I + (1 - L) * fill (arXiv:1710.11063, eq. 25), in pixels: I is the frame, L the heat, 0 outside the view.

    The fill is 'black'; 'mean', which is `mean_rgb` in [0, 255], the mean of the model's data set; 'blur', the view
    blurred by a Gaussian of sigma = shorter side * 10 / 224 pixels; or 'frame-mean', the mean colour of the view.
    Outside the view it is computed from the whole frame.

    Raises:
        ShapeError: as in `Overlay.blend`.
    """
    outside_fill = _compute_fill(frame, fill, mean_rgb)
    result = np.broadcast_to(np.floor(outside_fill + np.float32(0.5)), frame.shape).astype(np.uint8)
    view_result, view_frame = result[view], frame[view]
    view_fill = np.broadcast_to(_compute_fill(view_frame, fill, mean_rgb), view_frame.shape)
    for rows in _row_blocks(heat.shape):
        evidence = in_unit_range(heat[rows])
        for channel in range(3):
            channel_fill = view_fill[rows, :, channel]
            mixed = view_frame[rows, :, channel] - channel_fill  # float32
            mixed *= evidence
            mixed += channel_fill
            mixed += np.float32(0.5)
            view_result[rows, :, channel] = np.clip(mixed, 0.0, 255.0)
    return result


def _compute_fill(frame: Frame, fill: Fill, mean_rgb: tuple[float, float, float]) -> NDArray[np.float32]:
    """Compute the fill, (3,) or (H, W, 3) float32."""
    if fill == "black":
        return np.zeros(3, dtype=np.float32)
    if fill == "mean":
        return np.clip(np.asarray(mean_rgb, dtype=np.float32), 0.0, 255.0)
    if fill == "frame-mean":
        column_sums = frame.sum(axis=0, dtype=np.uint32)  # (W, 3); three times as fast as a mean over both axes
        return np.asarray(column_sums.sum(axis=0) / (frame.shape[0] * frame.shape[1]), dtype=np.float32)
    sigma = min(frame.shape[:2]) * BLUR_SHARE
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(sigma)), dtype=np.float32)


def _row_blocks(size: tuple[int, ...]) -> Iterator[slice]:
    height, width = size
    rows = _rows_of_block(width)
    return (slice(start, min(start + rows, height)) for start in range(0, height, rows))


def _rows_of_block(width: int) -> int:
    return max(1, _BLOCK_PIXELS // width)


@lru_cache(maxsize=8)
def _outline(size: tuple[int, ...], edges: tuple[tuple[int, int], ...]) -> tuple[tuple[View, ...], ...]:
    """Return the rectangles of the black and of the white line; every frame of a video has the same."""
    thickness, (rows, columns) = max(1, size[0] // 360), (slice(*side) for side in edges)
    return tuple(tuple(_ring(size, (rows, columns), slice(n * thickness, (n + 1) * thickness))) for n in range(2))


def _ring(size: tuple[int, ...], view: View, band: slice) -> Iterator[View]:
    """Yield disjoint rectangles that cover the pixels whose distance from the view's border is in the band."""
    rows, columns = (_inset(side, length, band.start) for side, length in zip(view, size, strict=True))
    inner_rows, inner_columns = (_inset(side, length, band.stop) for side, length in zip(view, size, strict=True))
    for part in (slice(rows.start, inner_rows.start), slice(inner_rows.stop, rows.stop)):
        if part.start < part.stop:
            yield part, columns
    for part in (slice(columns.start, inner_columns.start), slice(inner_columns.stop, columns.stop)):
        if part.start < part.stop:
            yield inner_rows, part


def _inset(side: slice, length: int, distance_px: int) -> slice:
    """Shrink the side at both ends by a distance, at most to its middle. An end on the frame's edge stays."""
    middle = (side.start + side.stop) // 2
    start = min(side.start + distance_px, middle) if side.start > 0 else side.start
    stop = max(side.stop - distance_px, middle) if side.stop < length else side.stop
    return slice(start, stop)


def in_unit_range(heat: Heat) -> Heat:
    """Return heat, or a part of it, unchanged. Parts are checked where they are used, in the processor's cache.

    Raises:
        ShapeError: the heat is not in [0, 1].
    """
    low, high = float(heat.min()), float(heat.max())
    if not (low >= -_TOLERANCE and high <= 1.0 + _TOLERANCE):  # also refuses NaN
        raise ShapeError(f"heat must be in [0, 1], got {low} to {high}; normalise it first")
    return heat
