"""`python -m vidcam`."""

from __future__ import annotations

import sys

from vidcam.cli import main

if __name__ == "__main__":
    sys.exit(main())
