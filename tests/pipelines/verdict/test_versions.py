from __future__ import annotations

import numpy as np
import torch

from vidcam.pipelines.verdict.versions import HeatOfClips, frame_mean, hidden, steps

SIZE = (4, 8, 8)


def maps(*, clips: int = 1) -> HeatOfClips:
    """A map of the left half, and one voxel that moves."""
    heat = np.zeros((clips, *SIZE), np.float32)
    heat[..., :4] = 1.0
    pixels = np.zeros((clips, *SIZE, 3), np.float32)
    pixels[:, 2:, :, 4:] = 9.0
    volume = np.arange(clips * 8, dtype=np.float32).reshape(clips, 2, 2, 2)
    return HeatOfClips({"left": heat}, volume, pixels)


def test_each_version_hides_half_or_one_place() -> None:
    masks = {key: mask() for key, mask in steps(maps(clips=2))}
    assert list(masks) == [
        ("left", "half"),
        ("centre", "half"),
        ("left", "place"),
        ("random", "place"),
        ("frame-difference", "half"),
        ("random", "half"),
    ]
    for (_, part), mask in masks.items():
        assert mask.shape == (2, *SIZE)
        np.testing.assert_array_equal(mask.sum(axis=(1, 2, 3)), 128 if part == "half" else 256 - 1 * 2 * 2)
    assert masks["left", "half"][..., :4].all()
    assert not masks["left", "place"][:, :1, :2, :2].any()  # the first maximum is in the corner
    moving = masks["frame-difference", "half"]
    assert moving[:, 1:3, :, 4:].all()  # the change lies between frames 1 and 2
    assert masks["centre", "half"][:, :, 3:5, 3:5].all()
    assert (masks["random", "half"][0] != masks["random", "half"][1]).any()


def test_the_masks_depend_on_the_seed_alone() -> None:
    first, again = (dict(steps(maps())) for _ in range(2))
    assert all((first[key]() == again[key]()).all() for key in first)


def test_an_image_has_no_frame_difference() -> None:
    image = HeatOfClips({"map": np.eye(8)[None]}, np.eye(2)[None], np.zeros((1, 8, 8, 3)))
    assert ("frame-difference", "half") not in dict(steps(image))


def test_hidden_pixels_get_the_mean_colour_of_their_frame() -> None:
    clip = torch.arange(2 * 3 * 2 * 2, dtype=torch.float32).reshape(1, 2, 3, 2, 2)
    keep = np.ones((1, 3, 2, 2), np.bool_)
    keep[0, 1, 0, 0] = False
    shown = hidden(clip, keep, frame_mean(clip))
    assert shown[0, 0, 1, 0, 0] == (4 + 5 + 6 + 7) / 4
    assert shown[0, 1, 1, 0, 0] == (16 + 17 + 18 + 19) / 4
    assert int((shown != clip).sum()) == 2
    signal = torch.tensor([[[1.0, 2.0, 6.0]]])
    assert frame_mean(signal).tolist() == [[[3.0]]]


def test_a_pathway_of_half_the_frames_gets_every_other_mask() -> None:
    keep = np.zeros((1, *SIZE), np.bool_)
    keep[:, 2:] = True
    shown = hidden(torch.ones(1, 3, 2, 16, 8), keep, torch.zeros(1))
    assert shown[:, :, 0].sum() == 0
    assert shown[:, :, 1].min() == 1
