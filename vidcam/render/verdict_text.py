"""How a verdict is written on pictures: a sign, a word and a colour."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vidcam.results.verdict import VerdictWord

SIGNS: Mapping[VerdictWord, str] = MappingProxyType(
    {"reliable": "✓", "doubtful": "?", "unreliable": "✗", "not checked": "–", "too short to tell": "–"}
)

ON_WHITE: Mapping[VerdictWord, str] = MappingProxyType(
    {
        "reliable": "#2a7a43",
        "doubtful": "#a86200",
        "unreliable": "#b3261e",
        "not checked": "#5c6068",
        "too short to tell": "#5c6068",
    }
)
"""Colours of the words on white."""

ON_BLACK: Mapping[VerdictWord, str] = MappingProxyType(
    {
        "reliable": "#86e39d",
        "doubtful": "#ffc658",
        "unreliable": "#ff9384",
        "not checked": "#c9ced6",
        "too short to tell": "#c9ced6",
    }
)
"""Colours of the words on a dark box."""


def signed_word(word: VerdictWord) -> str:
    """Return the sign and the word: '✗ unreliable'."""
    return f"{SIGNS[word]} {word}"
