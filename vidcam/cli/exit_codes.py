"""Exit codes, and an error as one sentence."""

from __future__ import annotations

import errno
from types import MappingProxyType

import click

from vidcam.errors import InputError
from vidcam.system.shortage import DESCRIPTORS, EITHER, MEMORY, shortage

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
        return starvation(error) or f"I/O error: {error.strerror or error}"
    return str(error)


_OF_SYSTEM_ERRORS = MappingProxyType(
    {errno.EMFILE: DESCRIPTORS, errno.ENFILE: DESCRIPTORS, errno.ENOMEM: MEMORY, errno.EAGAIN: EITHER}
)


def starvation(error: Exception) -> str | None:
    """Return the sentence for an error that comes of too little memory, threads or open files; None for others."""
    if isinstance(error, OSError):
        return _OF_SYSTEM_ERRORS.get(error.errno or 0)
    is_unmapped = isinstance(error, ImportError) and "failed to map segment" in str(error)  # of a shared library
    if isinstance(error, MemoryError) or is_unmapped:
        return MEMORY
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return shortage() or EITHER
    return shortage() if isinstance(error, ImportError) else None
