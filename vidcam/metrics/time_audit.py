"""Does the model use motion? Its probability when the frames are frozen, shuffled or reversed.

A model whose probability is the same on a frozen frame has not used time for this clip. Reversing keeps every frame and
every pair of neighbours, shuffling keeps the frames alone. (When the evidence came is `temporal_iou.course`.)
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError

Change = Literal["frozen", "shuffled", "reversed"]
CHANGES: tuple[Change, ...] = get_args(Change)


def changed_frames(change: Change, frames: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Which frame stands in each of T slots after a change, (T,).

    Args:
        change: `frozen`: the middle frame everywhere; `shuffled`: a random order that is not the original one;
            `reversed`: last frame first.
        frames: T.
        generator: of the shuffle.

    Raises:
        InputError: an unknown change.
    """
    if change not in CHANGES:
        raise InputError(f"change is {change!r}, expected one of {', '.join(CHANGES)}")
    straight = np.arange(frames)
    if change == "frozen":
        return np.full(frames, frames // 2)
    if change == "reversed":
        return straight[::-1].copy()
    order = generator.permutation(frames)
    return np.roll(order, 1) if frames > 1 and (order == straight).all() else order
