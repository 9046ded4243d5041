"""Colour and orientation: between stored video frames and (H, W, 3) uint8 RGB as displayed.

Reading takes the colour matrix and range from the frame's tags; an untagged frame is BT.601 below 720 rows and BT.709
from there on, limited range, as players assume. PQ and HLG are tone-mapped (`hdr`), transparent pixels are shown on
black. Writing is always BT.709 in limited range, and tagged so.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import ExifTags, Image

from vidcam.media import Frames
from vidcam.video.hdr import ToneMapper, Transfer

# AVColorSpace, AVColorPrimaries and AVColorTransferCharacteristic number alike here; PyAV exposes plain integers.
BT709 = 1
UNSPECIFIED = 2
BT2020_PRIMARIES = 9
HDR_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}

# SWS_BILINEAR | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND | SWS_BITEXACT: colour bars come back within 1 rather than 2,
# chroma is interpolated rather than repeated, and the result does not depend on the processor's vector unit.
_SCALER_FLAGS = 0x2 | 0x2000 | 0x40000 | 0x80000

_HD_ROWS = 720


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored rows and columns become displayed ones: first an optional swap of the axes, then flips."""

    is_swapped: bool = False
    is_flipped_vertically: bool = False
    is_flipped_horizontally: bool = False
    rotation_degrees: int = 0

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) as displayed, of a frame stored as `height` by `width`."""
        return (width, height) if self.is_swapped else (height, width)

    def apply(self, frame: Frames) -> Frames:
        """(H, W, 3) as displayed, contiguous."""
        turned = frame.swapaxes(0, 1) if self.is_swapped else frame
        turned = turned[::-1] if self.is_flipped_vertically else turned
        turned = turned[:, ::-1] if self.is_flipped_horizontally else turned
        return np.ascontiguousarray(turned)


def orientation_of(frame: VideoFrame, path: str) -> Orientation:
    """The quarter turn or reflection nearest to the frame's display matrix.

    The matrix [a b; c d] takes a stored (column, row) to the displayed (a column + c row, b column + d row).

    Args:
        frame: any of the video.
        path: of the file that it comes from.
    """
    try:
        side_data = cast("SideDataContainer", frame.side_data)
    except ValueError:  # PyAV has no name for one of them, a photo's EXIF for example, and then gives none
        return _oriented(_exif_orientation(path) or _BY_TURNS[round(frame.rotation / 90) % 4], frame)
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
    )


_BY_TURNS = (1, 8, 3, 6)  # EXIF's numbers for quarter turns counterclockwise


def _exif_orientation(path: str) -> int:
    """1…8 as a photo's EXIF says it, 0 where it says nothing or Pillow does not know the file."""
    try:
        with Image.open(path) as image:
            number: object = image.getexif().get(ExifTags.Base.Orientation, 0)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Warning):
        return 0
    return number if isinstance(number, int) and number in range(1, 9) else 0


def _oriented(exif: int, frame: VideoFrame) -> Orientation:
    return Orientation(
        is_swapped=exif >= 5,
        is_flipped_vertically=exif in (3, 4, 7, 8),
        is_flipped_horizontally=exif in (2, 3, 6, 7),
        rotation_degrees=round(frame.rotation / 90) * 90 % 360,
    )


def square_pixels(size: tuple[int, int], pixel_aspect: Fraction) -> tuple[int, int]:
    """(height, width) in square pixels of a picture stored as `size`: the height is kept, the width is scaled."""
    return size[0], max(1, round(size[1] * pixel_aspect))


class RgbDecoder:
    """Decoded frames to RGB as displayed; frames of another size are scaled to the given one.

    Args:
        size: (height, width) in square pixels, before orientation.
        orientation: what to do for display.
    """

    def __init__(self, *, size: tuple[int, int], orientation: Orientation) -> None:
        self._height, self._width = size
        self._orientation = orientation
        self._reformatter = VideoReformatter()
        self._tone: tuple[tuple[Transfer, bool], ToneMapper] | None = None

    def __call__(self, frame: VideoFrame) -> Frames:
        """(H, W, 3) uint8 RGB, a fresh array."""
        return self._orientation.apply(self._upright(frame))

    def _upright(self, frame: VideoFrame) -> Frames:
        if frame.color_trc in HDR_TRANSFERS:
            deep = cast("NDArray[np.uint16]", self._converted(frame, "rgb48le"))
            return self._tone_mapper(frame)(deep)
        if has_alpha(frame):
            return on_black(cast("Frames", self._converted(frame, "rgba")))
        return cast("Frames", self._converted(frame, "rgb24"))

    def _converted(self, frame: VideoFrame, pixel_format: str) -> NDArray[Any]:
        untagged = Colorspace.ITU709 if frame.height >= _HD_ROWS else Colorspace.ITU601
        converted = self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format=pixel_format,
            src_colorspace=untagged if frame.colorspace == UNSPECIFIED else None,
            interpolation=_SCALER_FLAGS,
        )
        pixels = converted.to_ndarray()
        return pixels.copy() if converted is frame else pixels

    def _tone_mapper(self, frame: VideoFrame) -> ToneMapper:
        key = (HDR_TRANSFERS[frame.color_trc], frame.color_primaries in {BT2020_PRIMARIES, UNSPECIFIED})
        if self._tone is None or self._tone[0] != key:
            self._tone = (key, ToneMapper(key[0], is_wide=key[1]))
        return self._tone[1]


def has_alpha(frame: VideoFrame) -> bool:
    """Whether pixels may be transparent."""
    return any(component.is_alpha for component in frame.format.components)


def on_black(rgba: Frames) -> Frames:
    """(H, W, 3) of straight (not premultiplied) (H, W, 4): what lies over black."""
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    shown: Frames = ((rgba[..., :3].astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)
    return shown


class YuvEncoder:
    """RGB to yuv420p in BT.709, limited range; an odd size is padded by its last row or column."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Frames) -> VideoFrame:
        """A yuv420p frame of even size, of a (H, W, 3) uint8 array."""
        height, width = frame.shape[:2]
        if height % 2 or width % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return self._reformatter.reformat(
            VideoFrame.from_numpy_buffer(np.ascontiguousarray(frame), format="rgb24"),  # not a copy
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_SCALER_FLAGS,
        )
