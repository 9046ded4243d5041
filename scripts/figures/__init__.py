"""Draw the figures of the documentation: `python -m scripts.figures --help`."""
