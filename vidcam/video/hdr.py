"""Tone-map high dynamic range video (PQ and HLG, Rec. ITU-R BT.2100) to BT.709.

    signal → light in cd/m² → in units of reference white, 203 cd/m² (Rep. ITU-R BT.2408)
           → BT.2020 to BT.709 primaries → highlight roll-off → signal of a BT.1886 display, light ** (1 / 2.4)

PQ is absolute light. HLG is shown as on a display of 1000 cd/m², system gamma 1.2. The roll-off takes the largest of
the three channels. Up to 0.6 of white it stays as it is. Above, [0.6, ∞) is mapped to [0.6, 1):

    x → 0.6 + 0.4 (1 - exp(-(x - 0.6) / 0.4))

All three channels are scaled by the same factor, so the hue does not change. Negative light, which lies outside BT.709,
is clipped.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vidcam.media import Frames

Transfer = Literal["pq", "hlg"]
Light = NDArray[np.float32]

REFERENCE_WHITE = 203.0
KNEE = 0.6

# Rows: BT.709 red, green, blue of BT.2020 red, green, blue (Rep. ITU-R BT.2407).
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)

_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
_HLG_PEAK, _HLG_GAMMA = 1000.0, 1.2

_TABLE_SIZE = 4096
_CHUNK_ROWS = 128


class ToneMapper:
    """Convert PQ or HLG frames to 8-bit BT.709, with tables that are computed once.

    Args:
        transfer: the transfer function of the signal.
        is_wide: whether the primaries are BT.2020; otherwise BT.709 is assumed.
    """

    def __init__(self, transfer: Transfer, *, is_wide: bool) -> None:
        signal = np.arange(65536) / 65535
        self._is_hlg = transfer == "hlg"
        self._light = (hlg_inverse_oetf(signal) if self._is_hlg else pq_eotf(signal)).astype(np.float32)
        self._matrix = BT2020_TO_BT709 if is_wide else np.eye(3, dtype=np.float32)
        # The table is indexed by the square root of light, so that it is finer in the dark.
        levels = 255 * (np.arange(_TABLE_SIZE) / (_TABLE_SIZE - 1)) ** (1 / 2.4 * 2)
        self._levels = np.round(levels).astype(np.uint8)

    def __call__(self, frame: NDArray[np.uint16]) -> Frames:
        """Convert (H, W, 3) uint16 full-range R'G'B' to (H, W, 3) uint8 RGB."""
        mapped = np.empty(frame.shape, np.uint8)
        for top in range(0, frame.shape[0], _CHUNK_ROWS):  # in chunks, because float light needs much memory
            rows = slice(top, top + _CHUNK_ROWS)
            mapped[rows] = self._map(frame[rows])
        return mapped

    def _map(self, frame: NDArray[np.uint16]) -> Frames:
        light = self._light[frame]
        if self._is_hlg:
            luminance = light @ _BT2020_LUMINANCE
            light = light * (_HLG_PEAK / REFERENCE_WHITE * luminance ** (_HLG_GAMMA - 1))[..., None]
        light = np.maximum(light @ self._matrix.T, 0.0)
        brightest = light.max(axis=-1, keepdims=True)
        light *= roll_off_highlights(brightest) / np.maximum(brightest, np.float32(1e-9))
        indices = np.sqrt(light) * np.float32(_TABLE_SIZE - 1) + np.float32(0.5)
        mapped: Frames = self._levels[indices.astype(np.uint16)]
        return mapped


def pq_eotf(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the PQ EOTF (BT.2100, table 4): signal in [0, 1] to light in units of reference white."""
    root = np.maximum(signal, 0.0) ** (1 / 78.84375)
    light: NDArray[np.float64] = (np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (
        1 / 0.1593017578125
    )
    return light * (10_000 / REFERENCE_WHITE)


def hlg_inverse_oetf(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the inverse HLG OETF (BT.2100, table 5): signal in [0, 1] to scene light in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light: NDArray[np.float64] = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return light


def roll_off_highlights(light: Light) -> Light:
    """Compress light above KNEE to [KNEE, 1), in units of reference white; light up to KNEE does not change."""
    above = np.maximum(light - KNEE, 0.0)
    compressed: Light = np.where(light <= KNEE, light, KNEE + (1 - KNEE) * (1 - np.exp(-above / (1 - KNEE))))
    return compressed.astype(np.float32)
