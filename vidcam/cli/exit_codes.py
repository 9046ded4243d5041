"""Exit codes, and an error as one sentence."""

from __future__ import annotations

import click

from vidcam.errors import InputError

DONE, FAILED, UNUSABLE = 0, 1, 2


def exit_code(error: Exception) -> int:
    """Return UNUSABLE if the input or the arguments are the problem, else FAILED."""
    return UNUSABLE if isinstance(error, InputError | click.ClickException) else FAILED


def error_sentence(error: Exception) -> str:
    """The error as one sentence for standard error."""
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        message = error.format_message().removesuffix(".")
        command = context.command_path if context else "vidcam"
        return f"{message} See {command} --help" if message.endswith("?") else f"{message}; see {command} --help"
    if isinstance(error, OSError):  # such as a full disk behind standard output
        return f"I/O error: {error.strerror or error}"
    return str(error)


def starvation(error: Exception) -> str | None:
    """Return the sentence for an error that comes of too little memory or too few threads; None for others."""
    if isinstance(error, MemoryError):
        return "not enough memory; free some, or use a smaller video or --batch-size"
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "the system starts no more threads; close some programs, or raise the limit (ulimit -u)"
    return None
