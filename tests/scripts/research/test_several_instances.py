"""Several instances: the measures by hand, and the tables."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.research import several_instances
from scripts.research.several_instances import COLUMNS, METHODS, ExplainedImage, document, explain_images, filled_boxes
from vidcam.models.registry import load_model
from vidcam.motion.shapes import ShapeImage


@pytest.fixture
def image() -> ShapeImage:
    """Two instances of 2 × 2 and 4 × 4 pixels; the second is a square without a corner."""
    masks = np.zeros((2, 8, 8), np.bool_)
    masks[0, 0:2, 0:2] = masks[1, 4:8, 4:8] = True
    masks[1, 4, 4] = False
    return ShapeImage(np.zeros((8, 8, 3), np.uint8), (3, 3), masks)


def test_measures_by_hand(image: ShapeImage) -> None:
    """The map is 1 on 10 pixels of the large instance, and 0.5 on one pixel of the small one and on 9 outside.

    The instances have 4 + 15 = 19 pixels, so the cut keeps the 10 and 0.9 of each of the other 10.
    """
    heat = np.zeros((1, 8, 8), np.float32)
    heat[0, 5:8, 5:8] = heat[0, 4, 5] = 1.0
    heat[0, 0, 0] = heat[0, 0, 2:8] = 0.5
    heat[0, 1, 2:5] = 0.5
    measured = {
        name: values[0]
        for name, values in several_instances.measures([ExplainedImage(image, {"gradcam": heat})], "gradcam").items()
    }
    small, large = 0.9 / 4, 10 / 15
    assert measured == pytest.approx(
        {
            "found": 0.5,
            "coverage": (small + large) / 2,
            "smallest": small,
            "weakest peak": 0.5,
            "Loc(0.25)": 11 / (4 + 16 + 9),
            "pointing": 1.0,
            "energy": 10.5 / 15,
        }
    )
    assert filled_boxes(image).sum() == 20


def test_the_tables_of_a_network() -> None:
    explained = list(explain_images(load_model("tiny_gap", weights="random"), 64))
    assert 0 < len(explained) < 32
    assert all(entry.heats["gradcam"].shape == (1, 96, 96) for entry in explained)
    one = {count: next(each for each in explained if len(each.image.labels) == count) for count in (1, 2, 3, 4)}
    text = "\n".join(document(list(one.values())))
    assert text.startswith("2, 3, 4 instances, 3 images:")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert sum(line.split(" |")[0].strip("| ") in METHODS for line in rows) == len(METHODS)
    assert sum(line.startswith(("| 1 |", "| 2 |", "| 3 |", "| 4 |")) for line in rows) == 12
    assert all(line.count("|") == len(COLUMNS) + 3 for line in rows if line.startswith("| 2 |"))
