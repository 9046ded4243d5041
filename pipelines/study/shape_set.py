"""Write the shape set as files, with its boxes in three formats: Pascal VOC, COCO and a manifest of `score`.

JPEGImages/<stem>.png       the image
Annotations/<stem>.xml      its boxes, as in Pascal VOC
instances.json              all boxes, as in COCO
manifest.csv                one row for each label of an image: path, label, group, boxes
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image

from vidcam.motion.shapes import MAX_SHAPES, SHAPE_LABELS, SIZE, ShapeImage, make_shape_image
from vidcam.pipelines.study.motion_set import require_empty
from vidcam.system.atomic import atomic_folder

IMAGES, ANNOTATIONS, COCO, MANIFEST = "JPEGImages", "Annotations", "instances.json", "manifest.csv"


@dataclass(frozen=True, slots=True)
class ShapeRequest:
    """One image of a set.

    Attributes:
        seed: seed of `make_shape_image`.
        labels: classes of its shapes, indices in SHAPE_LABELS.
    """

    seed: int
    labels: tuple[int, ...]

    @property
    def stem(self) -> str:
        """File name without an ending, such as '000007_0_0_3'."""
        return "_".join([f"{self.seed:06}", *map(str, self.labels)])

    def image(self) -> ShapeImage:
        """Make the image."""
        return make_shape_image(self.seed, self.labels)


def one_class(count: int, *, first_seed: int = 0) -> list[ShapeRequest]:
    """List images whose shapes are of one class; consecutive seeds, all numbers of shapes and classes equally often."""
    labels = [(label,) * shapes for label, shapes in product(range(len(SHAPE_LABELS)), range(1, MAX_SHAPES + 1))]
    return [ShapeRequest(first_seed + number, labels[number % len(labels)]) for number in range(count)]


def two_classes(count: int, *, first_seed: int = 0) -> list[ShapeRequest]:
    """List images with one or two shapes of each of two classes."""
    classes = len(SHAPE_LABELS)
    requests = []
    for number in range(count):
        first, second = number % classes, (number + 1 + number // classes % (classes - 1)) % classes
        labels = (first,) * (1 + number % 2) + (second,) * (1 + number // 2 % 2)
        requests.append(ShapeRequest(first_seed + number, labels))
    return requests


def write_shape_set(requests: Iterable[ShapeRequest], out: str | Path) -> Path:
    """Write images with their boxes; returns the folder.

    Args:
        requests: the images.
        out: a new or empty folder; removed again if writing fails.

    Raises:
        OutputError: the folder is not empty, or cannot be written to.
        RunError: writing failed.
    """
    folder = Path(out)
    require_empty(folder)
    with atomic_folder(folder) as stage:
        for name in (IMAGES, ANNOTATIONS):
            (stage / name).mkdir()
        boxes: dict[str, dict[str, list[list[int]]]] = {}
        for request in requests:
            image = request.image()
            Image.fromarray(image.pixels).save(stage / IMAGES / f"{request.stem}.png")
            of_image = boxes[request.stem] = _boxes_by_label(image)
            (stage / ANNOTATIONS / f"{request.stem}.xml").write_text(_voc(request.stem, of_image), "utf-8")
        (stage / COCO).write_text(json.dumps(_coco(boxes)), "utf-8")
        _write_manifest(stage / MANIFEST, boxes)
    return folder


def _boxes_by_label(image: ShapeImage) -> dict[str, list[list[int]]]:
    boxes: dict[str, list[list[int]]] = {}
    for label, box in zip(image.labels, image.boxes.tolist(), strict=True):
        boxes.setdefault(SHAPE_LABELS[label], []).append(box)
    return boxes


def _voc(stem: str, boxes: dict[str, list[list[int]]]) -> str:
    """Format one annotation; VOC counts pixels from 1, and both ends of a box are inside."""
    lines = ["<annotation>", f"\t<filename>{escape(stem)}.png</filename>"]
    for label, (left, top, width, height) in ((label, box) for label, many in boxes.items() for box in many):
        sides = {"xmin": left + 1, "ymin": top + 1, "xmax": left + width, "ymax": top + height}
        cells = "".join(f"<{side}>{value}</{side}>" for side, value in sides.items())
        lines.append(f"\t<object><name>{escape(label)}</name><bndbox>{cells}</bndbox></object>")
    return "\n".join([*lines, "</annotation>\n"])


def _coco(boxes: dict[str, dict[str, list[list[int]]]]) -> dict[str, Any]:
    annotations = [
        {"image_id": number, "category_id": SHAPE_LABELS.index(label), "bbox": box}
        for number, of_image in enumerate(boxes.values())
        for label, many in of_image.items()
        for box in many
    ]
    height, width = SIZE
    return {
        "images": [
            {"id": number, "file_name": f"{IMAGES}/{stem}.png", "height": height, "width": width}
            for number, stem in enumerate(boxes)
        ],
        "categories": [{"id": index, "name": label} for index, label in enumerate(SHAPE_LABELS)],
        "annotations": [{"id": number, **annotation} for number, annotation in enumerate(annotations)],
    }


def _write_manifest(path: Path, boxes: dict[str, dict[str, list[list[int]]]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "group", "boxes"))
        for stem, of_image in boxes.items():
            for label, many in of_image.items():
                image, tracks = f"{IMAGES}/{stem}.png", [{"start": 0, "end": 1, "boxes": [box]} for box in many]
                writer.writerow((image, label, image, json.dumps(tracks)))
