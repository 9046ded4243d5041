"""Convert file names and labels of strangers to text that can be printed, and written into tables and reports.

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

_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They change the order in which the characters after them are shown."""

_FORMULA = re.compile("'*[=+@\t\r-]")
_ESCAPED_FORMULA = re.compile("''*[=+@\t\r-]")
_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {mark: f"\\{mark}" for mark in "\\`*[]"})

MAX_STEM_BYTES = 120
"""Limit for the stem, out of 255 bytes for a file name. The rest is for label, method, number and ending."""


def as_text(name: str) -> str:
    r"""Replace each byte that is not valid UTF-8 by `\xNN`, so that the name can be encoded."""
    return _SURROGATE.sub(_escaped_surrogate, name)


def one_line(text: str) -> str:
    r"""Escape line breaks (`\n`), control characters (`\x1b`, `\u202e`) and invalid bytes: the text is one line."""
    return as_text("".join(_escaped(character) for character in text))


def markdown_text(text: str) -> str:
    """Escape text for Markdown: it is one line, and holds no HTML, link or other mark-up."""
    return one_line(text).translate(_MARKDOWN)


def csv_text(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would compute: that begins with `=`, `+`, `-` or `@`."""
    return f"'{text}" if _FORMULA.match(text) else text


def text_of_csv(cell: str) -> str:
    """Return the text of a cell that `csv_text` made."""
    return cell[1:] if _ESCAPED_FORMULA.match(cell) else cell


def safe_stem(name: str) -> str:
    """Make a stem for file names: `_` for unprintable characters, at most MAX_STEM_BYTES in UTF-8."""
    printable = "".join("_" if _is_unprintable(character) else character for character in name)
    return printable.encode()[:MAX_STEM_BYTES].decode(errors="ignore")


def relative_path(path: Path, folder: Path) -> str:
    """Return the path relative to a folder, with forward slashes. Links are resolved."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _escaped(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    is_escaped = _is_unprintable(character) and unicodedata.category(character) != "Cs"
    return character.encode("unicode_escape").decode() if is_escaped else character


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in _UNPRINTABLE or character in _BIDIRECTIONAL


def _escaped_surrogate(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
