"""Explain, render, score: effects and their order; the arithmetic is in the core."""
