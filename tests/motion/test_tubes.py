from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.motion import make_clip
from vidcam.motion.tubes import boxes_filled, boxes_of, tubes_of


def test_boxes_by_hand() -> None:
    mask = np.zeros((2, 6, 8), np.bool_)
    mask[0, 1:4, 2:7] = True
    mask[1, 5, 0] = mask[1, 0, 3] = True
    assert boxes_of(mask).tolist() == [[2, 1, 5, 3], [0, 0, 4, 6]]
    with pytest.raises(ShapeError, match=r"with a pixel in every frame, got mask.shape = \(3, 6, 8\)"):
        boxes_of(np.zeros((3, 6, 8), np.bool_))


@pytest.mark.parametrize("actors", [1, 3])
def test_tubes_are_the_smallest_boxes_around_actors_that_act(actors: int) -> None:
    clip = make_clip(21, 3, actors=actors)
    tubes, regions = tubes_of(clip, scale=2), boxes_filled(clip)
    assert [(tube["start"], tube["end"]) for tube in tubes] == list(clip.intervals)
    for tube, region, instance in zip(tubes, regions, clip.instances, strict=True):
        assert not (instance & ~region).any()
        for frame, (left, top, width, height) in zip(range(tube["start"], tube["end"]), tube["boxes"], strict=True):
            rows, columns = np.nonzero(instance[frame])
            assert [2 * int(columns.min()), 2 * int(rows.min())] == [left, top]
            assert [2 * int(columns.max() + 1), 2 * int(rows.max() + 1)] == [left + width, top + height]
            assert region[frame].sum() * 4 == width * height
        assert not region[: tube["start"]].any()
        assert not region[tube["end"] :].any()
