"""Mosaics: where the copies of an image lie, by hand."""

from __future__ import annotations

import numpy as np
import torch

from scripts.research.mosaics import Tile, explain_mosaics, mosaic
from vidcam.models.registry import load_model


def test_a_mosaic_by_hand() -> None:
    """Two copies of the image 1 2 3 4 (in each row of 4 × 4), the second mirrored and halved, and two other images."""
    tile = Tile(torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(3, 4, 4), 7)
    others = [Tile(torch.full((3, 4, 4), value), 0) for value in (8.0, 9.0)]
    canvas, masks = mosaic(tile, others, [2, 1, 0, 3])
    assert canvas.shape == (3, 8, 8)
    first, second = (np.argwhere(mask).tolist() for mask in masks)
    assert first == [[y, x] for y in range(4, 8) for x in range(4)]
    assert second == [[y, x] for y in (1, 2) for x in (5, 6)]
    assert canvas[0, 4].tolist() == [1, 2, 3, 4, 9, 9, 9, 9]
    assert canvas[0, 1].tolist() == [8, 8, 8, 8, 0, 3.5, 1.5, 0]


def test_mosaics_of_one_to_four_copies_are_explained() -> None:
    model = load_model("tiny_gap", weights="random")
    generator = torch.Generator().manual_seed(0)
    tiles = [Tile(torch.randn(3, 96, 96, generator=generator), label) for label in range(4)]
    explained = list(explain_mosaics(model, tiles))
    assert {len(entry.image.labels) for entry in explained} <= {1, 2, 3, 4}
    assert 4 <= len(explained) <= 16
    assert all(
        entry.heats["gradcam"].shape == (1, 192, 192) == (1, *entry.image.masks.shape[1:]) for entry in explained
    )
