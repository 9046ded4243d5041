"""Measure vidcam, and vidcam beside other tools: `python -m scripts.bench --help`."""
