"""Maps of a subject, a network and a clip as the user passed them; and what is made where no layer is named."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from vidcam.axes import Axes
from vidcam.cam.attribution import open_attribution
from vidcam.cam.baseline import Baseline, baseline_of_subject
from vidcam.cam.input_maps import EXPECTED
from vidcam.cam.methods import TRANSFORMER_METHODS, needs_baseline, needs_layer
from vidcam.cam.network import Input, pathways
from vidcam.cam.preserve import Undo
from vidcam.cam.refusals import PlainRefusal
from vidcam.cam.relevance import may_be_transformer
from vidcam.cam.request import MapRequest, Target
from vidcam.cam.subject import Subject, first_frames, flat_clips, grey_clip
from vidcam.cam.token_layer import TokenLayer, TokenStageError, at_layer
from vidcam.cam.wrappers import unwrapped
from vidcam.errors import InputError, LayerError
from vidcam.results.explanation import Artifact, Explanation
from vidcam.results.notes import input_notes


def explained_by_default(subject: Subject, targets: Sequence[Target], request: MapRequest) -> tuple[Explanation, ...]:
    """Make maps of relevance if the pass that they need shows a transformer, else those of the request.

    A transformer without a name that tells it is recognised when it goes on in tokens.
    """
    is_named = may_be_transformer(unwrapped(subject.network))
    if is_named and (relevance := _relevance(subject, targets, request)):
        return relevance
    try:
        return _explained_at(subject, targets, request, None)
    except TokenStageError as exc:
        relevance = () if is_named else _relevance(subject, targets, request)
        return relevance or _explained_at_tokens(subject, targets, request, None, exc)


def _relevance(subject: Subject, targets: Sequence[Target], request: MapRequest) -> tuple[Explanation, ...]:
    """Make the default maps of a transformer; none if the network is not one."""
    relevance, arguments = replace(request, methods=TRANSFORMER_METHODS), subject.arguments
    with suppress(LayerError), PlainRefusal(subject.network, subject.clip, arguments), Undo() as undo, undo:
        run = open_attribution(subject.network, subject.clip, relevance, undo, arguments)
        if run.is_of_transformer:
            return _with_notes(run.explain_each(targets), subject, run.axes)
    return ()


def explained(
    subject: Subject, targets: Sequence[Target], request: MapRequest, baseline: Subject | Baseline | None
) -> tuple[Explanation, ...]:
    """Explain each target; without a layer at the last norm before attention, if the network goes on in tokens."""
    try:
        return _explained_at(subject, targets, request, baseline)
    except TokenStageError as exc:
        return _explained_at_tokens(subject, targets, request, baseline, exc)


def _explained_at_tokens(
    subject: Subject,
    targets: Sequence[Target],
    request: MapRequest,
    baseline: Subject | Baseline | None,
    refusal: TokenStageError,
) -> tuple[Explanation, ...]:
    """Explain at the layer that a refusal names."""

    def at(layer: TokenLayer) -> tuple[Explanation, ...]:
        explanations = _explained_at(subject, targets, at_layer(request, layer), baseline)
        return tuple(replace(each, notes=(layer.note, *each.notes)) for each in explanations)

    return refusal.in_order(at)


def _explained_at(
    subject: Subject, targets: Sequence[Target], request: MapRequest, baseline: Subject | Baseline | None
) -> tuple[Explanation, ...]:
    """Run the baseline clip if there is one, then explain each target."""
    network, notes = subject.network, subject.notes
    if baseline is None and subject.model is not None and needs_baseline(request.methods):
        grey = replace(subject, clip=grey_clip(subject.model))
        baseline, notes = grey, (*notes, "The baseline is a flat grey clip.")
    if baseline is not None and not isinstance(baseline, Baseline):
        own = MapRequest(layers=request.layers, reshape=request.reshape, axes=request.axes)
        if not needs_layer(request.methods):
            own = replace(own, methods=TRANSFORMER_METHODS, relevance_layers=request.relevance_layers)
        baseline = baseline_of_subject(baseline, own)
    if baseline is not None:
        request = replace(request, baseline_activations=baseline.activations, baseline_clips=baseline.clips)
    if EXPECTED in request.methods:
        request = replace(request, drawn_clips=_drawn_clips(subject, request.baseline_clips))
    with PlainRefusal(network, subject.clip, subject.arguments), Undo() as undo, undo:
        run = open_attribution(network, subject.clip, request, undo, subject.arguments)
        if baseline is not None:
            _require_same_layers(baseline, run.layers)
        explanations = run.explain_each(targets)
    artifact = None if baseline is None else baseline.artifact
    return _with_notes(explanations, subject, run.axes, notes=notes, artifact=artifact)


def _with_notes(
    explanations: Sequence[Explanation],
    subject: Subject,
    axes: Axes,
    *,
    notes: Sequence[str] | None = None,
    artifact: Artifact | None = None,
) -> tuple[Explanation, ...]:
    """Add the notes of a subject, or others, the artifact and the frames that a notebook shows."""
    frames, more = first_frames(subject, axes), subject.notes if notes is None else notes
    return tuple(
        replace(each, artifact=artifact, notes=(*each.notes, *more, *input_notes(each)), frames=frames)
        for each in explanations
    )


def _drawn_clips(subject: Subject, baseline: Input | None) -> Input | None:
    """Return the clips from which expected-gradients draws; None for the other clips of the batch."""
    if baseline is not None and len(pathways(baseline)[0]) > 1:
        return baseline
    return None if subject.model is None else flat_clips(subject.model)


def _require_same_layers(baseline: Baseline, layers: Sequence[str]) -> None:
    if set(baseline.layers) != set(layers):
        raise InputError(
            f"baseline is of layer {' + '.join(baseline.layers)!r}, not {' + '.join(layers)!r}; name `layer` in both"
        )
