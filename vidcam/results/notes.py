"""Sentences about how far the maps of an explanation can be trusted, by the numbers that were found beside them."""

from __future__ import annotations

import numpy as np

from vidcam.results.explanation import INPUT_METHODS, AlphaAudit, Explanation

COMPLETE = 0.01
"""Largest relative error of integrated gradients about which no note is written."""

WIDEST_ALPHA = 1.0
"""Largest α of gradcam++ about which no note is written; it is at most 1/2 where no activation is negative."""


def alpha_note(name: str, audit: AlphaAudit) -> tuple[str, ...]:
    """Write that α leaves (0, 1/2] by far, as it does where A is not >= 0; one sentence at most.

    A smooth activation has few and small negative values, which move α a little; that is not worth a sentence.
    """
    low, high = float(np.nanmin(audit.positive, initial=0.0)), float(np.nanmax(audit.positive, initial=0.0))
    if low >= 0 and high <= WIDEST_ALPHA:
        return ()
    return (
        f"The map of {name} is not to be trusted: the layer has values below 0, α goes from {low:.3g} to {high:.3g}.",
    )


def completeness_notes(explanation: Explanation) -> tuple[str, ...]:
    """Write how far integrated gradients are off, if it is more than COMPLETE in any clip; one sentence at most.

    Not for products with the map of a layer: nothing adds up to the score there, and few steps are enough.
    """
    errors = {
        name: float(np.abs(error).max(initial=0.0))
        for name, error in explanation.completeness.items()
        if not INPUT_METHODS.get(name)
    }
    name = max(errors, key=errors.__getitem__, default="")
    if not name or errors[name] <= COMPLETE:
        return ()
    return (f"The gradients of {name} add up to the score's change within {errors[name]:.1%}; more steps are closer.",)


def input_notes(explanation: Explanation) -> tuple[str, ...]:
    """Write how exact the maps of the input are: the sums of gradients, and maps of random masks."""
    shares = {name: float(np.max(noise, initial=0.0)) for name, noise in explanation.noise.items()}
    noisy = (
        f"The standard error of {name} is {share:.0%} of its largest value; a larger budget lowers it."
        for name, share in shares.items()
    )
    return (*completeness_notes(explanation), *noisy)
