"""Benchmarks, research, and the figures of the documentation."""
