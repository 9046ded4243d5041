"""The grating set: drifting gratings among static ones, with exact ground truth. See docs/motion.md.

A clip has four round patches with gratings. Some of them, the targets, drift for a while. The direction is the class.
The others never move. A single frame does not show which patch drifts, or which way. The targets of a clip may be of
different classes, so that a map for one class can be compared with the truth of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidcam.motion.clip import SIZE, centres_apart
from vidcam.motion.draws import Draws, draws_for
from vidcam.motion.paths import FRAMES, Values, acting_frames

GRATING_LABELS = ("right", "left", "down", "up")
"""The classes in the models' order: directions of drift. Class 2p + 1 is class 2p with time reversed."""

PATCHES = 4
RADIUS_PX = 9.5
APART_PX = 20.0
"""Smallest distance between the centres of two patches. They never touch."""

MIN_DRIFT_FRAMES, MAX_DRIFT_FRAMES = 8, 12
WAVELENGTH_PX = (7.0, 10.0)
SPEED = (0.2, 0.3)
"""Cycles per frame."""

AMPLITUDE = (35.0, 80.0)
LEVEL = (105.0, 150.0)  # the darkest pixel is 105 - 80 - 20, the lightest 150 + 80 + 20
NOISE = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class GratingClip:
    """Frames and their ground truth.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB.
        labels: M indices of classes in `GRATING_LABELS`, one per target.
        masks: (M, T, H, W) bool, the pixels of each target, in all frames.
        intervals: M half-open intervals of frames in which each target drifts.
    """

    frames: NDArray[np.uint8]
    labels: tuple[int, ...]
    masks: NDArray[np.bool_]
    intervals: tuple[tuple[int, int], ...]

    @property
    def instances(self) -> NDArray[np.bool_]:
        """(M, T, H, W) bool, each target while it drifts: the evidence for its class in space and time."""
        return self.masks & acting_frames(self.intervals, len(self.frames))[:, :, None, None]


def make_grating_clip(seed: int, labels: Sequence[int]) -> GratingClip:
    """Make a clip of a seed and the classes of its targets; equal arguments give equal clips.

    Args:
        seed: >= 0.
        labels: one to four indices in `GRATING_LABELS`, one per target.

    Raises:
        InputError: a negative seed, an unknown class, or another number of targets.
    """
    draws = draws_for(seed, labels, classes=len(GRATING_LABELS), most=PATCHES)
    discs = [_disc(centre) for centre in centres_apart(draws, PATCHES, margin_px=RADIUS_PX, apart_px=APART_PX)]
    pixels = np.broadcast_to(draws.uniforms(*LEVEL, 3), (FRAMES, *SIZE, 3)).copy()
    intervals: list[tuple[int, int]] = []
    for index, disc in enumerate(discs):
        axis, drift = draws.integer(0, 1), np.zeros(FRAMES)
        if index < len(labels):
            axis, is_backwards = divmod(labels[index], 2)
            interval, drift = _drift(draws)
            drift = -drift if is_backwards else drift
            intervals.append(interval)
        pixels[:, disc] += _grating(draws, np.nonzero(disc)[1 - axis], drift)
    pixels += draws.uniforms(-NOISE, NOISE, FRAMES, *SIZE, 1)
    masks = np.stack(discs[: len(labels)])[:, None].repeat(FRAMES, axis=1)
    return GratingClip(pixels.round().astype(np.uint8), tuple(labels), masks, tuple(intervals))


def _disc(centre: tuple[float, float]) -> NDArray[np.bool_]:
    """(H, W) bool: the pixels whose middle is within the radius."""
    y, x = (np.arange(length) + 0.5 - middle for length, middle in zip(SIZE, centre, strict=True))
    return np.asarray(y[:, None] ** 2 + x[None, :] ** 2 <= RADIUS_PX**2)


def _drift(draws: Draws) -> tuple[tuple[int, int], Values]:
    """Draw an interval and the cycles that the grating has moved by in each frame, (T,)."""
    length = draws.integer(MIN_DRIFT_FRAMES, MAX_DRIFT_FRAMES)
    start = draws.integer(0, FRAMES - length)
    steps: Values = np.clip(np.arange(FRAMES) - start, 0, length - 1).astype(np.float64)
    return (start, start + length), steps * draws.uniform(*SPEED)


def _grating(draws: Draws, places: NDArray[np.int64], drift: Values) -> Values:
    """Draw a grating around 0, (T, P, 3), at P pixels with coordinates `places` across its stripes."""
    wavelength, phase = draws.uniform(*WAVELENGTH_PX), draws.uniform(0.0, 1.0)
    wave = np.sin(2.0 * np.pi * (places / wavelength - drift[:, None] + phase))
    return wave[..., None] * draws.uniforms(*AMPLITUDE, 3)
