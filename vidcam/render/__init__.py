"""Draw results: overlays, outlines, explanation maps, plots and contact sheets. This package does not import torch."""
