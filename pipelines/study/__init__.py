"""Sets of made clips of which the truth is known."""
