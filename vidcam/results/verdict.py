"""The verdict on a map: one word, its reason and the checks behind it. `judge` is the only place with thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np

VerdictWord = Literal["reliable", "doubtful", "unreliable", "not checked", "too short to tell"]

CHECKS = (
    "kept",
    "kept_random",
    "kept_centre",
    "kept_difference",
    "mirror",
    "class_change",
    "artifact_share",
    "confidence",
    "range",
)
"""Names of the checks, see `judge`."""

RELIABLE, UNRELIABLE = 0.6, 0.35
"""A map is reliable if its score is at least the first, unreliable if it is below the second."""

SURE = 0.1
"""A model whose probability is below this is not sure: no map of it is called reliable."""

CONSTANT = 1e-6
"""A map whose range is at most this share of its maximum is constant."""

FLOOR = 1e-4
"""Smaller shares of the probability are raised to this before logarithms are taken."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was measured about one map, and what follows.

    Attributes:
        word: `not checked` if nothing was measured; `too short to tell` if a video has too few windows.
        reason: one sentence, about 80 characters.
        score: in [0, 1], higher is better; None if it was not measured.
        checks: name → value, None for what was not measured; names as in `judge`.
    """

    word: VerdictWord
    reason: str
    score: float | None = None
    checks: Mapping[str, float | None] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class VideoVerdict:
    """What was measured about a video as a whole.

    Attributes:
        sentence: whether motion counts, or that no map is reliable.
        motion: `frozen`, `shuffled`, `reversed` → share of the probability kept.
    """

    sentence: str
    motion: Mapping[str, float]


NOT_CHECKED = Verdict("not checked", "nothing was measured")


def judge(checks: Mapping[str, float | None]) -> Verdict:
    """Judge a map by its checks. A check that is missing or None was not measured.

    Args:
        checks: `kept`: share of the probability kept when the half of the voxels with the lowest heat is hidden;
            `kept_random`, `kept_centre`, `kept_difference`: the same for shuffled cells, a centre bump and the frame
            difference; `mirror`: correlation with the map of the mirrored clip; `class_change`: 1 - correlation with
            the map of the runner-up class; `artifact_share`: share of the maps that peak in the artifact;
            `confidence`: probability of the explained class; `range`: (max - min) / max of the raw map.

    Returns:
        A verdict with these checks.
    """
    values = {name: checks.get(name) for name in CHECKS}
    spread, kept = values["range"], values["kept"]
    if spread is not None and spread <= CONSTANT:
        return Verdict("unreliable", "the map is empty or constant", 0.0, values)
    if kept is None:
        return Verdict("not checked", NOT_CHECKED.reason, None, values)
    score = verdict_score(values)
    return Verdict(_word(score, values), _reason(values), score, values)


def verdict_score(values: Mapping[str, float | None]) -> float:
    """Return the score of a map of which `kept` was measured, in [0, 1]."""
    controls = [values[name] for name in ("kept_random", "kept_centre", "kept_difference")]
    best = max((value for value in controls if value is not None), default=FLOOR)
    lead = _log(values["kept"]) - _log(best)
    mirror = values["mirror"]
    total = 0.5 * lead + 2.0 * ((0.7 if mirror is None else mirror) - 0.7)
    return float(1.0 / (1.0 + np.exp(-total)))


def _word(score: float, values: Mapping[str, float | None]) -> VerdictWord:
    if score < UNRELIABLE:
        return "unreliable"
    confidence = values["confidence"]
    is_sure = confidence is None or confidence >= SURE
    return "reliable" if score >= RELIABLE and is_sure else "doubtful"


def _reason(values: Mapping[str, float | None]) -> str:
    kept = values["kept"] or 0.0
    names = {"kept_random": "shuffled cells", "kept_centre": "the centre", "kept_difference": "the frame difference"}
    controls = {name: value for key, name in names.items() if (value := values[key]) is not None}
    parts = [f"keeps {kept:.0%} at half area"]
    if controls:
        best = max(controls, key=lambda name: controls[name])
        parts.append(f"{best} keep{'' if best.endswith('s') else 's'} {controls[best]:.0%}")
    mirror, confidence = values["mirror"], values["confidence"]
    if mirror is not None:
        parts.append(f"r = {mirror:.2f} with the mirrored clip")
    if confidence is not None and confidence < SURE:
        parts.append(f"the model is unsure (p = {confidence:.2g})")
    return "; ".join(parts)


def _log(share: float | None) -> float:
    return float(np.log(max(share or 0.0, FLOOR)))
