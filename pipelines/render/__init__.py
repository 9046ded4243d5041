"""Draw saved maps on their video; needs no model and no torch."""
