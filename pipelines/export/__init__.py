"""Saved explanations as files that other programs open."""
