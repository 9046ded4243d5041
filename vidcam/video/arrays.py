"""Frames in memory: an array, a tensor, or a list of arrays or PIL images.

Only the current frame is copied. Pixels are uint8 or floats in [0, 1], RGB or grey, channels last. Another layout is
refused, with the line that changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vidcam.errors import InputError, ShapeError
from vidcam.media import Frames
from vidcam.video.container import require_reasonable
from vidcam.video.images import counted, picture_of
from vidcam.video.source import FrameArray

_EXPECTED = "(T, H, W, 3), or (T, H, W) for grey"
_EXIF_ORIENTATION, _QUARTER_TURNS = 0x0112, (5, 6, 7, 8)
_TOLERANCE = 1e-3  # of floats beyond [0, 1], for rounding; less than half a step of 1/255


@dataclass(frozen=True, slots=True, eq=False)
class MemoryFrames:
    """Frames in the memory of the user.

    Attributes:
        kind: 'array' or 'list'.
        count: number of frames.
        size: (height, width).
        is_grey: whether they have one channel.
        pixels: the type of the numbers, or the mode of the images.
        frame: index → (H, W, 3) uint8 RGB; not to be written to.
    """

    kind: str
    count: int
    size: tuple[int, int]
    is_grey: bool
    pixels: str
    frame: Callable[[int], Frames]

    @property
    def description(self) -> str:
        """Description of the source: 'array of 40 frames, 120 × 160'."""
        noun = "grey frame" if self.is_grey else "frame"
        return f"{self.kind} of {counted(self.count, noun)}, {self.size[0]} × {self.size[1]}"


def is_array(source: object) -> TypeGuard[FrameArray]:
    """Return whether a source is an array of numpy, a tensor of torch or the like."""
    return hasattr(source, "shape") and hasattr(source, "dtype")


def frames_of_array(source: FrameArray) -> MemoryFrames:
    """Return the frames of an array.

    Raises:
        ShapeError: the shape, the type or the range is not supported.
    """
    array = _as_numpy(source)
    _require_layout(array, is_tensor=_is_tensor(source))
    _require_numbers(array, "frames")
    is_grey = array.ndim == 3 or array.shape[3] == 1
    size = (int(array.shape[1]), int(array.shape[2]))
    require_reasonable("the array", size)

    def frame(index: int) -> Frames:
        return _as_frame(array[index])

    return MemoryFrames("array", int(array.shape[0]), size, is_grey, str(array.dtype), frame)


def frames_of_list(items: Sequence[Any]) -> MemoryFrames:
    """Return the frames of a list of arrays or PIL images of one size.

    Raises:
        InputError: the list is empty, or holds other objects.
        ShapeError: the shape, the type, the range or the size of a frame is not supported.
    """
    if not items:
        raise InputError("source is an empty list, expected frames or image paths")
    if all(isinstance(item, Image.Image) for item in items):
        return _of_pictures(items)
    for index, item in enumerate(items):
        if not is_array(item):
            kind = type(item).__name__
            raise InputError(f"item {index} of the list is of type {kind}; expected arrays, PIL images or image paths")
    arrays = [_as_numpy(item) for item in items]
    for index, (item, array) in enumerate(zip(items, arrays, strict=True)):
        _require_frame_layout(array, index, is_tensor=_is_tensor(item))
        _require_numbers(array[None], f"the numbers of frame {index}")
    size = _one_size([(int(array.shape[0]), int(array.shape[1])) for array in arrays])
    is_grey = all(array.ndim == 2 or array.shape[2] == 1 for array in arrays)

    def frame(index: int) -> Frames:
        return _as_frame(arrays[index])

    return MemoryFrames("list", len(arrays), size, is_grey, str(arrays[0].dtype), frame)


def _of_pictures(images: Sequence[Image.Image]) -> MemoryFrames:
    for index, image in enumerate(images):
        try:
            image.load()  # here, as it is not safe in threads
        except Exception as exc:  # Pillow raises nearly anything for a damaged file
            raise InputError(f"image {index} of the list cannot be read ({exc})") from exc
    size = _one_size([_upright_size(image) for image in images])

    def frame(index: int) -> Frames:
        return _read_only(picture_of(images[index], f"image {index}").pixels)

    is_grey = all(image.mode in {"1", "L", "I", "I;16", "F"} for image in images)
    return MemoryFrames("list", len(images), size, is_grey, images[0].mode, frame)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    is_turned = image.getexif().get(_EXIF_ORIENTATION) in _QUARTER_TURNS
    return (image.width, image.height) if is_turned else (image.height, image.width)


def _one_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    first = sizes[0]
    for index, size in enumerate(sizes):
        if size != first:
            raise ShapeError(
                f"frame {index} of the list is {size[0]} × {size[1]}, the first one {first[0]} × {first[1]}; "
                "resize them to one size"
            )
    require_reasonable("the list", first)
    return first


def _is_tensor(source: object) -> bool:
    return hasattr(source, "detach") and hasattr(source, "permute")


def _as_numpy(source: Any) -> NDArray[Any]:
    """Return an array that shares the memory of a source where possible."""
    if isinstance(source, np.ndarray):
        return source
    try:
        if _is_tensor(source):
            tensor = source.detach()
            if str(tensor.dtype) == "torch.bfloat16":  # numpy has no such type
                tensor = tensor.float()
            return np.asarray(tensor.cpu().numpy())
        return np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise ShapeError(f"source cannot be read as an array ({exc}); pass a numpy array") from exc


def _require_layout(array: NDArray[Any], *, is_tensor: bool) -> None:
    shape = array.shape
    if 0 in shape:
        raise ShapeError(f"source is an empty array, {_named(shape)}; expected {_EXPECTED}")
    if array.ndim == 4 and shape[3] in (1, 3):
        return
    if array.ndim == 3 and 3 not in (shape[0], shape[2]):
        return
    raise ShapeError(f"frames are {_named(shape)}, expected {_EXPECTED}; {_layout_hint(shape, is_tensor=is_tensor)}")


def _layout_hint(shape: tuple[int, ...], *, is_tensor: bool) -> str:
    """Return what to type for an array of another layout."""
    move = "permute" if is_tensor else "transpose"
    match shape:
        case (_, 3, _, _):
            hint = f"pass frames.{move}(0, 2, 3, 1)"
        case (3, _, _, _):
            hint = f"pass frames.{move}(1, 2, 3, 0)"
        case (_, 1, _, _):
            hint = "pass frames[:, 0]"
        case (_, _, _, 4):
            hint = "pass frames[..., :3]"
        case (_, _, 3):
            hint = "of one image pass frames[None]"
        case (3, _, _):
            hint = "of 3 grey frames pass frames[..., None]"
        case (_, _, _, _, _):
            hint = "of a batch pass one video: frames[0]"
        case _:
            hint = "pass the frames of one video"
    return hint


def _require_frame_layout(array: NDArray[Any], index: int, *, is_tensor: bool) -> None:
    shape = array.shape
    is_frame = array.ndim == 2 or (array.ndim == 3 and shape[2] in (1, 3))
    if is_frame and 0 not in shape:
        return
    hint = "pass frames of one video"
    if array.ndim >= 4:
        hint = "explain_video takes one video: call it for each"
    elif array.ndim == 3 and shape[0] == 3:
        hint = f"pass [frame.{'permute' if is_tensor else 'transpose'}(1, 2, 0) for frame in frames]"
    elif array.ndim == 3 and shape[0] == 1:
        hint = "pass [frame[0] for frame in frames]"
    elif array.ndim == 3 and shape[2] == 4:
        hint = "pass [frame[..., :3] for frame in frames]"
    raise ShapeError(f"frame {index} of the list is {_named(shape)}, expected (H, W, 3), or (H, W) for grey; {hint}")


def _require_numbers(array: NDArray[Any], name: str) -> None:
    """Check the type of an array and, of floats, the range, one frame at a time."""
    if array.dtype == np.uint8:
        return
    if array.dtype.kind != "f":
        raise ShapeError(
            f"{name} are {array.dtype}, expected uint8, or floats in [0, 1]; for numbers in [0, 255] pass "
            "frames.astype('uint8')"
        )
    low = min(float(frame.min()) for frame in array)
    high = max(float(frame.max()) for frame in array)
    if not (np.isfinite([low, high]).all() and not any(np.isnan(frame).any() for frame in array)):
        raise ShapeError(f"{name} hold NaN or infinity, expected floats in [0, 1]")
    if low < -_TOLERANCE:
        raise ShapeError(f"{name} are floats from {low:.3g} to {high:.3g}, expected [0, 1]; undo the normalisation")
    if high > 1 + _TOLERANCE:
        raise ShapeError(f"{name} are floats up to {high:.3g}, expected [0, 1]; pass frames / 255")


def _as_frame(pixels: NDArray[Any]) -> Frames:
    """Convert (H, W, 3), (H, W, 1) or (H, W), uint8 or floats in [0, 1], to (H, W, 3) uint8."""
    if pixels.dtype != np.uint8:
        pixels = np.rint(np.clip(pixels.astype(np.float32), 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return _read_only(np.ascontiguousarray(pixels))


def _read_only(frame: Frames) -> Frames:
    view = frame.view()
    view.flags.writeable = False
    return view


def _named(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"
