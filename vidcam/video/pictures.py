"""Single pictures: a poster, and a folder of numbered PNGs with their times."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from vidcam.errors import OutputError
from vidcam.media import Frames
from vidcam.system.atomic import AtomicFile, hidden_folder, replace_folder
from vidcam.system.signals import defer_signals
from vidcam.video.container import encode_errors

TIMES = "times.csv"
PICTURES = (".png", ".jpg", ".jpeg")

_LEVEL = 3  # of zlib: half the time of its default, a tenth more bytes


class PictureFolder:
    """Writes `000001.png`, … and `times.csv` into a new folder; a context manager that leaves all of it, or none.

    Args:
        path: the folder; must not exist, or hold nothing but a former sequence with `overwrite`.
        overwrite: whether a former sequence is replaced.

    Raises:
        OutputError: the folder exists, or cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], *, duration_seconds: float, overwrite: bool = False) -> None:
        self._path, self._end = Path(path), duration_seconds
        self._seconds: list[float] = []
        if os.path.lexists(self._path) and not (overwrite and _is_sequence(self._path)):
            raise OutputError(f"'{path}' exists already; expected a new folder; choose another, or delete it")
        with defer_signals():
            self._stage = hidden_folder(self._path)

    def write(self, frame: Frames, pts_seconds: float) -> None:
        """Write one frame, (H, W, 3) uint8.

        Raises:
            EncodeError: the disk is full or the like.
        """
        self._seconds.append(pts_seconds)
        with encode_errors(self._path):
            Image.fromarray(frame).save(self._stage / _name(len(self._seconds)), compress_level=_LEVEL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with defer_signals(), encode_errors(self._path):
                    self._finish()
        finally:
            with defer_signals():
                shutil.rmtree(self._stage, ignore_errors=True)

    def _finish(self) -> None:
        rows = (f"{_name(index)},{seconds:.9g}\n" for index, seconds in enumerate(self._seconds, start=1))
        (self._stage / TIMES).write_text(f"file,seconds\n{''.join(rows)}end,{self._end:.9g}\n", "utf-8")
        replace_folder(self._stage, self._path)


def save_picture(path: str | os.PathLike[str], data: bytes | Frames, *, overwrite: bool = False) -> None:
    """Write one picture, given as a PNG's bytes or as (H, W, 3) uint8; whole or not at all.

    Raises:
        OutputError: the destination exists, its folder does not, or it cannot be written.
        EncodeError: the disk is full or the like.
    """
    destination = Path(path)
    with defer_signals():
        file = AtomicFile(destination, overwrite=overwrite)
        try:
            with encode_errors(destination):
                file.part.write_bytes(data if isinstance(data, bytes) else _encoded(data, destination.suffix))
                file.commit()
        finally:
            file.discard()


def _encoded(picture: Frames, ending: str) -> bytes:
    """A PNG or JPEG. In memory: into a file, Pillow takes what a full disk cuts short of a JPEG for written."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, format="PNG" if ending.lower() == ".png" else "JPEG", quality=92)
    return data.getvalue()


def _name(number: int) -> str:
    return f"{number:06d}.png"


def _is_sequence(folder: Path) -> bool:
    """Whether a folder is what this writer made, and nothing else."""
    if not (folder / TIMES).is_file():
        return False
    return all(path.name == TIMES or (path.suffix == ".png" and path.stem.isdigit()) for path in folder.iterdir())
