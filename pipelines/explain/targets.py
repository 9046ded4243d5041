"""Targets that are no label and no index: `above:P`, every class that is probable enough."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vidcam.errors import InputError

ABOVE = "above:"
_PATTERN = re.compile(r"above:\s*(\d{1,9}\.?\d{0,18}|\.\d{1,18})")


def is_above(target: str | int | None) -> bool:
    """Whether a target is `above:P`."""
    return isinstance(target, str) and target.strip().casefold().startswith(ABOVE)


def least_probability(targets: Iterable[str | int]) -> float | None:
    """P of the target `above:P`; None without such a target.

    Raises:
        InputError: P is no probability above 0, or there are two such targets.
    """
    texts = [str(target).strip() for target in targets if is_above(target)]
    if not texts:
        return None
    if len(texts) > 1:
        raise InputError(f"--target {texts[0]} and --target {texts[1]} exclude each other; pass one of them")
    match = _PATTERN.fullmatch(texts[0].casefold())
    if match is None or not 0.0 < float(match[1]) <= 1.0:
        raise InputError(f"--target {texts[0]}: expected a probability above 0 and up to 1, such as {ABOVE}0.2")
    return float(match[1])
