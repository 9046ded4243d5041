"""Hostile annotations of images: Pascal VOC and COCO, damaged by a seed."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.helpers.hostile_changes import BAD_VALUES, changed_bytes, changed_json
from vidcam.models.specs import TINY_VGG_SPEC
from vidcam.pipelines.score.clips import read_clips
from vidcam.pipelines.score.samples import load_sample
from vidcam.pipelines.study.shape_set import ANNOTATIONS, COCO, two_classes, write_shape_set

_DECLARATIONS = (
    '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;">]>',
    '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    '<?xml version="1.0" encoding="utf-7"?>',
    '<?xml version="1.0" encoding="no-such"?>',
    "<!-- " + "a" * 10_000 + " -->",
    "<a>" * 100_000,
)


def write_annotations(folder: Path, draw: random.Random) -> Path:
    """A set of three images with damaged annotations in one of the two formats, or a damaged list of its images."""
    images = write_shape_set(two_classes(3), folder / "set")
    kind = draw.choice(("voc", "voc", "coco", "list"))
    if kind == "coco":
        path = images / COCO
        document = json.loads(path.read_text("utf-8"))
        for _ in range(draw.choice((1, 2, 5))):
            document = changed_json(document, draw)
        path.write_text(json.dumps(document), "utf-8")
        if draw.random() < 0.3:
            path.write_bytes(changed_bytes(path.read_bytes(), draw))
        return path
    if kind == "list":
        lines = [path.stem for path in sorted((images / ANNOTATIONS).iterdir())]
        lines[draw.randrange(3)] = str(draw.choice(BAD_VALUES))
        (images / "val.txt").write_bytes(changed_bytes("\n".join(lines).encode("utf-8"), draw))
        return images / "val.txt"
    for path in (images / ANNOTATIONS).iterdir():
        text = path.read_text("utf-8")
        if draw.random() < 0.5:
            numbers = [part for part in text.replace("<", ">").split(">") if part.isdigit()]
            text = text.replace(draw.choice(numbers), str(draw.choice(BAD_VALUES)), 1)
        if draw.random() < 0.3:
            text = draw.choice(_DECLARATIONS) + text
        content = text.encode(draw.choice(("utf-8", "utf-8", "utf-16")), "replace")
        path.write_bytes(changed_bytes(content, draw) if draw.random() < 0.5 else content)
    return images


def use_annotations(path: Path) -> None:
    """Read the set and decode each image with its boxes."""
    clips = read_clips(path, out=path.parent / "out")
    assert len(clips.digest) == 64
    for entry in clips.entries:
        load_sample(entry, TINY_VGG_SPEC)
