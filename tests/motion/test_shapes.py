"""The shape set: its truth, computed a second time from the pixels."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from vidcam.errors import InputError
from vidcam.motion import shapes
from vidcam.motion.background import TextureLayer
from vidcam.motion.draws import Draws
from vidcam.motion.shapes import GAP_PX, RADIUS_PX, SHAPE_LABELS, SIZE, ShapeImage, make_shape_image

GOLDEN = ["63e5f449ac49eef4", "dff72a40b3fa7e4e"]
"""Digests of (seed 0, one triangle) and (seed 7, two stars and a ring)."""


def digest(image: ShapeImage) -> str:
    content = image.pixels.tobytes() + np.packbits(image.masks).tobytes() + repr(image.labels).encode()
    return hashlib.sha256(content).hexdigest()[:16]


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of shapes on flat grey."""
    layer = TextureLayer(np.zeros((3, 24, 24)), 16.0, (0.0, 0.0), (0.0, 0.0))
    monkeypatch.setattr(shapes, "draw_background", lambda _: (layer,))
    monkeypatch.setattr(shapes, "NOISE", 0.0)


def test_the_same_arguments_give_the_same_image_on_any_machine() -> None:
    assert [digest(make_shape_image(0, [0])), digest(make_shape_image(7, [5, 5, 3]))] == GOLDEN


@pytest.mark.usefixtures("flat")
@pytest.mark.parametrize("label", range(len(SHAPE_LABELS)))
def test_the_masks_are_where_the_pixels_differ_from_the_background(label: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "DISTRACTORS", (0, 0))
    for seed in range(4):
        image = make_shape_image(seed, [label] * (1 + seed))
        far = (np.abs(image.pixels.astype(float) - 127.0) > 54.0).all(axis=2)
        edge = (image.pixels != 127).any(axis=2) & ~far
        assert not (far & ~image.masks.any(axis=0)).any()
        assert not (image.masks.any(axis=0) & ~far & ~edge).any()


def test_boxes_are_the_extent_of_the_masks_and_shapes_are_apart() -> None:
    for seed in range(12):
        image = make_shape_image(seed, [seed % 8, (seed + 3) % 8, seed % 8])
        assert image.pixels.shape == (*SIZE, 3)
        assert image.masks.sum(axis=0).max() == 1
        for mask, (left, top, width, height) in zip(image.masks, image.boxes.tolist(), strict=True):
            inside = mask[top : top + height, left : left + width]
            assert inside.sum() == mask.sum()
            assert inside.any(axis=0).all() or SHAPE_LABELS[image.labels[0]] == "ring"
            assert all(line.any() for line in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
            assert max(width, height) <= 2 * RADIUS_PX[1] + 2
            assert min(left, top) >= 0
            assert left + width <= SIZE[1]


def test_sizes_differ_within_an_image() -> None:
    """The footprints of two instances of a class differ, as in GC++ 3.1: half of them by more than 1.5 times."""
    areas = [make_shape_image(seed, [seed % 8] * 2).masks.sum(axis=(1, 2)) for seed in range(60)]
    ratios = np.array([pair.max() / pair.min() for pair in areas])
    assert np.median(ratios) > 1.5
    assert ratios.max() > 3.0


def test_a_gap_is_left_between_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    circles = shapes._apart(Draws(3), 6)
    for index, a in enumerate(circles):
        for b in circles[:index]:
            assert np.hypot(a.y - b.y, a.x - b.x) >= a.radius + b.radius + GAP_PX


@pytest.mark.parametrize(("seed", "labels"), [(-1, [0]), (0, [8]), (0, [-1]), (0, []), (0, [0] * 5)])
def test_invalid_arguments(seed: int, labels: list[int]) -> None:
    with pytest.raises(InputError, match=rf"1 to 4 labels from 0 to 7, got seed = {seed}, labels = \["):
        make_shape_image(seed, labels)
