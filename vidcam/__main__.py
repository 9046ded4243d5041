"""`python -m vidcam`."""

from __future__ import annotations

from vidcam.cli import program

if __name__ == "__main__":
    program()
