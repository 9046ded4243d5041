"""Evidence on footage: the overlay, the outline of what the model saw, and the explanation map.

Frames are (H, W, 3) uint8 RGB. `view` is what the model saw, as (rows, columns) slices of the frame (see
`Geometry.view_slices`), and `heat` is (h', w') float32 in [0, 1], one value for each pixel of the view, already
upsampled: quantising to 256 steps happens last. Outside the view the overlay leaves the frame alone. No input is ever
modified.

The overlay is the hot path, one call a source frame. Heat has 256 steps and a pixel 256 values, so every possible
answer is worked out once, rounded exactly, in a table of 64 KB a channel; a frame is then three look-ups a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFilter

from vidcam.errors import InputError, ShapeError
from vidcam.fill import BLUR_SHARE, FILLS, Fill
from vidcam.maps import upsample_volume
from vidcam.render.colormap import DEFAULT_COLOURS, ColourTable, colour_table

Frame = NDArray[np.uint8]
Heat = NDArray[np.float32]
View = tuple[slice, slice]

_ROWS_AT_ONCE = 32  # a block of rows stays in the processor's cache; 16 to 64 measure the same at 1080p
_TOLERANCE = 1e-3  # of heat beyond [0, 1], for rounding in float32; less than half a step of 1/255


class Overlay:
    """Draws evidence over frames; what depends on the colours and the opacity alone is worked out here, once.

    A pixel becomes `a * colour(heat) + (1 - a) * pixel`, rounded, with `a = opacity * heat`; heat 0 leaves it alone.

    Args:
        table: (256, 3) uint8, colour of evidence q / 255; see `colour_table`.
        opacity: share of the colour where the evidence is 1, in [0, 1].

    Raises:
        ShapeError: the table is not (256, 3) uint8.
        InputError: the opacity is not in [0, 1].
    """

    __slots__ = ("_answers",)

    def __init__(self, table: ColourTable, *, opacity: float = 0.6) -> None:
        if table.shape != (256, 3) or table.dtype != np.uint8:
            raise ShapeError(f"a colour table must be (256, 3) uint8, got {table.shape = }, {table.dtype = }")
        if not 0.0 <= opacity <= 1.0:
            raise InputError(f"opacity is {opacity}, it must be in [0, 1]; 0.6 shows both evidence and footage")
        alpha = np.linspace(0.0, opacity, 256)[:, None, None]
        pixels = np.arange(256)[None, :, None]
        answers = np.floor(alpha * table[:, None, :] + (1.0 - alpha) * pixels + 0.5).astype(np.uint8)
        self._answers = np.ascontiguousarray(np.moveaxis(answers, -1, 0)).reshape(
            3, 256 * 256
        )  # [channel, heat * 256 + pixel]

    def blend(self, frame: Frame, heat: Heat, view: View) -> Frame:
        """The frame with the evidence over it.

        Args:
            frame: (H, W, 3) uint8.
            heat: (h', w') float32 in [0, 1], on the pixels of `view`.
            view: what the model saw, (rows, columns).

        Returns:
            (H, W, 3) uint8, a new array.

        Raises:
            ShapeError: shapes, dtypes or the heat's range are not as above.
        """
        check_frame(frame, view, heat)
        result = frame.copy()
        seen = result[view]
        for rows in _row_blocks(len(heat)):
            steps = (heat[rows] * np.float32(255.0) + np.float32(0.5)).astype(np.intp)
            steps <<= 8
            places, found = np.empty_like(steps), np.empty(steps.shape, np.uint8)
            for channel, answers in enumerate(self._answers):
                np.add(steps, seen[rows, :, channel], out=places)
                np.take(answers, places, out=found, mode="clip")  # 2.6 times as quick as indexing; nothing is clipped
                seen[rows, :, channel] = found
        return result


def overlay(
    frames: NDArray[Any], heat: ArrayLike, *, colormap: str = DEFAULT_COLOURS, opacity: float = 0.6
) -> NDArray[np.uint8]:
    """Draw a heat over frames.

    Args:
        frames: (T, H, W, 3) or (H, W, 3), RGB: uint8, or floats in [0, 1].
        heat: (t, h, w) or (h, w) in [0, 1], as `Explanation.heat` gives for one clip; upsampled to the frames.
        colormap: name of a colour map of matplotlib.
        opacity: largest opacity of the overlay, in [0, 1].

    Returns:
        (T, H, W, 3) uint8, or (H, W, 3) for one frame.

    Raises:
        ShapeError: the frames or the heat have another shape or range.
        InputError: an unknown colour map or an opacity outside [0, 1].
    """
    values = np.asarray(heat, dtype=np.float32)
    if frames.ndim not in (3, 4) or frames.shape[-1] != 3 or values.ndim != frames.ndim - 1:
        raise ShapeError(
            f"frames must be (T, H, W, 3) and heat (t, h, w), got {tuple(frames.shape)} and {values.shape}"
        )
    if frames.dtype != np.uint8:
        if not 0.0 <= float(frames.min()) <= float(frames.max()) <= 1.0:
            raise ShapeError("frames of floats must be in [0, 1]")
        frames = np.round(frames * 255.0).astype(np.uint8)
    painter = Overlay(colour_table(colormap), opacity=opacity)
    clip = frames if frames.ndim == 4 else frames[None]
    volume = upsample_volume(values if values.ndim == 3 else values[None], clip.shape[:3])
    view = (slice(0, clip.shape[1]), slice(0, clip.shape[2]))
    drawn = np.stack([painter.blend(frame, plane, view) for frame, plane in zip(clip, volume, strict=True)])
    return drawn if frames.ndim == 4 else drawn[0]


def outline(frame: Frame, view: View, *, thickness_px: int | None = None) -> Frame:
    """The frame with a thin border just inside the model's view: white on black, to be seen on any footage.

    Sides on which the view reaches the frame's border get no line; there is nothing outside to tell apart.

    Args:
        frame: (H, W, 3) uint8.
        view: what the model saw, (rows, columns).
        thickness_px: of the white line and of the black one around it; by default 1 for each 360 rows of the frame.

    Returns:
        (H, W, 3) uint8, a new array.
    """
    result = frame.copy()
    draw_outline(result, view, thickness_px=thickness_px)
    return result


def draw_outline(result: Frame, view: View, *, thickness_px: int | None = None) -> None:
    """Draw the border of `outline` into a frame, in place."""
    check_frame(result, view)
    thickness = max(1, result.shape[0] // 360) if thickness_px is None else thickness_px
    if thickness < 1:
        raise InputError(f"thickness_px is {thickness}, it must be >= 1; leave it out for one that suits the frame")
    for colour, band in ((0, slice(0, thickness)), (255, slice(thickness, 2 * thickness))):
        for strip in _ring(result.shape[:2], view, band):
            result[strip] = (result[strip].astype(np.uint16) + colour + 1) // 2


def explanation_map(
    frame: Frame,
    heat: Heat,
    view: View,
    *,
    fill: Fill = "black",
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Frame:
    """What the model used of the frame: E = L * I + (1 - L) * fill, in pixels (eq. 25, arXiv:1710.11063).

    Args:
        frame: I, (H, W, 3) uint8.
        heat: L, (h', w') float32 in [0, 1], on the pixels of `view`; outside the view L is 0.
        view: what the model saw, (rows, columns).
        fill: what stands where nothing was used: black, `mean_rgb`, the blurred view (a Gaussian of sigma = shorter
            side * 10 / 224 pixels), or the view's own mean colour, as the measures hide; outside the view, the same of
            the whole frame.
        mean_rgb: the colour of `fill="mean"`, in [0, 255]; the mean of the model's data set.

    Returns:
        (H, W, 3) uint8, rounded, a new array.

    Raises:
        ShapeError: as in `Overlay.blend`.
        InputError: an unknown fill.
    """
    check_frame(frame, view, heat)
    around = _filled(frame, fill, mean_rgb)
    result = np.broadcast_to(np.floor(around + np.float32(0.5)), frame.shape).astype(np.uint8)
    seen_result, seen_frame = result[view], frame[view]
    seen_ground = np.broadcast_to(_filled(seen_frame, fill, mean_rgb), seen_frame.shape)
    for rows in _row_blocks(len(heat)):
        for channel in range(3):
            behind = seen_ground[rows, :, channel]
            mixed = seen_frame[rows, :, channel] - behind  # float32
            mixed *= heat[rows]
            mixed += behind
            mixed += np.float32(0.5)
            seen_result[rows, :, channel] = np.clip(mixed, 0.0, 255.0)
    return result


def _filled(frame: Frame, fill: Fill, mean_rgb: tuple[float, float, float]) -> NDArray[np.float32]:
    """The fill, (3,) or (H, W, 3) float32."""
    if fill == "black":
        return np.zeros(3, dtype=np.float32)
    if fill == "mean":
        return np.clip(np.asarray(mean_rgb, dtype=np.float32), 0.0, 255.0)
    if fill == "frame-mean":
        column_sums = frame.sum(axis=0, dtype=np.uint32)  # (W, 3); three times as quick as a mean over both axes
        return np.asarray(column_sums.sum(axis=0) / (frame.shape[0] * frame.shape[1]), dtype=np.float32)
    if fill == "blur":
        sigma = min(frame.shape[:2]) * BLUR_SHARE
        return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(sigma)), dtype=np.float32)
    raise InputError(f"fill is {fill!r}, it must be one of {', '.join(FILLS)}; choose one of them")


def _row_blocks(height: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, height, _ROWS_AT_ONCE))


def _ring(size: tuple[int, ...], view: View, band: slice) -> Iterator[View]:
    """Rectangles of the pixels whose distance from the view's border lies in the band, each pixel in one of them."""
    rows, columns = (_inset(side, length, band.start) for side, length in zip(view, size, strict=True))
    inner_rows, inner_columns = (_inset(side, length, band.stop) for side, length in zip(view, size, strict=True))
    yield slice(rows.start, inner_rows.start), columns
    yield slice(inner_rows.stop, rows.stop), columns
    yield inner_rows, slice(columns.start, inner_columns.start)
    yield inner_rows, slice(inner_columns.stop, columns.stop)


def _inset(side: slice, length: int, by_px: int) -> slice:
    """The side without its outer pixels, where it has a border; it ends in its middle at the least."""
    middle = (side.start + side.stop) // 2
    start = min(side.start + by_px, middle) if side.start > 0 else side.start
    stop = max(side.stop - by_px, middle) if side.stop < length else side.stop
    return slice(start, stop)


def check_frame(frame: Frame, view: View, heat: Heat | None = None) -> None:
    """Refuse what does not belong together.

    Raises:
        ShapeError: shapes, dtypes or the heat's range are not as the module says.
    """
    if frame.ndim != 3 or frame.shape[-1] != 3 or frame.dtype != np.uint8:
        raise ShapeError(f"a frame must be (H, W, 3) uint8, got {frame.shape = }, {frame.dtype = }")
    for side, length in zip(view, frame.shape, strict=False):
        if side.step not in (None, 1) or not 0 <= side.start < side.stop <= length:
            raise ShapeError(f"the view must be a pair of slices inside the frame, got {view = } with {frame.shape = }")
    if heat is None:
        return
    expected = tuple(side.stop - side.start for side in view)
    if heat.shape != expected or heat.dtype != np.float32:
        raise ShapeError(f"heat must be {expected} float32, as the view, got {heat.shape = }, {heat.dtype = }")
    low, high = float(heat.min()), float(heat.max())
    if not (low >= -_TOLERANCE and high <= 1.0 + _TOLERANCE):  # NaN is neither
        raise ShapeError(f"heat must be in [0, 1], got {low} to {high}; normalise it first")
