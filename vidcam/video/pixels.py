"""Convert between stored video frames and (H, W, 3) uint8 RGB as displayed: colour and orientation.

For reading, the colour matrix and range come from the frame's tags. An untagged frame has limited range; it is BT.601
below 720 rows and BT.709 from 720 rows on, as in Chromium. (swscale takes BT.601 for all.) PQ and HLG are tone-mapped
(`hdr`). Transparent pixels are composited on black. Frames of odd size are converted at the next even size: their last
chroma sample covers one pixel instead of two, but swscale spreads all samples evenly over the frame. For writing, the
colours are always BT.709 in limited range, with tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import ExifTags, Image

from vidcam.media import Frames
from vidcam.video.hdr import ToneMapper, Transfer

# AVColorSpace, AVColorPrimaries and AVColorTransferCharacteristic share these numbers. PyAV exposes plain integers.
BT709 = 1
UNSPECIFIED = 2
BT2020_PRIMARIES = 9
HDR_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}

# SWS_BILINEAR | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND | SWS_BITEXACT. With these flags, colour bars are off by at most
# 1 instead of 2, chroma is interpolated instead of repeated, and the result does not depend on the CPU's vector unit.
_SCALER_FLAGS = 0x2 | 0x2000 | 0x40000 | 0x80000

# SWS_AREA | SWS_FULL_CHR_H_INP | SWS_ACCURATE_RND | SWS_BITEXACT. A chroma sample is the mean of its two by two pixels,
# off by at most half a step. SWS_BILINEAR averages over more pixels, takes 1.7 times as long, and is off by 3 and more
# at edges of colour.
_ENCODER_FLAGS = 0x20 | 0x4000 | 0x40000 | 0x80000

_HD_ROWS = 720

_DEGREE = 0.0175
"""Tangent of one degree."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored rows and columns become displayed ones.

    Attributes:
        is_swapped: whether rows and columns are swapped; this comes first.
        is_flipped_vertically: whether the rows are reversed.
        is_flipped_horizontally: whether the columns are reversed.
        rotation_degrees: the counter-clockwise rotation, 0, 90, 180 or 270.
        note: a sentence if the file asks for another turn than this, without a full stop.
    """

    is_swapped: bool = False
    is_flipped_vertically: bool = False
    is_flipped_horizontally: bool = False
    rotation_degrees: int = 0
    note: str = ""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the displayed (height, width) of a stored frame."""
        return (width, height) if self.is_swapped else (height, width)

    def apply(self, frame: Frames) -> Frames:
        """Turn a stored frame (H, W, 3) as it is displayed; the result is contiguous."""
        oriented = frame.swapaxes(0, 1) if self.is_swapped else frame
        oriented = oriented[::-1] if self.is_flipped_vertically else oriented
        oriented = oriented[:, ::-1] if self.is_flipped_horizontally else oriented
        return np.ascontiguousarray(oriented)


def read_orientation(frame: VideoFrame, path: str) -> Orientation:
    """Return the quarter turn or reflection nearest to the frame's display matrix.

    The matrix [a b; c d] maps a stored (column, row) to the displayed (a column + c row, b column + d row).

    Args:
        frame: any frame of the video.
        path: the file, for its EXIF data.
    """
    try:
        side_data = cast("SideDataContainer", frame.side_data)
    except ValueError:  # PyAV fails if it does not know the type of one entry, for example the EXIF data of a photo
        return _from_exif(_exif_orientation(path) or _EXIF_BY_QUARTER_TURNS[round(frame.rotation / 90) % 4], frame)
    if Type.DISPLAYMATRIX not in side_data:
        return Orientation()
    matrix = np.frombuffer(bytes(side_data[Type.DISPLAYMATRIX]), np.int32)
    a, b, c, d = (int(matrix[index]) for index in (0, 1, 3, 4))
    is_swapped = abs(b) > abs(a)
    return Orientation(
        is_swapped=is_swapped,
        is_flipped_vertically=(b if is_swapped else d) < 0,
        is_flipped_horizontally=(c if is_swapped else a) < 0,
        rotation_degrees=round(frame.rotation / 90) * 90 % 360,
        note=_turn_note((a, b, c, d), frame.rotation),
    )


def _turn_note(matrix: tuple[int, int, int, int], degrees: float) -> str:
    """Say that a display matrix is neither a quarter turn nor a reflection; empty if it is one, within a degree."""
    a, b, c, d = map(abs, matrix)
    if min(a, b) <= _DEGREE * max(a, b) and min(c, d) <= _DEGREE * max(c, d):
        return ""
    shown = round(degrees / 90) * 90 % 360
    return f"the file asks for a rotation by {degrees:g}° or a shear; it is shown at {shown}°, the nearest quarter turn"


_EXIF_BY_QUARTER_TURNS = (1, 8, 3, 6)  # EXIF orientation of 0 to 3 quarter turns counter-clockwise


def _exif_orientation(path: str) -> int:
    """Return the EXIF orientation of a photo, 1 to 8; 0 if it has none or Pillow cannot read the file."""
    try:
        with Image.open(path) as image:
            number: object = image.getexif().get(ExifTags.Base.Orientation, 0)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Warning):
        return 0
    return number if isinstance(number, int) and number in range(1, 9) else 0


def _from_exif(exif: int, frame: VideoFrame) -> Orientation:
    return Orientation(
        is_swapped=exif >= 5,
        is_flipped_vertically=exif in (3, 4, 7, 8),
        is_flipped_horizontally=exif in (2, 3, 6, 7),
        rotation_degrees=round(frame.rotation / 90) * 90 % 360,
    )


def square_pixel_size(size: tuple[int, int], pixel_aspect: Fraction) -> tuple[int, int]:
    """Return (height, width) in square pixels of a frame stored as `size`; only the width is scaled."""
    return size[0], max(1, round(size[1] * pixel_aspect))


class RgbConverter:
    """Convert decoded frames to RGB as displayed, all in one size.

    Args:
        size: (height, width) in square pixels, before the orientation is applied; other frames are scaled to it.
        orientation: how the frames are turned for display.
    """

    def __init__(self, *, size: tuple[int, int], orientation: Orientation) -> None:
        self._height, self._width = size
        self._orientation = orientation
        self._reformatter = VideoReformatter()
        self._tone: tuple[tuple[Transfer, bool], ToneMapper] | None = None

    def __call__(self, frame: VideoFrame) -> Frames:
        """Convert a frame to a new array, (H, W, 3) uint8 RGB."""
        return self._orientation.apply(self._to_rgb(frame))

    def _to_rgb(self, frame: VideoFrame) -> Frames:
        if frame.color_trc in HDR_TRANSFERS:
            rgb48 = cast("NDArray[np.uint16]", self._reformat(frame, "rgb48le"))
            return self._tone_mapper(frame)(rgb48)
        if has_alpha(frame):
            return on_black(cast("Frames", self._reformat(frame, "rgba")))
        return cast("Frames", self._reformat(frame, "rgb24"))

    def _reformat(self, frame: VideoFrame, pixel_format: str) -> NDArray[Any]:
        untagged = Colorspace.ITU709 if frame.height >= _HD_ROWS else Colorspace.ITU601
        matrix = untagged if frame.colorspace == UNSPECIFIED else None
        height, width = (
            -(-length // cell) * cell
            for length, cell in zip((frame.height, frame.width), _chroma_cell(frame), strict=True)
        )
        if (height, width) != (frame.height, frame.width):  # the module's docstring says why
            whole = self._converted(resized_canvas(frame, height, width), height, width, pixel_format, matrix)
            pixels = np.ascontiguousarray(whole[: frame.height, : frame.width])
            if pixels.shape[:2] == (self._height, self._width):
                return pixels
            frame = VideoFrame.from_ndarray(pixels, format=pixel_format)
        return self._converted(frame, self._height, self._width, pixel_format, matrix)

    def _converted(
        self, frame: VideoFrame, height: int, width: int, pixel_format: str, matrix: Colorspace | None
    ) -> NDArray[Any]:
        converted = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=matrix,
            interpolation=_SCALER_FLAGS,
            threads=1,
        )
        pixels = converted.to_ndarray()
        return pixels.copy() if converted is frame else pixels

    def _tone_mapper(self, frame: VideoFrame) -> ToneMapper:
        key = (HDR_TRANSFERS[frame.color_trc], frame.color_primaries in {BT2020_PRIMARIES, UNSPECIFIED})
        if self._tone is None or self._tone[0] != key:
            self._tone = (key, ToneMapper(key[0], is_wide=key[1]))
        return self._tone[1]


def has_alpha(frame: VideoFrame) -> bool:
    """Return whether the pixel format has an alpha channel."""
    return any(component.is_alpha for component in frame.format.components)


def on_black(rgba: Frames) -> Frames:
    """Composite (H, W, 4) RGBA with straight (not premultiplied) alpha on black; returns (H, W, 3)."""
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    rgb: Frames = ((rgba[..., :3].astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
    return rgb


class YuvConverter:
    """Convert RGB to yuv420p in BT.709, limited range. Chroma samples lie in the middle of two by two pixels.

    Args:
        size: (height, width) of the result: that of the frames, or one more. The last row or column is repeated then.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._height, self._width = size
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Frames) -> VideoFrame:
        """Convert (H, W, 3) uint8 RGB."""
        height, width = (length + length % 2 for length in (self._height, self._width))
        if frame.shape[:2] != (height, width):
            missing = ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0))
            frame = np.pad(frame, missing, mode="edge")
        even = self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(np.ascontiguousarray(frame), format="rgb24"),  # does not copy
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_ENCODER_FLAGS,
            threads=1,
        )
        if (height, width) == (self._height, self._width):
            return even
        return resized_canvas(even, self._height, self._width)


def resized_canvas(frame: VideoFrame, height: int, width: int) -> VideoFrame:
    """Return a copy with rows and columns cut off, or appended with any value; chroma samples stay where they are."""
    # Scaling keeps all tags, also the place of the chroma samples, which PyAV does not show. Its pixels are replaced.
    copy = frame.reformat(width=width, height=height, interpolation=Interpolation.POINT)
    for planes in zip(frame.planes, copy.planes, strict=True):
        source, target = (np.frombuffer(cast("Any", plane), np.uint8).reshape(-1, plane.line_size) for plane in planes)
        rows, length = (min(sides) for sides in zip(source.shape, target.shape, strict=True))
        target[:rows, :length] = source[:rows, :length]
    return copy


def _chroma_cell(frame: VideoFrame) -> tuple[int, int]:
    """Return how many (rows, columns) of pixels share a chroma sample."""
    return 8 // frame.format.chroma_height(8), 8 // frame.format.chroma_width(8)
