"""Write numbers for people: means with intervals, ratios, p-values; a dash for what is undefined."""

from __future__ import annotations

import math

from vidcam.pipelines.score.summary import Mean


def interval(mean: Mean, digits: int = 1, *, n: int | None = None) -> str:
    """Format a mean and its interval: '61.0 [55.2, 66.1]'.

    Args:
        mean: without an interval only the value is written.
        digits: after the point.
        n: number of clips that the reader expects; another number of the mean is written out: '0.42 (n = 1)'.
    """
    if mean.value is None:
        return "–"
    ends = "" if mean.low is None else f" [{number(mean.low, digits)}, {number(mean.high, digits)}]"
    return f"{number(mean.value, digits)}{ends}" + f" (n = {mean.n})" * (n is not None and mean.n != n)


def number(value: float | None, digits: int = 1) -> str:
    """Format a number with fixed digits."""
    return "–" if value is None else f"{value:.{digits}f}"


def factor(log: Mean, sign: int = 1) -> str:
    """Format the ratio of a log ratio and its interval: of a over b, or of b over a with sign -1."""
    if log.value is None:
        return "–"
    if log.low is None or log.high is None:
        return ratio(math.exp(sign * log.value))
    return ratio(math.exp(sign * log.value), *sorted(math.exp(sign * end) for end in (log.low, log.high)))


def times_text(log: Mean, sign: int = 1) -> str:
    """Format the ratio of a log ratio in a sentence: '1.49 × [1.21, 1.89]'."""
    value, *ends = factor(log, sign).split(" ", 1)
    return " ".join([f"{value} ×", *ends])


def two_digits(value: float) -> str:
    """Format a positive number with two significant digits: '37', '5.1', '0.034'."""
    return f"{value:.0f}" if value >= 10 else f"{value:#.2g}".rstrip(".")


def ratio(value: float, *ends: float) -> str:
    """Format a ratio and the ends of its interval with three significant digits: '1.21 [1.17, 1.25]'."""
    text, *rest = (f"{part:#.3g}".removesuffix(".") for part in (value, *ends))
    return f"{text} [{', '.join(rest)}]" if rest else text


def p_value(value: float | None) -> str:
    """Format a p-value in a sentence: 'p = 0.012', 'p < 0.001'."""
    text = p_cell(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def p_cell(value: float | None) -> str:
    """Format a p-value in a table."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def clips_text(clips: int, groups: int | None = None) -> str:
    """Write how many independent clips there are: '58 clips', or '12 groups of clips'; None: each is its own group."""
    if groups not in {None, clips}:
        return f"{groups} groups of clips"
    return "1 clip" if clips == 1 else f"{clips} clips"


def clips_that_would(groups: int | None) -> str:
    """Continue a sentence with the number of clips that would show a difference: '; about 240 would'."""
    if groups is None:
        return ""
    if groups > 10_000:
        return "; more than 10,000 would"
    return f"; about {round(groups, min(0, 2 - len(str(groups)))):,} would"
