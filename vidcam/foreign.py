"""Errors of foreign code, such as a user's own network: what was raised, and where."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from types import TracebackType

_OWN = Path(__file__).parent
_PACKAGES = tuple({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
_INTERPRETER = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_MODULE_CALL = ("_call_impl", ("torch", "nn", "modules", "module.py"))
_MOST_LETTERS = 200


def describe(error: BaseException) -> str:
    """Describe an error: its type, its first line, and the last line of the user's own code.

    Returns:
        One line: "KeyError: 'logits' (own/net.py:12)".
    """
    kind, reason, place = type(error).__name__, first_line(error), place_of(error)
    return (kind if reason == kind else f"{kind}: {reason}") + (f" ({place})" if place else "")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, at most 200 letters; its type if it has no text."""
    text = str(error.msg if isinstance(error, SyntaxError) else error).strip()
    return (text or type(error).__name__).splitlines()[0].strip()[:_MOST_LETTERS]


def is_of_module(error: BaseException) -> bool:
    """Whether an error was raised in the call of a network, not only near it."""
    codes = (frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__))
    return any((code.co_name, Path(code.co_filename).parts[-4:]) == _MODULE_CALL for code in codes)


def place_of(error: BaseException) -> str:
    """Return the last line of the user's code as 'file:line'; of an installed package if there is no other; or ''."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename)}:{error.lineno}"
    places = _places(error.__traceback__)
    own = [place for place in places if not place[0].startswith(_PACKAGES)]
    file, line = next(reversed(own or places), ("", 0))
    return f"{_shown(file)}:{line}" if file else ""


def _places(trace: TracebackType | None) -> list[tuple[str, int]]:
    """Return file and line of the frames that are neither vidcam's, nor torch's, nor the interpreter's."""
    places = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace))
    return [(file, line) for file, line in places if not _is_known(file)]


def _is_known(file: str) -> bool:
    path = Path(file)
    if file.startswith("<") or path.is_relative_to(_OWN) or path.resolve().is_relative_to(_OWN.resolve()):
        return True
    if file.startswith(_PACKAGES):
        return any(path.is_relative_to(Path(folder) / "torch") for folder in _PACKAGES)
    return file.startswith(_INTERPRETER)


def _shown(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
