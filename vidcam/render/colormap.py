"""Colours of plots, and colour tables for evidence from 0 (none) to 1 (the strongest in the video).

The default is `inferno`. It is perceptually uniform: equal steps of evidence look like equal steps. It is suitable for
colour-blind readers. Its black end keeps unimportant pixels dark, and its yellow end differs from skin and grass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import name_not_found

ColourTable = NDArray[np.uint8]

DEFAULT_COLOURS = "inferno"

PLOT_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#b5338a", "#56a5d8", "#b98300", "#5b3a8c", "#4d4d4d")
"""Colours of curves on a white background, used in this order."""


def colour_table(name: str = DEFAULT_COLOURS) -> ColourTable:
    """Sample one of matplotlib's colour maps at 256 values.

    Args:
        name: as matplotlib spells it: 'inferno', 'magma', 'viridis', 'plasma', 'turbo', 'gray', …

    Returns:
        (256, 3) uint8, RGB. Row q is the colour of evidence q / 255.

    Raises:
        NameNotFoundError: matplotlib has no such colour map.
    """
    import matplotlib as mpl  # imported here, because it takes 0.15 s

    if name not in mpl.colormaps:
        raise name_not_found(
            "colour map", name, list(mpl.colormaps), "inferno, magma, viridis and plasma are good choices"
        )
    colours = mpl.colormaps[name](np.linspace(0.0, 1.0, 256))[:, :3]
    return np.round(colours * 255.0).astype(np.uint8)
