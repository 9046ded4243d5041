"""Sentences about how far the maps of an explanation can be trusted, by the numbers that were found beside them."""

from __future__ import annotations

import numpy as np

from vidcam.results.explanation import PRODUCTS, AlphaAudit, Explanation

COMPLETE = 0.01
"""Largest relative error of integrated gradients about which no note is written."""

WIDEST_ALPHA = 1.0
"""Largest α of gradcam++ about which no note is written; it is at most 1/2 where no activation is negative."""


def alpha_note(name: str, audit: AlphaAudit) -> tuple[str, ...]:
    """Write that α leaves (0, 1/2] by far, as it does where A is not >= 0; one sentence at most."""
    return alpha_range_note(name, np.nanmin(audit.positive, initial=0.0), np.nanmax(audit.positive, initial=0.0))


def alpha_range_note(name: str, low: float | None, high: float | None) -> tuple[str, ...]:
    """Write the same of the least and the largest α where the gradient is positive; None: it is nowhere.

    A smooth activation has few and small negative values, which move α a little; that is not worth a sentence.
    """
    if low is None or high is None or (low >= 0 and high <= WIDEST_ALPHA):
        return ()
    return (
        f"The map of {name} is not to be trusted: the layer has values below 0, α goes from {low:.3g} to {high:.3g}.",
    )


def input_notes(explanation: Explanation) -> tuple[str, ...]:
    """Write how exact the maps of the input are: the sums of gradients, and maps of random masks.

    Sums only if they are off by more than COMPLETE, and not of products: nothing adds up to the score there. Of several
    clips the median, because the error of one explodes where the scores of clip and baseline are nearly equal.
    """
    clips = f" (median of {len(explanation)} clips)" if len(explanation) > 1 else ""
    sums = {n: float(np.median(np.abs(e))) for n, e in explanation.completeness.items() if n not in PRODUCTS}
    noises = {name: float(np.median(noise)) for name, noise in explanation.noise.items()}
    return (
        *(
            f"The sum of {name} misses the change of the score by {error:.1%}{clips}; more steps bring it closer."
            for name, error in sums.items()
            if error > COMPLETE
        ),
        *(
            f"The standard error of {name} is {share:.0%} of its largest value{clips}; a larger budget lowers it."
            for name, share in noises.items()
        ),
    )
