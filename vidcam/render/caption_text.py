"""The text of a caption, and how numbers are written in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from vidcam.results.verdict import VerdictWord

CaptionPlace = Literal["none", "inside", "margin"]
"""Where captions are: nowhere, on the frame, or in a bar below the frame."""

CAPTION_PLACES: tuple[CaptionPlace, ...] = get_args(CaptionPlace)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of text: before, label, after, detail.

    Attributes:
        label: name of a class; shortened if the row is too wide.
        before: text before the label.
        after: text after the label.
        detail: further text, which small captions leave out.
    """

    label: str = ""
    before: str = ""
    after: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Caption:
    """The text of a caption at a moment.

    Attributes:
        rows: the first one names what is shown; further ones are less important, the last one least.
        method: name of the method.
        word: the verdict on the map, beside the method; None: nothing is said.
    """

    rows: tuple[Row, ...]
    method: str = ""
    word: VerdictWord | None = None


def percent(probability: float, *, digits: int | None = None) -> str:
    """Format a probability as a percentage. Only exactly 0 and 1 give '0 %' and '100 %'.

    Args:
        probability: in [0, 1]; NaN where the model has none.
        digits: digits after the decimal point; None: one below 10 %, else none.

    Returns:
        '93 %', or '< 1 %' and '> 99 %' where rounding would give 0 or 100; '' for NaN.
    """
    if math.isnan(probability):
        return ""
    if digits is None:
        digits = int(0.0 < probability < 0.0995)
    text, step = f"{100 * probability:.{digits}f}", 10.0**-digits
    if probability > 0.0 and float(text) == 0.0:
        return f"< {step:.{digits}f} %"
    if probability < 1.0 and float(text) == 100.0:
        return f"> {100 - step:.{digits}f} %"
    return f"{text} %"
