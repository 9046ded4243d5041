from __future__ import annotations

import numpy as np
import pytest

from vidcam.errors import ShapeError
from vidcam.motion import make_clip
from vidcam.motion.box_tracks import bounding_boxes, box_tracks, filled_boxes


def test_bounding_boxes_of_a_small_mask() -> None:
    mask = np.zeros((2, 6, 8), np.bool_)
    mask[0, 1:4, 2:7] = True
    mask[1, 5, 0] = mask[1, 0, 3] = True
    assert bounding_boxes(mask).tolist() == [[2, 1, 5, 3], [0, 0, 4, 6]]
    with pytest.raises(ShapeError, match=r"in every frame, got mask.shape = \(3, 6, 8\)"):
        bounding_boxes(np.zeros((3, 6, 8), np.bool_))


@pytest.mark.parametrize("actors", [1, 3])
def test_tracks_bound_the_actors_during_the_action(actors: int) -> None:
    clip = make_clip(21, 3, actors=actors)
    tracks, regions = box_tracks(clip, scale=2), filled_boxes(clip)
    assert [(track["start"], track["end"]) for track in tracks] == list(clip.intervals)
    for track, region, instance in zip(tracks, regions, clip.instances, strict=True):
        assert not (instance & ~region).any()
        for frame, (left, top, width, height) in zip(range(track["start"], track["end"]), track["boxes"], strict=True):
            rows, columns = np.nonzero(instance[frame])
            assert [2 * int(columns.min()), 2 * int(rows.min())] == [left, top]
            assert [2 * int(columns.max() + 1), 2 * int(rows.max() + 1)] == [left + width, top + height]
            assert region[frame].sum() * 4 == width * height
        assert not region[: track["start"]].any()
        assert not region[track["end"] :].any()
