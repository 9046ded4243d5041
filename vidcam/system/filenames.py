"""Names of files as text: a name may be any bytes, a line of output, a document and a result's own name may not.

Python puts a lone surrogate for each byte of a name that is no UTF-8. Such text finds the file, but can be neither
printed nor written as UTF-8. Here it becomes readable, and what would break a line is taken out of it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

_SURROGATE = re.compile("[\ud800-\udfff]")
_BREAKING = {"Cc", "Cs", "Zl", "Zp"}  # controls, surrogates, and what starts a new line or paragraph

LONGEST_STEM_BYTES = 120
"""Of the 255 that a file name may have; the rest is for the label, the method, a number and the ending."""


def as_text(name: str) -> str:
    r"""The name as text that can be encoded: a byte that is no UTF-8 becomes `\xNN`, all else stays as it is."""
    return _SURROGATE.sub(_escaped_surrogate, name)


def one_line(text: str) -> str:
    r"""The text as a single line that can be encoded: a line break becomes `\n`, an escape `\x1b`, and so on."""
    return as_text("".join(_escaped(character) for character in text))


def safe_stem(name: str) -> str:
    """The name as the beginning of file names: no controls or odd bytes, at most LONGEST_STEM_BYTES in UTF-8."""
    kept = "".join("_" if unicodedata.category(character) in _BREAKING else character for character in name)
    return kept.encode()[:LONGEST_STEM_BYTES].decode(errors="ignore")


def relative_path(path: Path, folder: Path) -> str:
    """The path as seen from a folder, with forward slashes; links are followed."""
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def _escaped(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    category = unicodedata.category(character)
    return character.encode("unicode_escape").decode() if category in _BREAKING - {"Cs"} else character


def _escaped_surrogate(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
