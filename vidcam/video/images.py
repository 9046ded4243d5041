"""Image files as a video: a folder in the natural order of its names, or files in the order of a list or a pattern.

Every image is one frame; the frame rate is the user's.

EXIF rotation is applied and what is transparent is shown on black. An image of another size is scaled to the first
one's; one that cannot be read shows the one before it; both are said in the notes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vidcam.errors import MediaError
from vidcam.media import Frames, VideoInfo
from vidcam.system.shortage import require_no_shortage
from vidcam.video.container import require_reasonable
from vidcam.video.frame_index import FrameIndex
from vidcam.video.indexed import Damage, VideoReader
from vidcam.video.numbered import IMAGE_SUFFIXES
from vidcam.video.pixels import on_black

IMAGES = "images"
"""`VideoInfo.decoder` of image files."""

ARRAY = "array"
"""`VideoInfo.decoder` of frames in memory."""

STILLS = frozenset({IMAGES, ARRAY})
"""Decoders of frames that have no frame rate of their own."""

DEFAULT_FPS = Fraction(25)
SUFFIXES = IMAGE_SUFFIXES


class ImageReader(VideoReader):
    """VideoReader over image files.

    Args:
        files: the images in the order of display, at least one.
        path: names their source; None: nothing does, as for a list.
        fps: images a second; None: DEFAULT_FPS, which the notes say.
        notes: sentences about the choice of the files.

    Raises:
        MediaError: no image can be read.
    """

    def __init__(
        self, files: tuple[Path, ...], *, path: str | None, fps: Fraction | None = None, notes: tuple[str, ...] = ()
    ) -> None:
        self._files = files
        rate, count = fps or DEFAULT_FPS, len(self._files)
        frame_index = FrameIndex(np.arange(count), np.zeros(0, np.int64), count, 1, 1 / rate)
        self.damage = Damage(frame_index)
        first = self._first()
        self._size = first.pixels.shape[:2]
        info = VideoInfo(
            path=f"list of {counted(count, 'image')}, {self._size[0]} × {self._size[1]}" if path is None else path,
            size=(self._size[0], self._size[1]),
            rotation_degrees=0,
            fps=rate,
            pts_seconds=frame_index.seconds(),
            duration_seconds=float(frame_index.duration()),
            time_base=frame_index.time_base,
            codec=first.codec,
            pixel_format=first.mode,
            has_audio=False,
            decoder=IMAGES,
            files=self._files,
            is_local=path is not None,
            has_name=path is not None,
            notes=(*notes, *rate_notes(fps, count, "image")),
        )
        super().__init__(info, self.damage)

    def _first(self) -> _Picture:
        for index in range(len(self._files)):
            picture = self._load(index)
            if picture is not None:
                return picture
        raise MediaError(
            f"none of the {len(self._files)} images in {str(self._files[0].parent)!r} can be read; expected "
            f"{', '.join(SUFFIXES)}; check that they open"
        )

    def _decoding(self) -> AbstractContextManager[Callable[[int], Frames]]:
        return nullcontext(self._frame)

    def _frame(self, index: int) -> Frames:
        """The image, or the one that stands in for it."""
        wanted: int | None = index
        while wanted is not None:
            picture = None if self.damage.is_missing(wanted) else self._load(wanted)
            if picture is not None:
                return self._scaled(picture.pixels)
            wanted = self.damage.stand_in(index)
        raise MediaError(f"no image of {self.info.path!r} can be read any more; expected them to stay; run again")

    def _load(self, index: int) -> _Picture | None:
        try:
            return load_image(self._files[index])
        # Pillow raises nearly anything for a damaged file; an image that is too large is a warning or an error.
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError, Warning):
            require_no_shortage(str(self._files[index]))
            self.damage.mark_missing(range(index, index + 1))
            return None

    def _scaled(self, pixels: Frames) -> Frames:
        height, width = self._size
        if pixels.shape[:2] == (height, width):
            return pixels
        self.damage.mark_resized((pixels.shape[0], pixels.shape[1]))
        return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


@dataclass(frozen=True, slots=True)
class _Picture:
    pixels: Frames
    codec: str
    mode: str


def counted(count: int, noun: str) -> str:
    """Format a number with its noun: '1 image', '2 images'."""
    return f"{count} {noun}{'s' * (count != 1)}"


def rate_notes(fps: Fraction | None, count: int, noun: str) -> tuple[str, ...]:
    """Return a sentence about the default frame rate, if the user chose none."""
    if fps is not None:
        return ()
    return (f"no frame rate was given: {counted(count, noun)} shown at {DEFAULT_FPS} fps",)


def image_files(folder: Path) -> tuple[Path, ...]:
    """The images of a folder, 'frame2' before 'frame10'.

    Raises:
        MediaError: there is none, or the folder cannot be listed.
    """
    from natsort import natsort_keygen, ns  # only who has a folder of images pays for it

    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    except OSError as exc:
        raise MediaError(
            f"the folder {str(folder)!r} cannot be listed ({exc.strerror}); expected images; check its permissions"
        ) from exc
    visible = [path for path in found if not path.name.startswith(".")]
    if not visible:
        raise MediaError(
            f"{str(folder)!r} is a folder without images; expected {', '.join(SUFFIXES)}; pass a video file or a "
            "folder of images"
        )
    in_number_order = natsort_keygen(alg=ns.IGNORECASE)
    return tuple(sorted(visible, key=lambda path: (in_number_order(path.name), path.name)))


def load_image(path: Path) -> _Picture:
    """One image, upright, on black, (H, W, 3) uint8 RGB.

    Raises:
        MediaError: it is too large; what is damaged raises nearly anything.
    """
    with Image.open(path) as image:
        return picture_of(image, str(path))


def picture_of(image: Image.Image, name: str) -> _Picture:
    """Convert an open image as `load_image` does; `name` is for the error's sentence.

    Raises:
        MediaError: it is too large; a damaged image raises nearly anything.
    """
    codec, mode = (image.format or "").lower(), image.mode
    require_reasonable(name, (image.height, image.width))
    upright = ImageOps.exif_transpose(image)
    if mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
        grey = (np.asarray(upright).astype(np.int64).clip(0, 65535) // 257).astype(np.uint8)
        return _Picture(np.repeat(grey[..., None], 3, axis=2), codec, mode)
    if upright.has_transparency_data:
        return _Picture(on_black(np.asarray(upright.convert("RGBA"))), codec, mode)
    return _Picture(np.array(upright.convert("RGB")), codec, mode)
