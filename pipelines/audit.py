"""The audit in words: sentences for the terminal, the sheet and the JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from vidcam.cam.baseline import SINK_SHARE
from vidcam.results.explanation import AlphaAudit, Explanation, Sink, sink_share

MOST_CELLS = 3

NEUTRAL = "neutral-gradcam"


def audit_sentences(label: str, explanation: Explanation, sink: Sink | None) -> list[str]:
    """What a user should know before trusting the maps of one target.

    Args:
        label: of the target.
        explanation: of all windows of the film.
        sink: the layer's loudest cell on a grey clip.
    """
    sentences = [_sink_sentence(explanation, sink), *_alpha_sentences(explanation), _empty_sentence(label, explanation)]
    return [sentence for sentence in sentences if sentence]


def weights_sentence(weights: str) -> str:
    """What there is to say of where a model's weights come from: that they are random; '' of all others.

    Args:
        weights: provenance, `Model.weights`.
    """
    if not weights.startswith("random"):
        return ""
    return "The weights are random: neither the network's answers nor the maps mean anything."


def sink_shares(explanation: Explanation, sink: Sink | None) -> dict[str, float]:
    """Method → share of the windows whose map peaks in the sink; nothing without a sink."""
    if sink is None:
        return {}
    return {name: sink_share(volume, sink) for name, volume in explanation.volumes.items()}


def _sink_sentence(explanation: Explanation, sink: Sink | None) -> str:
    shares = sink_shares(explanation, sink)
    caught = {name: share for name, share in shares.items() if share >= SINK_SHARE}
    if sink is None or not caught:
        return ""
    cells = " or ".join(f"({', '.join(map(str, cell))})" for cell in sink.cells[:MOST_CELLS])
    more = f" or {len(sink.cells) - MOST_CELLS} more" if len(sink.cells) > MOST_CELLS else ""
    return (
        f"Sink: the maximum {_in_windows('of', caught, explanation)}{_spared(shares, caught, explanation)} lies in "
        f"cell {cells}{more} (t, h, w) of {explanation.layer!r}, loud on a flat grey clip too (channel sum "
        f"{sink.value:.4g} against a median of {sink.median:.4g}); such a peak says more about the network's weights "
        f"than about this film.{_instead(shares, caught)}"
    )


def _instead(shares: Mapping[str, float], caught: Collection[str]) -> str:
    """What to look at: the method that holds the film against a grey clip, unless the sink caught it too."""
    if NEUTRAL in caught:
        return ""
    return f" {'Go by' if NEUTRAL in shares else 'Ask for'} {NEUTRAL}, which leaves out what the network shows on grey."


def _spared(shares: Mapping[str, float], caught: Collection[str], explanation: Explanation) -> str:
    """In brackets, the methods that the sink caught less often or never."""
    others = _together({name: share for name, share in shares.items() if name not in caught}, explanation)
    said = [f"{names}: {count} of {len(explanation)}" if count else f"not {names}" for names, count in others]
    return f" ({'; '.join(said)})" if said else ""


def _alpha_sentences(explanation: Explanation) -> list[str]:
    """Of each layer, where several are fused."""
    audits = {name: audit for name, audit in explanation.alpha.items() if name.partition(" at ")[0] == "gradcam++"}
    sentences = [sentence for name, audit in audits.items() for sentence in _of_layer(name, audit, explanation)]
    if audits and explanation.alpha_exact is False:
        sentences.append("The head above the layer is curved, so eq. 19 of Grad-CAM++ is an approximation here.")
    return sentences


def _of_layer(name: str, audit: AlphaAudit, explanation: Explanation) -> Iterator[str]:
    """Of one audit; `name` is 'gradcam++', or 'gradcam++ at Mixed_5c' where it is one of several layers."""
    layer = name.partition(" at ")[2]
    if not np.isnan(audit.positive).all():
        yield _agreement_sentence(audit, f" at {layer!r}" if layer else "")
    if bool(audit.uniform.all()):
        yield (
            f"The gradient is one number for each channel of {(layer or explanation.layer)!r} (a pooled linear head), "
            f"so gradcam++ differs from gradcam+ only by channel, not by place."
        )


def _agreement_sentence(audit: AlphaAudit, where: str) -> str:
    low, middle, high = (
        np.nanmin(audit.positive[:, 0]),
        np.nanmedian(audit.positive[:, 2]),
        np.nanmax(audit.positive[:, 4]),
    )
    agreement = (
        ""
        if np.isnan(audit.agreement).all()
        else f"; gradcam++ and gradcam+ agree to r = {np.nanmedian(audit.agreement):.4f}"
    )
    guarded = audit.guarded.max()
    guard = f"; {guarded:.2%} of the positions hit the guard" if guarded > 0 else ""
    return f"Alpha of gradcam++{where} has its median at {middle:.3f} (from {low:.3f} to {high:.3f}){agreement}{guard}."


def _empty_sentence(label: str, explanation: Explanation) -> str:
    shares = {name: float(empty.mean()) for name, empty in explanation.empty.items() if empty.any()}
    if not shares:
        return ""
    parts = _in_windows("for", shares, explanation)
    nothing = "Nothing speaks" if min(shares.values()) == 1 else "There are moments when nothing speaks"
    return f"{nothing} for {label!r}: the map is empty {parts}."


def _in_windows(word: str, shares: Mapping[str, float], explanation: Explanation) -> str:
    """'of gradcam in 8 of 11 windows, of gradcam+ and gradcam++ in 11 of 11': counts never round to none or all."""
    total = len(explanation)
    (names, count), *rest = _together(shares, explanation)
    first = f"{word} {names} in {count} of {total} window{'s' * (total > 1)}"
    return ", ".join([first, *(f"{word} {names} in {count} of {total}" for names, count in rest)])


def _together(shares: Mapping[str, float], explanation: Explanation) -> list[tuple[str, int]]:
    """Methods of one number of windows together, in the order of the first of them: 'gradcam+ and gradcam++', 11."""
    groups: dict[int, list[str]] = {}
    for name, share in shares.items():
        groups.setdefault(round(share * len(explanation)), []).append(name)
    return [(_enumeration(names), count) for count, names in groups.items()]


def _enumeration(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
