"""Colours of plots, and colour tables for evidence from 0 (none) to 1 (the strongest in the video).

The default table, `vidcam`, runs from dark blue over violet, pink and orange to yellow. Its lightness increases in even
steps: in colour, in grey, and for the common kinds of colour blindness. Its colours are more saturated than those of
inferno or viridis, so that they differ from skin, grass, sky and snow. `docs/evidence/overlay.md` compares them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import name_not_found

ColourTable = NDArray[np.uint8]

DEFAULT_COLOURS = "vidcam"

_DEFAULT_STOPS = ((10, 0, 104), (140, 0, 180), (230, 30, 158), (255, 118, 60), (254, 196, 34), (255, 255, 0))
"""RGB at even distances."""

PLOT_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#b5338a", "#56a5d8", "#b98300", "#5b3a8c", "#4d4d4d")
"""Colours of curves on a white background, used in this order."""


def colour_table(name: str = DEFAULT_COLOURS) -> ColourTable:
    """Sample a colour map at 256 values.

    Args:
        name: `vidcam`, or one of matplotlib's, as it spells it: 'inferno', 'viridis', 'turbo', 'gray', …

    Returns:
        (256, 3) uint8, RGB. Row q is the colour of evidence q / 255.

    Raises:
        NameNotFoundError: there is no such colour map.
    """
    if name == DEFAULT_COLOURS:
        stops = np.array(_DEFAULT_STOPS, dtype=np.float64)
        positions, values = np.linspace(0.0, 1.0, len(stops)), np.linspace(0.0, 1.0, 256)
        return np.stack([np.round(np.interp(values, positions, stop)) for stop in stops.T], axis=1).astype(np.uint8)
    import matplotlib as mpl  # imported here, because it takes 0.15 s

    if name not in mpl.colormaps:
        raise name_not_found(
            "colour map",
            name,
            [DEFAULT_COLOURS, *mpl.colormaps],
            "vidcam, inferno, magma, viridis and plasma are good choices",
        )
    colours = mpl.colormaps[name](np.linspace(0.0, 1.0, 256))[:, :3]
    return np.round(colours * 255.0).astype(np.uint8)
