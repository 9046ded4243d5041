"""Weights: fetched, cached, checked, and read without running anything in them."""
