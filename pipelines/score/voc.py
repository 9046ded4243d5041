"""Read image sets in the format of Pascal VOC and of ImageNet: one XML file with boxes for each image.

A set is a folder with `Annotations`, or a list of its images (`ImageSets/Main/val.txt`). An image has one row for each
label, with all boxes of that label; the rows of an image are one group. An image without objects has one row.

XML is read without a document type, so it cannot define entities or name other files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.parsers import expat

from vidcam.errors import InputError
from vidcam.foreign import first_line
from vidcam.system.json_files import read_regular

RawRow = tuple[str, Mapping[str, Any] | str]
"""The position of a row ('line 3'), and its fields or the reason why it cannot be read."""

Box = list[float]
"""Left, top, width and height in pixels; a box from 0 to 1 covers the first pixel."""

ANNOTATIONS = "Annotations"
IMAGE_FOLDERS = ("JPEGImages", "images", "Data", ".")
"""Folders beside `Annotations` in which its images may lie; ImageNet has them in `Data`."""

_SUFFIXES = (".jpg", ".JPEG", ".jpeg", ".png", ".JPG")
_MAX_BYTES = 8 << 20
_MAX_DEPTH = 32

_COORDINATES = ("xmin", "ymin", "xmax", "ymax")


def is_voc(folder: Path) -> bool:
    """Return whether a folder is a set in this format."""
    return (folder / ANNOTATIONS).is_dir()


def voc_folder(image_list: Path) -> Path:
    """Return the set's folder for a list of its images.

    Raises:
        InputError: no folder above the list has `Annotations`.
    """
    for folder in image_list.absolute().parents:
        if is_voc(folder):
            return folder
    raise InputError(f"{image_list} is not in a Pascal VOC folder; no folder above it has {ANNOTATIONS!r}")


def listed_names(image_list: Path) -> list[str]:
    """Return the names in a list of images, one a line; a line that ends in -1 (no object of a class) is left out.

    Raises:
        InputError: the list cannot be read.
    """
    try:
        lines = [line.split() for line in read_regular(image_list).decode().splitlines()]
    except (OSError, ValueError) as exc:
        raise InputError(f"the list {image_list} cannot be read ({first_line(exc)})") from exc
    return [words[0] for words in lines if words and words[-1] != "-1"]


def voc_rows(folder: Path, names: Sequence[str] | None = None) -> Iterator[RawRow]:
    """Yield the rows of a set; paths of images are relative to the folder.

    Args:
        folder: the folder with `Annotations`.
        names: the images, without an ending. None: one for each XML file.
    """
    annotations = folder / ANNOTATIONS
    if names is None:
        names = sorted(path.relative_to(annotations).with_suffix("").as_posix() for path in annotations.rglob("*.xml"))
    for name in names:
        position = f"{name}.xml"
        try:
            require_inside(name)
            path, boxes = _image(folder, name), read_boxes(annotations / position)
        except (InputError, OSError) as exc:
            yield position, first_line(exc)
        else:
            yield from image_rows(position, path, boxes)


def image_rows(position: str, path: str, boxes: Mapping[str, Sequence[Box]]) -> Iterator[RawRow]:
    """Yield one row for each label of an image; one row without a label if it has none."""
    if not boxes:
        yield position, {"path": path}
    for label, of_label in boxes.items():
        tracks = [{"start": 0, "end": 1, "boxes": [box]} for box in of_label]
        yield position, {"path": path, "label": label, "group": path, "boxes": tracks}


def require_inside(name: str) -> None:
    """Require that a name in a file of a set stays in the set's folder.

    Raises:
        InputError: it is absolute, goes up, or has a character that no file name has.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name or not path.parts:
        raise InputError(f"the image {name!r:.80} is outside the set; expected a name in its folder")


def _image(folder: Path, name: str) -> str:
    for place in IMAGE_FOLDERS:
        for suffix in _SUFFIXES:
            path = PurePosixPath(place, f"{name}{suffix}")
            if (folder / path).is_file():
                return str(path)
    raise InputError(f"the image {name!r:.80} is missing; expected it in {', '.join(IMAGE_FOLDERS[:3])}")


def read_boxes(path: Path) -> dict[str, list[Box]]:
    """Read the boxes of an XML file, label → boxes. The file counts pixels from 1, and both ends are inside.

    Raises:
        InputError: the file cannot be read, or an object has no name or no box.
    """
    try:
        content = read_regular(path, limit=_MAX_BYTES)
        return _AnnotationParser().parse(content)
    except FileNotFoundError as exc:
        raise InputError(f"it is missing in {ANNOTATIONS}") from exc
    except (OSError, ValueError, LookupError, expat.ExpatError) as exc:
        raise InputError(f"it is not a Pascal VOC annotation ({first_line(exc)})") from exc


class _AnnotationParser:
    """Collects the boxes of the direct children `object` of `annotation`; parts of an object have their own."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._text: list[str] = []
        self._object: dict[str, str] = {}
        self._boxes: dict[str, list[Box]] = {}

    def parse(self, content: bytes) -> dict[str, list[Box]]:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = self._text.append
        parser.EndElementHandler = self._end
        parser.Parse(content, True)  # noqa: FBT003 – is final; it has no keyword
        return self._boxes

    def _start(self, name: str, _attributes: Mapping[str, str]) -> None:
        self._path.append(name)
        self._text.clear()
        if len(self._path) == 1 and name != "annotation":
            raise ValueError(f"its root is {name!r:.40}, expected 'annotation'")
        if len(self._path) > _MAX_DEPTH:
            raise ValueError("it is nested too deeply")

    def _end(self, name: str) -> None:
        place, text = tuple(self._path[1:]), "".join(self._text).strip()
        if place in {("object", "name"), *(("object", "bndbox", side) for side in _COORDINATES)}:
            self._object[name] = text
        elif place == ("object",):
            label = self._object.get("name", "")
            if not label:
                raise ValueError("an object has no name")
            self._boxes.setdefault(label, []).append(_box(self._object))
            self._object = {}
        self._path.pop()
        self._text.clear()


def _refuse_document_type(*_declaration: object) -> None:
    raise ValueError("it declares a document type; remove the line with <!DOCTYPE")


def _box(values: Mapping[str, str]) -> Box:
    missing = [side for side in _COORDINATES if side not in values]
    if missing:
        raise ValueError(f"a box has no {missing[0]}")
    left, top, right, bottom = (float(values[side]) for side in _COORDINATES)
    if not all(map(math.isfinite, (left, top, right, bottom))) or right < left or bottom < top:
        raise ValueError(f"a box goes from ({left:g}, {top:g}) to ({right:g}, {bottom:g})")
    return [left - 1.0, top - 1.0, right - left + 1.0, bottom - top + 1.0]
