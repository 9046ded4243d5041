"""High dynamic range (PQ and HLG, Rec. ITU-R BT.2100) to what a BT.709 screen shows, by one stated curve.

    signal → light in cd/m² → in units of reference white, 203 cd/m² (Rep. ITU-R BT.2408)
           → BT.2020 to BT.709 primaries → highlights rolled off → signal of a BT.1886 screen, light ** (1 / 2.4)

PQ is absolute light. HLG is shown as on a screen of 1000 cd/m², system gamma 1.2. The roll-off leaves the largest of
the three channels as it is up to 0.6 of white and maps what is above, without end, onto [0.6, 1):

    x → 0.6 + 0.4 (1 - exp(-(x - 0.6) / 0.4))

It is applied as one factor to all three, so that hues stay; negative light, outside BT.709, is cut off.
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
_ROWS_AT_ONCE = 128


class ToneMapper:
    """Pictures in PQ or HLG to 8 bits of BT.709; tables are worked out once.

    Args:
        transfer: which curve the signal follows.
        is_wide: whether its primaries are BT.2020; otherwise they are taken as BT.709.
    """

    def __init__(self, transfer: Transfer, *, is_wide: bool) -> None:
        signal = np.arange(65536) / 65535
        self._is_hlg = transfer == "hlg"
        self._light = (hlg_scene_light(signal) if self._is_hlg else pq_light(signal)).astype(np.float32)
        self._matrix = BT2020_TO_BT709 if is_wide else np.eye(3, dtype=np.float32)
        levels = 255 * (np.arange(_TABLE_SIZE) / (_TABLE_SIZE - 1)) ** (1 / 2.4 * 2)  # over the root: finer in the dark
        self._levels = np.round(levels).astype(np.uint8)

    def __call__(self, picture: NDArray[np.uint16]) -> Frames:
        """(H, W, 3) uint8 RGB of (H, W, 3) uint16 R'G'B' over the full range."""
        shown = np.empty(picture.shape, np.uint8)
        for top in range(0, picture.shape[0], _ROWS_AT_ONCE):  # light takes four times the memory
            rows = slice(top, top + _ROWS_AT_ONCE)
            shown[rows] = self._shown(picture[rows])
        return shown

    def _shown(self, picture: NDArray[np.uint16]) -> Frames:
        light = self._light[picture]
        if self._is_hlg:
            luminance = light @ _BT2020_LUMINANCE
            light = light * (_HLG_PEAK / REFERENCE_WHITE * luminance ** (_HLG_GAMMA - 1))[..., None]
        light = np.maximum(light @ self._matrix.T, 0.0)
        brightest = light.max(axis=-1, keepdims=True)
        light *= rolled_off(brightest) / np.maximum(brightest, np.float32(1e-9))
        places = np.sqrt(light) * np.float32(_TABLE_SIZE - 1) + np.float32(0.5)
        found: Frames = self._levels[places.astype(np.uint16)]
        return found


def pq_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of a PQ signal 0…1 (BT.2100, table 4), in units of reference white."""
    root = np.maximum(signal, 0.0) ** (1 / 78.84375)
    light: NDArray[np.float64] = (np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (
        1 / 0.1593017578125
    )
    return light * (10_000 / REFERENCE_WHITE)


def hlg_scene_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scene light 0…1 of an HLG signal 0…1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light: NDArray[np.float64] = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return light


def rolled_off(light: Light) -> Light:
    """Light in units of reference white, as it is up to KNEE, above onto [KNEE, 1)."""
    above = np.maximum(light - KNEE, 0.0)
    rolled: Light = np.where(light <= KNEE, light, KNEE + (1 - KNEE) * (1 - np.exp(-above / (1 - KNEE))))
    return rolled.astype(np.float32)
