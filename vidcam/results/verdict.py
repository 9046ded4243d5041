"""The verdict on a map: one word, its reason and the checks behind it. `judge` is the only place with thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, log
from types import MappingProxyType
from typing import Literal

VerdictWord = Literal["reliable", "doubtful", "unreliable", "not checked", "too short to tell"]

CHECKS = (
    "kept",
    "kept_random",
    "kept_centre",
    "kept_difference",
    "peak",
    "peak_random",
    "mirror",
    "class_change",
    "artifact_share",
    "confidence",
    "range",
)
"""Names of the checks, see `judge`."""

FEATURES: Mapping[str, float] = MappingProxyType({"place": 0.5, "half": 1.0, "mirror": 2.0})
"""Weight of each feature in the score, see `features`. They were chosen on the motion set and on real clips; what they
are worth is in docs/evidence/verdict.md."""

RELIABLE, UNRELIABLE = 0.67, 0.35
"""A map is reliable if its score is at least the first, unreliable if it is below the second."""

SURE = 0.1
"""A model whose probability is below this is not sure: no map of it is called reliable."""

FLAT = 1e-6
"""A map whose range is at most this share of its maximum is constant."""

CONTROLS: Mapping[str, str] = MappingProxyType(
    {
        "kept_random": "shuffled cells",
        "kept_centre": "the centre",
        "kept_difference": "the frame difference",
    }
)
"""Check → the control's name in sentences."""

USUAL_MIRROR = 0.7
"""Correlation with the mirrored clip's map that speaks neither for a map nor against it."""

LEAST_LEAD, MOST_LEAD = -1.0, 2.5
"""Bounds of the feature `half`. A map that keeps far less than a control may only be cut in an unlucky shape: where
black is unlike any clip that the model knows, shapes with few edges keep most."""

FLOOR = 1e-3
"""Smaller shares of the probability are raised to this before logarithms are taken."""

MOST_NAMED = 10.0
"""Sentences name no larger share. Of a class with a tiny probability a changed clip may keep millions of percent."""


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
        sentence: whether no map is reliable, whether motion counts, and on how many windows the maps were checked, if
            not on all.
        motion: `frozen`, `shuffled`, `reversed` → share of the probability kept.
    """

    sentence: str
    motion: Mapping[str, float]


NOT_CHECKED = Verdict("not checked", "how far to trust the map was not measured")


def judge(checks: Mapping[str, float | None]) -> Verdict:
    """Judge a map by its checks. A check that is missing or None was not measured.

    Args:
        checks: `kept`: share of the probability kept when the half of the voxels with the lowest heat is hidden;
            `kept_random`, `kept_centre`, `kept_difference`: the same by shuffled cells, a centre bump and the frame
            difference; `peak`: share of the odds p / (1 - p) kept when the place where the map peaks is hidden;
            `peak_random`: the same for another place; `mirror`: correlation with the map of the mirrored clip;
            `class_change`: 1 - correlation with the map of the runner-up class; `artifact_share`: share of the maps
            that peak in the artifact; `confidence`: probability of the explained class; `range`: (max - min) / max of
            the raw map.

    Returns:
        A verdict with these checks.
    """
    values = {name: checks.get(name) for name in CHECKS}
    spread = values["range"]
    if spread is not None and spread <= FLAT:
        return Verdict("unreliable", "the map is empty or constant", 0.0, values)
    if values["kept"] is None and values["peak"] is None:
        return Verdict("not checked", NOT_CHECKED.reason, None, values)
    score = 1.0 / (1.0 + exp(-sum(FEATURES[name] * value for name, value in features(values).items())))
    confidence = values["confidence"]
    is_sure = confidence is None or confidence >= SURE
    word: VerdictWord = "unreliable" if score < UNRELIABLE else "doubtful"
    word = "reliable" if score >= RELIABLE and is_sure else word
    return Verdict(word, _reason(values, word), score, values)


def features(checks: Mapping[str, float | None]) -> dict[str, float]:
    """Return what the score is computed from; a feature that was not measured has the value of a useless map.

    `place`: log of the odds left without another place over those left without the peak, at least 0; `half`: log of
    what the map keeps at half area over what the best control keeps, from LEAST_LEAD to MOST_LEAD; `mirror`:
    correlation with the mirrored clip's map, above USUAL_MIRROR. The first two need something to compare with.
    """
    controls = [_log(checks[name]) for name in CONTROLS if checks.get(name) is not None]
    kept, peak, mirror = checks.get("kept"), checks.get("peak"), checks.get("mirror")
    other = checks.get("peak_random")
    return {
        "place": 0.0 if peak is None or other is None else max(0.0, _log(other) - _log(peak)),
        "half": min(max(_log(kept) - max(controls), LEAST_LEAD), MOST_LEAD) if kept is not None and controls else 0.0,
        "mirror": 0.0 if mirror is None else mirror - USUAL_MIRROR,
    }


def _reason(values: Mapping[str, float | None], word: VerdictWord) -> str:
    """Name the check that speaks most for the word; of a doubtful map, what speaks for it and what against it."""
    found, confidence = features(values), values["confidence"]
    texts = {"place": _place(values), "half": _half(values), "mirror": _mirror(values)}
    parts = {name: FEATURES[name] * found[name] for name, text in texts.items() if text}
    best, worst = max(parts, key=parts.__getitem__), min(parts, key=parts.__getitem__)
    if word != "unreliable" and confidence is not None and confidence < SURE:
        return f"the model is unsure (p = {confidence:.2g}); {texts[best]}"
    if word == "doubtful":
        return "; ".join(dict.fromkeys([texts[best], texts[worst]]))
    return texts[best if word == "reliable" else worst]


def _place(values: Mapping[str, float | None]) -> str:
    peak, other = values["peak"], values["peak_random"]
    if peak is None:
        return ""
    text = f"without its peak {percent(peak)} of the odds are left"
    return text + ("" if other is None else f", without another place {percent(other)}")


def _half(values: Mapping[str, float | None]) -> str:
    kept, controls = values["kept"], [(value, text) for name, text in CONTROLS.items() if (value := values[name])]
    if kept is None:
        return ""
    best, text = max(controls, default=(0.0, ""))
    return f"keeps {percent(kept)} at half area" + (f", {text} {percent(best)}" if text else "")


def _mirror(values: Mapping[str, float | None]) -> str:
    r = values["mirror"]
    return "" if r is None else f"correlates with the mirrored input's map at r = {r:.2f}"


def percent(share: float) -> str:
    """Write a share in percent, up to MOST_NAMED."""
    return f"{100.0 * share:.0f} %" if share <= MOST_NAMED else f"over {100.0 * MOST_NAMED:.0f} %"


def _log(share: float | None) -> float:
    return log(max(share or 0.0, FLOOR))
