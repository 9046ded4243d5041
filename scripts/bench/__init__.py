"""Benchmarks of vidcam, also beside other tools."""
