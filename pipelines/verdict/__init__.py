"""Measure how far maps can be trusted on the clips that they explain."""
