"""Sentences about how far the maps can be trusted, for the terminal, the contact sheet, notebooks and the JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import numpy as np

from vidcam.results.explanation import AlphaAudit, Explanation, artifact_share
from vidcam.results.notes import input_notes
from vidcam.results.verdict import Verdict
from vidcam.results.video import VideoExplanation

ARTIFACT_SHARE = 0.5
"""The place of a map is warned of if at least this share of its windows peaks in the artifact."""

NEARLY_IDENTICAL = 0.99
"""The maps of gradcam++ and gradcam+ are called nearly identical from this correlation."""

EMPTY = "Some maps are empty"


def video_audit(video_explanation: VideoExplanation) -> list[str]:
    """Write the audit of a video: its notes, then the sentences of each target."""
    sentences = list(video_explanation.explanations[0].notes)
    for label, explanation in zip(video_explanation.labels, video_explanation.explanations, strict=True):
        sentences += audit_sentences(label, explanation)
    return sentences


def map_verdicts(video_explanation: VideoExplanation) -> list[tuple[str, Verdict]]:
    """Return name and verdict of each map, but not of words: its method, and with several targets its class."""
    labels, named = video_explanation.labels, list[tuple[str, Verdict]]()
    for number in video_explanation.main_targets:
        explanation = video_explanation.explanations[number]
        methods = video_explanation.verdicts[number] if video_explanation.verdicts else explanation.methods
        for method in methods:
            name = f"{method}, {labels[number]}" if len(video_explanation.main_targets) > 1 else method
            named.append((name, video_explanation.verdict(method, target=number)))
    return named


def verdict_sentences(video_explanation: VideoExplanation) -> list[str]:
    """Write a line for each map, such as 'gradcam: doubtful (keeps 42 % at half area)', and one on the video."""
    whole = video_explanation.video_verdict
    lines = [f"{name}: {verdict.word} ({verdict.reason})" for name, verdict in map_verdicts(video_explanation)]
    return [*lines, *([whole.sentence] if whole is not None and whole.sentence else [])]


def video_remarks(video_explanation: VideoExplanation) -> tuple[str, ...]:
    """Write what stands below the verdicts of the maps: that on the video, the notes, and what was found.

    A sentence that holds for some targets only names them.
    """
    whole, notes = video_explanation.video_verdict, video_explanation.explanations[0].notes
    found, every = dict[str, list[str]](), len(video_explanation.labels)
    for label, explanation in zip(video_explanation.labels, video_explanation.explanations, strict=True):
        for sentence in findings(label, explanation):
            found.setdefault(sentence, []).append(label)
    remarks = (
        sentence if len(labels) == every or sentence.startswith(EMPTY) else f"{enumeration(labels)}: {sentence}"
        for sentence, labels in found.items()
    )
    return (*([whole.sentence] if whole is not None and whole.sentence else []), *notes, *remarks)


def video_facts(video_explanation: VideoExplanation) -> tuple[str, ...]:
    """Write the other sentences of the audit, about α, the head and integrated gradients; each once."""
    explanations = video_explanation.explanations
    sentences = [(*_alpha_sentences(e), *input_notes(e)) for e in explanations]
    return tuple(dict.fromkeys(chain.from_iterable(sentences)))


def audit_sentences(label: str, explanation: Explanation) -> list[str]:
    """Write the audit of one target.

    Args:
        label: label of the target.
        explanation: the maps of all windows of the video.
    """
    return [*findings(label, explanation), *_alpha_sentences(explanation), *input_notes(explanation)]


def findings(label: str, explanation: Explanation) -> list[str]:
    """Write what speaks against the maps of one target: that they peak in the artifact, that some are empty."""
    return list(filter(None, [_artifact_sentence(explanation), _empty_sentence(label, explanation)]))


def weights_sentence(weights: str) -> str:
    """Write a warning if the weights are random; else ''.

    Args:
        weights: source of the weights, `Model.weights`.
    """
    if not weights.startswith("random"):
        return ""
    return "The weights are random: predictions and maps mean nothing."


def mode_sentence(*, is_training: bool) -> str:
    """Write that a network in training mode is run in evaluation mode; '' for one that is in evaluation mode."""
    return "The network was in training mode; it was run in evaluation mode." if is_training else ""


def artifact_shares(explanation: Explanation) -> dict[str, float]:
    """Return method → share of the windows whose map peaks in the artifact; empty without an artifact."""
    if explanation.artifact is None:
        return {}
    return {name: artifact_share(volume, explanation.artifact) for name, volume in explanation.layer_volumes.items()}


def _artifact_sentence(explanation: Explanation) -> str:
    shares = {name: share for name, share in artifact_shares(explanation).items() if share >= ARTIFACT_SHARE}
    if not shares:
        return ""
    names, counts = enumeration(list(shares)), _in_windows(shares, explanation)
    where = "where the network responds to a blank clip too"
    if len(shares) == 1:
        return f"{names} peaks {where} ({counts.removeprefix(f'{names}: ')}): do not read its place."
    return f"{names} peak {where} ({counts}): do not read their place."


def _alpha_sentences(explanation: Explanation) -> list[str]:
    """Write the sentences about gradcam++, for each layer if several are fused."""
    audits = {name: audit for name, audit in explanation.alpha.items() if name.partition(" at ")[0] == "gradcam++"}
    sentences = [sentence for name, audit in audits.items() for sentence in _layer_sentences(name, audit)]
    if audits and explanation.alpha_exact is False:
        sentences.append("The head is not piecewise linear: alpha of gradcam++ (eq. 19) is an approximation.")
    return sentences


def _layer_sentences(name: str, audit: AlphaAudit) -> Iterator[str]:
    """Write the sentences of one layer; `name` is 'gradcam++', or 'gradcam++ at Mixed_5c' if layers are fused."""
    layer = name.partition(" at ")[2]
    where = f"at {layer!r}" if layer else "here"
    if not np.isnan(audit.agreement).all():
        agreement = float(np.nanmedian(audit.agreement))
        relation = "are nearly identical" if agreement >= NEARLY_IDENTICAL else "are correlated"
        yield f"gradcam++ and gradcam+ {relation} {where} (r = {agreement:.3f})."
    if bool(audit.uniform.all()):
        yield (
            f"The head{f' behind {layer!r}' if layer else ''} is global pooling and one linear layer: "
            "the gradient is the same at every position."
        )
    if audit.clamped.max() > 0:
        yield f"The denominator of alpha was clamped at {audit.clamped.max():.2%} of the positions {where}."


def _empty_sentence(label: str, explanation: Explanation) -> str:
    shares = {name: float(empty.mean()) for name, empty in explanation.empty.items() if empty.any()}
    if not shares:
        return ""
    return f"{EMPTY}: no evidence for {label!r} ({_in_windows(shares, explanation)})."


def _in_windows(shares: Mapping[str, float], explanation: Explanation) -> str:
    """Format the number of windows of each method: 'gradcam: 8 of 11 windows; gradcam+ and gradcam++: 11 of 11'."""
    total = len(explanation)
    counts: dict[int, list[str]] = {}
    for name, share in shares.items():
        counts.setdefault(round(share * total), []).append(name)
    (first, names), *rest = counts.items()
    parts = [f"{enumeration(names)}: {first} of {total} window{'s' * (total > 1)}"]
    return "; ".join([*parts, *(f"{enumeration(names)}: {count} of {total}" for count, names in rest)])


def enumeration(names: Sequence[str]) -> str:
    """Join at least one name: 'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
