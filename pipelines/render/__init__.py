"""From saved maps and their video to pictures; no model, no torch."""
