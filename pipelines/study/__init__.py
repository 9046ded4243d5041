"""Sets of synthetic clips with known ground truth."""
