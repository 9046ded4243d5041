"""NumPy arrays in memory-mapped temporary files, so that memory does not grow with the length of a video.

`release_memory` gives the memory of the arrays back to the system; their content is read from the file again when it is
needed. Measured with 5,600 windows of (16, 28, 28) cells, an hour of video: 35 MB of memory instead of 308.
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

from vidcam.results.clip_arrays import map_arrays
from vidcam.results.video import VideoExplanation

SMALL_BYTES = 1 << 16
"""Smaller arrays stay in memory, as each array on disk keeps a mapping open."""

IN_MEMORY_BYTES = 1 << 24
"""An explanation up to this size is copied to memory for the caller; a larger one keeps its files open."""


class DiskArrays:
    """Allocates arrays in temporary files.

    Args:
        folder: folder of the files; None keeps all arrays in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._blocks: list[mmap.mmap] = []

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Allocate an array without initial values; in memory if it is small or the disk is full."""
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if sys.platform != "linux" or self._folder is None or size < SMALL_BYTES:
            return np.empty(shape, kind)
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                os.posix_fallocate(file.fileno(), 0, size)  # else a full disk would kill the process at a later write
                block = mmap.mmap(file.fileno(), size)
        except OSError:
            return np.empty(shape, kind)
        self._blocks.append(block)
        return np.frombuffer(block, kind).reshape(shape)

    def release_memory(self) -> None:
        """Give the memory of the arrays back to the system; their content stays in the files."""
        for block in self._blocks:
            block.madvise(mmap.MADV_DONTNEED)

    def small_to_memory(self, video_explanation: VideoExplanation) -> VideoExplanation:
        """Copy an explanation to memory if it is small; else return it as it is."""
        if sum(map(len, self._blocks)) > IN_MEMORY_BYTES:
            return video_explanation
        explanations = tuple(map_arrays(explanation, np.array) for explanation in video_explanation.explanations)
        self._blocks.clear()
        return replace(video_explanation, explanations=explanations, forget=None)
