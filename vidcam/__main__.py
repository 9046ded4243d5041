"""`vidcam` and `python -m vidcam`: handle signals before the command line is imported."""

from __future__ import annotations

from typing import NoReturn

from vidcam.system.memory import keep_freed_memory
from vidcam.system.signals import exit_on_signals
from vidcam.system.telemetry import disable_usage_reports


def program() -> NoReturn:
    """Run the command line as a process of its own."""
    exit_on_signals()
    keep_freed_memory()
    disable_usage_reports()
    from vidcam.cli.app import program as run  # 0.2 s, of which click is the most

    run()


if __name__ == "__main__":
    program()
