"""The networks, one model family per file."""
