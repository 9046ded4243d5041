"""Read a list of image paths as the frames of one video."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vidcam.errors import MediaError
from vidcam.video.numbered import IMAGE_SUFFIXES


def is_list(source: object) -> bool:
    """Return whether a source is a list, a tuple or another sequence of items."""
    return isinstance(source, Sequence) and not isinstance(source, str | bytes | bytearray | memoryview)


def is_list_of_paths(source: Sequence[object]) -> bool:
    """Return whether a list holds only paths."""
    return bool(source) and all(isinstance(item, str | os.PathLike) for item in source)


def listed_images(items: Sequence[str | os.PathLike[str]]) -> tuple[Path, ...]:
    """Return the images of a list of paths, in the order of the list.

    Raises:
        MediaError: a path is not an image, or does not exist.
    """
    paths = tuple(Path(item) for item in items)
    others = [path for path in paths if path.suffix.lower() not in IMAGE_SUFFIXES]
    if len(others) == len(paths):
        raise MediaError(
            "source is a list of videos or folders; explain_video takes one video: call it for each"
            if len(paths) > 1
            else f"source is a list of one path, {str(paths[0])!r}, which is not an image; pass the path itself"
        )
    if others:
        raise MediaError(f"{str(others[0])!r} in the list is not an image; expected {', '.join(IMAGE_SUFFIXES)}")
    for path in paths:
        if not path.is_file():
            raise MediaError(f"{str(path)!r} in the list does not exist, or is not a file; check the path")
    return paths
