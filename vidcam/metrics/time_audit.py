"""Does the model use motion? Compare its probability on frozen, shuffled and reversed frames.

If the probability is the same on a frozen frame, the model has not used time in this clip. Reversing keeps all frames
and all pairs of neighbours; shuffling keeps only the frames. (For the evidence over time see
`temporal_iou.frame_means`.)
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import InputError

Change = Literal["frozen", "shuffled", "reversed"]
CHANGES: tuple[Change, ...] = get_args(Change)


def changed_frames(change: Change, frames: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return the order of the frames after a change: index of the original frame at each position, (T,).

    Args:
        change: `frozen`: the middle frame everywhere; `shuffled`: a random order, but not the original one; `reversed`:
            the last frame first.
        frames: T, the number of frames.
        generator: source of the shuffle.

    Raises:
        InputError: an unknown change.
    """
    if change not in CHANGES:
        raise InputError(f"change is {change!r}, expected one of {', '.join(CHANGES)}")
    original = np.arange(frames)
    if change == "frozen":
        return np.full(frames, frames // 2)
    if change == "reversed":
        return original[::-1].copy()
    order = generator.permutation(frames)
    return np.roll(order, 1) if frames > 1 and (order == original).all() else order
