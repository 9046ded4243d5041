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
from xml.etree import ElementTree as ET

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
        return _boxes_of(read_regular(path, limit=_MAX_BYTES))
    except FileNotFoundError as exc:
        raise InputError(f"it is missing in {ANNOTATIONS}") from exc
    except (OSError, ValueError, LookupError, ET.ParseError) as exc:
        raise InputError(f"it is not a Pascal VOC annotation ({first_line(exc)})") from exc


class _NoDocumentType(ET.TreeBuilder):
    """Makes the tree of a file that declares no document type, and so defines no entity."""

    def doctype(self, *_declaration: object) -> None:
        """Refuse the declaration."""
        raise ValueError("it declares a document type; remove the line with <!DOCTYPE")


def _boxes_of(content: bytes) -> dict[str, list[Box]]:
    """Collect the boxes of the direct children `object` of `annotation`; parts of an object have their own."""
    root = ET.fromstring(content, ET.XMLParser(target=_NoDocumentType()))  # noqa: S314 – no entities
    if root.tag != "annotation":
        raise ValueError(f"its root is {root.tag!r:.40}, expected 'annotation'")
    boxes: dict[str, list[Box]] = {}
    for each in root.iterfind("object"):
        label = each.findtext("name", "").strip()
        if not label:
            raise ValueError("an object has no name")
        boxes.setdefault(label, []).append(_box(each))
    return boxes


def _box(element: ET.Element) -> Box:
    sides = {side: element.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")}
    if missing := [side for side, text in sides.items() if text is None]:
        raise ValueError(f"a box has no {missing[0]}")
    left, top, right, bottom = (float(text or "") for text in sides.values())
    if not all(map(math.isfinite, (left, top, right, bottom))) or right < left or bottom < top:
        raise ValueError(f"a box goes from ({left:g}, {top:g}) to ({right:g}, {bottom:g})")
    return [left - 1.0, top - 1.0, right - left + 1.0, bottom - top + 1.0]
