"""What the tests of networks of every kind share: the methods, an end behind the scores, a comparison of maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

from tests.helpers.nets import PooledHead, seeded
from vidcam.results.explanation import Explanation

CHEAP = ("gradcam", "gradcam+", "gradcam++", "hirescam", "layercam")
EVERY = (*CHEAP, "gradcam++signed", "gradcam++softmax", "cam", "guided-gradcam", "guided-gradcam+", "guided-gradcam++")


def assert_alike(first: Explanation, second: Explanation, *, tolerance: float = 1e-5) -> None:
    """The same methods with the same maps, relative to their maxima; guided ones to three times as much."""
    for ours, theirs, times in ((first.volumes, second.volumes, 1), (first.guided, second.guided, 3)):
        assert list(ours) == list(theirs)
        for name, volume in ours.items():
            scale = max(float(np.abs(theirs[name]).max()), 1e-30)
            np.testing.assert_allclose(
                volume / scale, theirs[name] / scale, rtol=0, atol=times * tolerance, err_msg=name
            )


class Ending(nn.Module):
    """The pooled network with something behind its scores, which may be scaled up."""

    def __init__(self, end: Callable[[Tensor], Any] = lambda scores: scores, *, scale: float = 1.0) -> None:
        super().__init__()
        self.net, self.end, self.scale = seeded(PooledHead), end, scale

    def forward(self, clip: Tensor) -> Any:
        return self.end(self.scale * self.net(clip))
