"""The fonts of all drawn text, and what they cannot draw."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path

from matplotlib import font_manager

_DEFAULT_FAMILY = "DejaVu Sans"  # comes with matplotlib
_CJK_FAMILIES = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "PingFang SC", "Microsoft YaHei")
_MISSING_GLYPH = "□"


@cache
def families() -> tuple[str, ...]:
    """Return the names of the fonts, in the order in which they are tried."""
    installed = set(font_manager.get_font_names())
    return (_DEFAULT_FAMILY, *(family for family in _CJK_FAMILIES if family in installed))


def drawable(text: str) -> str:
    """Replace control characters by spaces, and characters that no font has by a box."""
    files = [font_manager.findfont(font_manager.FontProperties(family=family)) for family in families()]
    fonts = [font_manager.get_font(Path(file)) for file in files]
    printable = "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)
    return "".join(
        character if any(font.get_char_index(ord(character)) for font in fonts) else _MISSING_GLYPH
        for character in printable
    )
