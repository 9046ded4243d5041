"""Colours of plots, and colour tables: what colour evidence has, from 0 (none) to 1 (the most of the whole clip).

The default is `inferno`: perceptually uniform, so equal steps of evidence look like equal steps, and legible to
colour-blind readers; its black end leaves unimportant pixels dark and its yellow end stays apart from skin and grass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import name_not_found

ColourTable = NDArray[np.uint8]

DEFAULT_COLOURS = "inferno"

PLOT_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#b5338a", "#56a5d8", "#b98300", "#5b3a8c", "#4d4d4d")
"""Of curves on white, in turn."""


def colour_table(name: str = DEFAULT_COLOURS) -> ColourTable:
    """The 256 colours of one of matplotlib's colour maps.

    Args:
        name: as matplotlib spells it: 'inferno', 'magma', 'viridis', 'plasma', 'turbo', 'gray', …

    Returns:
        (256, 3) uint8, RGB; row q is the colour of evidence q / 255.

    Raises:
        NameNotFoundError: matplotlib has no such colour map.
    """
    import matplotlib as mpl  # 0.15 s: only who draws pays for it

    if name not in mpl.colormaps:
        raise name_not_found(
            "colour map", name, list(mpl.colormaps), "inferno, magma, viridis and plasma are even steps"
        )
    colours = mpl.colormaps[name](np.linspace(0.0, 1.0, 256))[:, :3]
    return np.round(colours * 255.0).astype(np.uint8)
