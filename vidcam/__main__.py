"""Run `vidcam` or `python -m vidcam`. Signal handlers are installed first: importing the command line takes time."""

from __future__ import annotations

from typing import NoReturn

from vidcam.system.memory import keep_freed_memory
from vidcam.system.signals import exit_on_signals
from vidcam.system.telemetry import disable_usage_reports


def program() -> NoReturn:
    """Run the command line in this process."""
    exit_on_signals()
    keep_freed_memory()
    disable_usage_reports()
    from vidcam.cli.app import program as run  # takes 0.2 s, most of it for click

    run()


if __name__ == "__main__":
    program()
