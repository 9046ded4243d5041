"""Read image sets in the JSON format of COCO: images, categories, and annotations with boxes.

An image has one row for each label, as in `voc`. Masks, captions and key points are ignored; boxes of crowds count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidcam.errors import InputError
from vidcam.foreign import first_line
from vidcam.pipelines.score.voc import Box, RawRow, image_rows, require_inside
from vidcam.system.json_files import from_json, read_regular

_MAX_BYTES = 1 << 29
"""The annotations of COCO's training set have 448 MB."""


@dataclass(frozen=True, slots=True)
class _Image:
    id: int | str
    file_name: str


@dataclass(frozen=True, slots=True)
class _Category:
    id: int | str
    name: str


@dataclass(frozen=True, slots=True)
class _Annotation:
    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Dataset:
    images: tuple[_Image, ...]
    categories: tuple[_Category, ...]
    annotations: tuple[_Annotation, ...]


def coco_rows(path: Path) -> tuple[Path, Iterator[RawRow]]:
    """Return the folder of the images and the rows of a set; the paths of its images are relative to the folder.

    Raises:
        InputError: the file cannot be read as annotations of COCO.
    """
    try:
        dataset = from_json(read_regular(path, limit=_MAX_BYTES), _Dataset)
    except (OSError, ValueError, MemoryError) as exc:
        raise InputError(
            f"{path} has no annotations of COCO ({first_line(exc)}); expected images, categories and annotations"
        ) from exc
    return _image_folder(path, dataset.images), _rows(dataset)


def _image_folder(path: Path, images: Sequence[_Image]) -> Path:
    """Return the folder in which the first image lies, of those that are usual: val2017 for instances_val2017.json."""
    split = path.stem.partition("_")[2]
    folders = [path.parent, path.parent / "images"]
    folders += [path.parent.parent / name for name in (split, "images", f"images/{split}") if split or name == "images"]
    names = [image.file_name for image in images[:1]]
    return next((folder for folder in folders for name in names if _has(folder, name)), path.parent)


def _has(folder: Path, name: str) -> bool:
    try:
        require_inside(name)
        return (folder / name).is_file()
    except (InputError, OSError):
        return False


def _rows(dataset: _Dataset) -> Iterator[RawRow]:
    names = {category.id: category.name for category in dataset.categories}
    boxes: dict[int | str, dict[str, list[Box]]] = {image.id: {} for image in dataset.images}
    for number, annotation in enumerate(dataset.annotations):
        position, label = f"annotation {number}", names.get(annotation.category_id, "")
        if annotation.image_id not in boxes:
            yield position, f"its image {annotation.image_id!r:.40} is not in the file"
        elif not label:
            yield position, f"its category {annotation.category_id!r:.40} has no name in the file"
        else:
            boxes[annotation.image_id].setdefault(label, []).append(list(annotation.bbox))
    for image in dataset.images:
        try:
            require_inside(image.file_name)
        except InputError as exc:
            yield f"image {image.id!r:.40}", str(exc)
        else:
            yield from image_rows(f"image {image.id!r:.40}", image.file_name, boxes[image.id])
