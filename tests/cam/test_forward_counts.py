"""How often `explain` runs a network: once, and once more for a baseline or guided gradients."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

import vidcam
from tests.cam.test_axes import Takes
from tests.helpers.nets import PooledHead, count_forwards, random_clip, seeded

CLIP = random_clip(2, 3, 4, 16, 12)
GREY = CLIP[:1] * 0


@pytest.mark.parametrize("layer", [None, "net.block2"])
@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ({}, 1),
        ({"axes": "NCTHW"}, 1),
        ({"methods": ("gradcam", "neutral-gradcam"), "baseline": GREY}, 2),
        ({"methods": "guided-gradcam"}, 2),
        ({"target": [0, 1]}, 1),
    ],
)
def test_an_ordinary_network(layer: str | None, options: dict[str, Any], runs: int) -> None:
    net = Takes(seeded(PooledHead), "NCTHW")
    forwards = count_forwards(net)
    vidcam.explain(net, CLIP, layer=layer, **options)
    assert forwards.total() == runs


@pytest.mark.parametrize("clip", [CLIP.transpose(1, 2), CLIP.movedim(1, -1)], ids=["NTCHW", "NTHWC"])
def test_axes_that_the_sizes_tell_cost_no_run(clip: Tensor) -> None:
    net = Takes(seeded(PooledHead), "NTCHW" if clip.shape[2] == 3 else "NTHWC")
    forwards = count_forwards(net)
    assert len(vidcam.explain(net, clip).notes) == 2
    assert forwards.total() == 1
