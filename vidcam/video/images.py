"""A folder of images as a video: natural order of names, a rate that is given, every image one frame.

EXIF rotation is applied and what is transparent is shown on black. An image of another size is scaled to the first
one's; one that cannot be read shows the one before it; both are said in the notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from vidcam.errors import MediaError
from vidcam.media import Frames, VideoInfo
from vidcam.video.container import require_reasonable
from vidcam.video.frame_index import FrameIndex
from vidcam.video.indexed import Damage, IndexedReader
from vidcam.video.pixels import on_black

IMAGES = "images"
"""What `VideoInfo.decoder` is for a folder of images."""

DEFAULT_FPS = Fraction(25)
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm")


class ImageFolderReader(IndexedReader):
    """VideoReader over the images of a folder.

    Args:
        folder: sub-folders and other files in it are left alone.
        fps: images a second; None: DEFAULT_FPS, said in the notes.

    Raises:
        MediaError: no image, or none that can be read.
    """

    def __init__(self, folder: str, *, fps: Fraction | None = None) -> None:
        self._files = image_files(Path(folder))
        rate, count = fps or DEFAULT_FPS, len(self._files)
        frame_index = FrameIndex(np.arange(count), np.zeros(0, np.int64), count, 1, 1 / rate)
        self._damage = Damage(frame_index)
        self._is_closed = False
        first = self._first()
        self._size = first.pixels.shape[:2]
        notes = () if fps else (f"no rate was given for the {count} images; they are shown at {rate} a second",)
        info = VideoInfo(
            path=folder,
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
            notes=notes,
        )
        super().__init__(info, self._damage)

    def close(self) -> None:
        """Nothing is held open; reading afterwards is refused like with any other reader."""
        self._is_closed = True

    def _first(self) -> _Picture:
        for index in range(len(self._files)):
            picture = self._load(index)
            if picture is not None:
                return picture
        raise MediaError(
            f"none of the {len(self._files)} images in {str(self._files[0].parent)!r} can be read; expected "
            f"{', '.join(SUFFIXES)}; check that they open"
        )

    def _read(self, indices: Iterable[int]) -> Iterator[tuple[float, Frames]]:
        if self._is_closed:
            raise MediaError(
                f"the reader of {self._info.path!r} is closed; expected an open one; call open_video again"
            )
        shown = -1
        for index in indices:
            if index != shown:
                frame, shown = self._frame(index), index
            yield float(self._info.pts_seconds[index]), frame

    def _frame(self, index: int) -> Frames:
        """The image, or the one that stands in for it."""
        wanted: int | None = index
        while wanted is not None:
            picture = None if self._damage.is_missing(wanted) else self._load(wanted)
            if picture is not None:
                return self._scaled(picture.pixels)
            wanted = self._damage.stand_in(index)
        raise MediaError(f"no image of {self._info.path!r} can be read any more; expected them to stay; run again")

    def _load(self, index: int) -> _Picture | None:
        try:
            return load_image(self._files[index])
        # Pillow raises nearly anything for a damaged file; an image that is too large is a warning or an error.
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, Image.DecompressionBombError, Warning):
            self._damage.mark_missing(range(index, index + 1))
            return None

    def _scaled(self, pixels: Frames) -> Frames:
        height, width = self._size
        if pixels.shape[:2] == (height, width):
            return pixels
        self._damage.mark_resized((pixels.shape[0], pixels.shape[1]))
        return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))


@dataclass(frozen=True, slots=True)
class _Picture:
    pixels: Frames
    codec: str
    mode: str


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
        codec, mode = (image.format or "").lower(), image.mode
        require_reasonable(str(path), (image.height, image.width))
        upright = ImageOps.exif_transpose(image)
    if mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off at 255
        grey = (np.asarray(upright).astype(np.int64).clip(0, 65535) // 257).astype(np.uint8)
        return _Picture(np.repeat(grey[..., None], 3, axis=2), codec, mode)
    if upright.has_transparency_data:
        return _Picture(on_black(np.asarray(upright.convert("RGBA"))), codec, mode)
    return _Picture(np.array(upright.convert("RGB")), codec, mode)
