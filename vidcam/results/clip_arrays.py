"""The arrays of an explanation that have one entry per clip: list them, change them, store maps of the input small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidcam.results.explanation import AUDIT_FIELDS, GROUPS, INPUT_METHODS, AlphaAudit, Explanation

HALF_EXPONENT = 15
"""The largest value of a stored map lies in (2^14, 2^15]. float16 ends at 65504, and has all digits down to 2^-14."""


def per_clip_arrays(explanation: Explanation) -> tuple[NDArray[Any], ...]:
    """Return every array of an explanation that has one entry per clip, in a fixed order."""
    audits = [getattr(audit, name) for audit in explanation.alpha.values() for name in AUDIT_FIELDS]
    contrast = () if explanation.contrast is None else (explanation.contrast,)
    named = [array for group in GROUPS for array in getattr(explanation, group).values()]
    return (*named, explanation.logits, explanation.target, *contrast, *audits)


def map_arrays(explanation: Explanation, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Explanation:
    """Apply a function to each array of `per_clip_arrays`; it may change the first axis only."""
    groups: dict[str, Any] = {
        group: {name: function(array) for name, array in getattr(explanation, group).items()} for group in GROUPS
    }
    return replace(
        explanation,
        **groups,
        logits=function(explanation.logits),
        target=function(explanation.target),
        contrast=None if explanation.contrast is None else function(explanation.contrast),
        alpha={
            name: AlphaAudit(*(function(getattr(audit, field_name)) for field_name in AUDIT_FIELDS))
            for name, audit in explanation.alpha.items()
        },
    )


def with_half_maps(explanation: Explanation) -> Explanation:
    """Store the maps of the input in float16, each clip's in units of a power of two, so that none is too small."""
    names = [name for name in explanation.volumes if name in INPUT_METHODS and name not in explanation.factors]
    factors = {name: _unit(explanation.volumes[name], explanation.signed.get(name)) for name in names}

    def halved(name: str, values: NDArray[Any]) -> NDArray[Any]:
        if name not in factors:
            return values
        return (values / factors[name].reshape(-1, *[1] * (values.ndim - 1))).astype(np.float16)

    return replace(
        explanation,
        volumes={name: halved(name, volume) for name, volume in explanation.volumes.items()},
        signed={name: halved(name, values) for name, values in explanation.signed.items()},
        factors={**explanation.factors, **factors},
    )


def _unit(volume: NDArray[Any], signed: NDArray[Any] | None) -> NDArray[np.float64]:
    """Return each clip's power of two, in which its largest value is at most 2^HALF_EXPONENT; 1 for an empty map."""
    values = [volume] if signed is None else [volume, signed]
    peaks = np.max([np.abs(each).reshape(len(each), -1).max(axis=1).astype(np.float64) for each in values], axis=0)
    _, exponents = np.frexp(peaks)  # peak in [2^(e - 1), 2^e)
    return np.where(peaks > 0, np.ldexp(1.0, exponents - HALF_EXPONENT), 1.0)
