from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from vidcam.cam.inputs import first_clip, ordinary, pathways, reference
from vidcam.errors import ShapeError

CLIP = torch.zeros(2, 3, 4, 5, 5)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (None, "got NoneType"),
        (np.zeros((1, 3, 4, 4)), "or a list of such, got ndarray"),
        ([], "got an empty list"),
        ([CLIP, None], r"got a tensor \(2, 3, 4, 5, 5\), NoneType"),
        (torch.zeros(3, 4), r"got a tensor \(3, 4\)"),
        ([CLIP, CLIP[:1]], r"every pathway must have the same number of clips, at least one, got \(2, 3, 4, 5, 5\), "),
        (CLIP[:0], r"at least one, got \(0, 3, 4, 5, 5\)"),
    ],
)
def test_what_is_no_clip(clip: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        pathways(clip)


def test_maps_are_drawn_on_the_pathway_of_the_most_cells() -> None:
    slow, fast = torch.zeros(1, 64, 2, 5, 5), torch.zeros(1, 3, 8, 5, 5)
    assert reference([slow, fast]) is fast
    assert reference([fast, slow]) is fast
    assert reference(slow) is slow


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_tuple_stays_a_tuple(kind: type) -> None:
    given = kind([CLIP, CLIP + 1])
    for made in (first_clip(given), ordinary(given)):
        assert type(made) is kind
        assert torch.equal(made[1], (CLIP + 1)[: len(made[1])])
    assert len(first_clip(CLIP)) == 1


def test_clips_made_in_inference_mode_are_copied_and_others_are_not() -> None:
    with torch.inference_mode():
        clip = CLIP + 1
        copy = ordinary(clip)
    assert isinstance(copy, torch.Tensor)
    assert not copy.is_inference()
    assert torch.equal(copy, clip)
    assert ordinary(CLIP) is CLIP
