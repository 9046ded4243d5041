"""The windows of a video on one time line, and how their maps are blended.

Raw maps are blended where windows overlap. A window's weight falls linearly from its middle to its ends, so that no map
jumps at a border. Within a window the map is linear in time between the time stamps of the sampled frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidcam.errors import ShapeError
from vidcam.maps import Floats, resize_matrix, time_weights
from vidcam.media import Seconds

EDGE_WEIGHT = 1e-6
"""Weight of a window at its ends. It is above 0: a moment in one window only gets that window's map."""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Times of the N windows of a video.

    Attributes:
        starts: (N,) start of each window, seconds.
        ends: (N,) end of each window, not included, seconds.
        frame_seconds: (N, T) time stamps of the source frames in each window's slots.
    """

    starts: Seconds
    ends: Seconds
    frame_seconds: Seconds

    def __post_init__(self) -> None:
        if not self.starts.shape == self.ends.shape == self.frame_seconds.shape[:1] or self.frame_seconds.ndim != 2:
            raise ShapeError(
                f"starts and ends must be (N,), frame_seconds (N, T), got starts.shape = {self.starts.shape}, "
                f"ends.shape = {self.ends.shape}, frame_seconds.shape = {self.frame_seconds.shape}"
            )

    def __len__(self) -> int:
        return int(self.starts.shape[0])

    def blend(self, volumes: Floats, seconds: Seconds, *, factors: Floats | None = None) -> Floats:
        """Blend the windows' maps at given moments.

        Args:
            volumes: raw maps, (N, t, h, w).
            seconds: (S,) moments, in any order.
            factors: (N,) factor of each window's map; None: 1.

        Returns:
            (S, h, w) float32; zeros at moments outside every window.
        """
        to_frames = resize_matrix(self.frame_seconds.shape[1], volumes.shape[1])  # (T, t)
        total = np.zeros((seconds.size, *volumes.shape[2:]))
        if seconds.size == 0:
            return total.astype(np.float32)
        weight = np.zeros(seconds.size)
        for index in np.flatnonzero((self.starts <= seconds.max()) & (self.ends > seconds.min())):
            inside = np.flatnonzero((seconds >= self.starts[index]) & (seconds < self.ends[index]))
            weights = self._triangle_weights(int(index), seconds[inside])
            times = time_weights(seconds[inside], self.frame_seconds[index]) @ to_frames  # (S', t)
            scaled = weights if factors is None else weights * factors[index]
            total[inside] += scaled[:, None, None] * np.tensordot(times, volumes[index], axes=1)
            weight[inside] += weights
        blended: Floats = (total / np.where(weight > 0, weight, 1)[:, None, None]).astype(np.float32)
        return blended

    def _triangle_weights(self, index: int, seconds: Seconds) -> Seconds:
        half = (self.ends[index] - self.starts[index]) / 2
        weights: Seconds = np.maximum(1 - np.abs(seconds - self.starts[index] - half) / half, EDGE_WEIGHT)
        return weights
