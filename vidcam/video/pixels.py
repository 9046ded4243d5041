"""Colour and orientation: between stored video frames and (H, W, 3) uint8 RGB as displayed.

Reading takes the colour matrix and range from the frame's tags; an untagged frame is BT.601 below 720 rows and BT.709
from there on, limited range, as players assume. Writing is always BT.709 in limited range, and tagged so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from vidcam.media import Frames

# AVColorSpace, AVColorPrimaries and AVColorTransferCharacteristic number alike here; PyAV exposes plain integers.
BT709 = 1
UNSPECIFIED = 2

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


def orientation_of(frame: VideoFrame) -> Orientation:
    """The quarter turn or reflection nearest to the frame's display matrix.

    The matrix [a b; c d] takes a stored (column, row) to the displayed (a column + c row, b column + d row).
    """
    side_data = cast("SideDataContainer", frame.side_data)
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


class RgbDecoder:
    """Decoded frames to RGB as displayed; frames of another size are scaled to the first one's.

    Args:
        stored_size: (height, width) of the stored frames, before orientation.
        orientation: what to do for display.
    """

    def __init__(self, *, stored_size: tuple[int, int], orientation: Orientation) -> None:
        self._height, self._width = stored_size
        self._orientation = orientation
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> Frames:
        """(H, W, 3) uint8 RGB, a fresh array."""
        untagged = Colorspace.ITU709 if frame.height >= _HD_ROWS else Colorspace.ITU601
        converted = self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format="rgb24",
            src_colorspace=untagged if frame.colorspace == UNSPECIFIED else None,
            interpolation=_SCALER_FLAGS,
        )
        rgb = cast("Frames", converted.to_ndarray())
        return self._orientation.apply(rgb.copy() if converted is frame else rgb)


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
            VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_SCALER_FLAGS,
        )
