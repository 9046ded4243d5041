"""Convert file names to text that can be printed and written as UTF-8.

A file name may consist of any bytes. Python represents each byte that is not valid UTF-8 by a lone surrogate. Such text
opens the file, but cannot be encoded. These functions replace the surrogates, and characters that would break a line.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # controls, surrogates, line and paragraph separators

MAX_STEM_BYTES = 120
"""Limit for the stem, out of 255 bytes for a file name. The rest is for label, method, number and ending."""


def as_text(name: str) -> str:
    r"""Replace each byte that is not valid UTF-8 by `\xNN`, so that the name can be encoded."""
    return _SURROGATE.sub(_escaped_surrogate, name)


def one_line(text: str) -> str:
    r"""Escape line breaks (`\n`), control characters (`\x1b`) and invalid bytes, so that the text is one line."""
    return as_text("".join(_escaped(character) for character in text))


def safe_stem(name: str) -> str:
    """Make a stem for file names: `_` for unprintable characters, at most MAX_STEM_BYTES in UTF-8."""
    printable = "".join("_" if unicodedata.category(character) in _UNPRINTABLE else character for character in name)
    return printable.encode()[:MAX_STEM_BYTES].decode(errors="ignore")


def relative_path(path: Path, folder: Path) -> str:
    """Return the path relative to a folder, with forward slashes. Links are resolved."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _escaped(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    category = unicodedata.category(character)
    return character.encode("unicode_escape").decode() if category in _UNPRINTABLE - {"Cs"} else character


def _escaped_surrogate(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
