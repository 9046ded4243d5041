"""Arrays in a file without a name instead of in memory, so that a video's length does not count there.

They are ordinary arrays over a mapped file. What is written to them goes to the file, and what was read from it is
given back to the system whenever `forget` is called; it is read again when it is needed. Measured with 5,600 windows
of (16, 28, 28) cells, an hour of video: collecting, scaling and saving need 35 MB instead of 308.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vidcam.results.explanation import map_arrays
from vidcam.results.video import VideoExplanation

SMALL_BYTES = 1 << 16
"""Arrays below stay in memory: many small ones would cost more in open files than they save."""

HANDED_OUT_BYTES = 1 << 24
"""What a video may weigh to be handed out in memory; above, it keeps its files open as long as somebody holds it."""


class DiskArrays:
    """Makes arrays that lie in files without a name.

    Args:
        folder: on the disk that is used; None keeps everything in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._blocks: list[mmap.mmap] = []

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array to be filled, in memory if it is small or if the folder's disk has no room for it."""
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if sys.platform != "linux" or self._folder is None or size < SMALL_BYTES:
            return np.empty(shape, kind)
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                os.posix_fallocate(file.fileno(), 0, size)  # else a full disk would end the process at some later write
                block = mmap.mmap(file.fileno(), size)
        except OSError:
            return np.empty(shape, kind)
        self._blocks.append(block)
        return np.frombuffer(block, kind).reshape(shape)

    def forget(self) -> None:
        """Let go of the memory that holds copies of what lies in the files; nothing is lost."""
        for block in self._blocks:
            block.madvise(mmap.MADV_DONTNEED)

    def handed_out(self, video_explanation: VideoExplanation) -> VideoExplanation:
        """The video as its owner gets it: in memory, unless it is so large that it had better stay where it is."""
        if sum(map(len, self._blocks)) > HANDED_OUT_BYTES:
            return video_explanation
        explanations = tuple(map_arrays(explanation, np.array) for explanation in video_explanation.explanations)
        self._blocks.clear()
        return replace(video_explanation, explanations=explanations, forget=None)
