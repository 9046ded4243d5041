"""How large a frame may be: a few damaged bytes make one of gigabytes, or a line a million pixels long.

8K, also for both eyes, and the longest strips that are films lie well below.
"""

from __future__ import annotations

from vidcam.errors import MediaError

MOST_PIXELS = 8192 * 8192
LONGEST_SIDE_PX = 16_384
"""H.264 is not encoded beyond."""

MOST_STRETCHED = 100


def is_reasonable(size: tuple[int, int]) -> bool:
    """Whether frames of (height, width) are shown to a model."""
    shorter, longer = sorted(size)
    return shorter * longer <= MOST_PIXELS and longer <= LONGEST_SIDE_PX and longer <= MOST_STRETCHED * shorter


def require_reasonable(path: str, size: tuple[int, int]) -> None:
    """Refuse frames that cannot be meant.

    Args:
        path: for the message.
        size: (height, width), at least 1 each.

    Raises:
        MediaError: too many pixels, or too long a strip.
    """
    if not is_reasonable(size):
        height, width = size
        raise MediaError(
            f"the frames of {path!r} claim to be {width}×{height} pixels, expected at most {MOST_PIXELS // 10**6} "
            f"million, {LONGEST_SIDE_PX} a side and {MOST_STRETCHED}:1; the file is damaged, or scale it down"
        )
