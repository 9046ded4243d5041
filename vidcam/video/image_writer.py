"""Write single images, and image sequences: a folder of numbered PNG files with their times."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from vidcam.errors import OutputError
from vidcam.media import Frames
from vidcam.video.container import encode_errors

TIMES_FILE = "times.csv"

_ZLIB_LEVEL = 3  # takes half the time of zlib's default, for 10 % more bytes


class ImageSequenceWriter:
    """Write `000001.png`, … and `times.csv` into a new folder.

    A context manager.

    Args:
        path: the folder, which must not exist.
        duration_seconds: end of the last frame's display.

    Raises:
        EncodeError: the folder cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], *, duration_seconds: float) -> None:
        self._path, self._end = Path(path), duration_seconds
        self._seconds: list[float] = []
        with encode_errors(self._path):
            self._path.mkdir()

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Write one frame, (H, W, 3) uint8 RGB, that is first displayed at `pts_seconds`.

        Raises:
            EncodeError: the file cannot be written, for example because the disk is full.
        """
        self._seconds.append(pts_seconds)
        with encode_errors(self._path):
            Image.fromarray(frame).save(self._path / _file_name(len(self._seconds)), compress_level=_ZLIB_LEVEL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            rows = (f"{_file_name(index)},{seconds:.9g}\n" for index, seconds in enumerate(self._seconds, start=1))
            with encode_errors(self._path):
                (self._path / TIMES_FILE).write_text(f"file,seconds\n{''.join(rows)}end,{self._end:.9g}\n", "utf-8")


def save_image(path: str | os.PathLike[str], data: bytes | Frames) -> None:
    """Write one image.

    Args:
        path: the file, which is replaced; an array is written as PNG if the name ends in .png, else as JPEG.
        data: the bytes of the file, or (H, W, 3) uint8 RGB.

    Raises:
        EncodeError: writing failed, for example because the disk is full.
    """
    destination = Path(path)
    with encode_errors(destination):
        destination.write_bytes(data if isinstance(data, bytes) else _encode(data, destination.suffix))


def _encode(image: Frames, suffix: str) -> bytes:
    """Encode a PNG or JPEG in memory. Written to a file, Pillow would not notice a JPEG that a full disk cut short."""
    data = io.BytesIO()
    Image.fromarray(image).save(data, format="PNG" if suffix.lower() == ".png" else "JPEG", quality=92)
    return data.getvalue()


def _file_name(number: int) -> str:
    return f"{number:06d}.png"


def require_sequence_place(folder: Path, *, overwrite: bool) -> None:
    """Check that an image sequence may be written, without writing anything.

    Raises:
        OutputError: the folder exists, and is no earlier image sequence that may be replaced.
    """
    if os.path.lexists(folder) and not (overwrite and _is_image_sequence(folder)):
        raise OutputError(f"'{folder}' exists already; choose another folder, or delete it")


def _is_image_sequence(folder: Path) -> bool:
    """Return whether a folder holds an image sequence of this writer and nothing else."""
    if not (folder / TIMES_FILE).is_file():
        return False
    return all(path.name == TIMES_FILE or (path.suffix == ".png" and path.stem.isdigit()) for path in folder.iterdir())
