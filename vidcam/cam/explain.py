"""Maps of any network and clip tensor: `explain` for one target, `explain_each` for several of one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from torch import nn

from vidcam.arguments import split_names
from vidcam.cam.attribution import open_attribution
from vidcam.cam.baseline import Baseline, compute_baseline
from vidcam.cam.fusion import Fusion
from vidcam.cam.layers import Layers, layer_names
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.network import Input
from vidcam.cam.preserve import Undo
from vidcam.cam.request import MapRequest, ScoreName, Target
from vidcam.cam.reshape import Reshape
from vidcam.errors import InputError
from vidcam.results.explanation import Activation, Explanation


def explain(
    model: nn.Module,
    clip: Input,
    *,
    layer: Layers = None,
    methods: str | Iterable[str] = DEFAULT_METHODS,
    target: Target = None,
    contrast: int | None = None,
    score: ScoreName = "logit",
    score_scale: float = 1.0,
    reshape: Reshape | None = None,
    fusion: Fusion = "mean",
    activation: Activation | None = None,
    softmax_chunk: int = 32,
    softmax_tail: float = 0.0,
    baseline: Input | Baseline | None = None,
) -> Explanation:
    """Class activation maps of N clips: one forward pass, one backward through the head, all methods.

    The model is left exactly as it was: hooks, training flags, `.grad`, random state. A model in training mode is
    explained in evaluation mode. Compiled and data-parallel models are looked through.

    Args:
        model: any module. It returns logits (N, K), (N, K, t) that are averaged over t, a tuple or an object with
            `logits` that holds them; a softmax or sigmoid at its end is taken off.
        clip: (N, C, T, H, W), as the model takes it; (N, C, H, W) for an image network, (N, C, L) for a signal; a list
            of such for networks of several pathways, where maps are drawn on the finest.
        layer: dotted name or module of the target layer, after its ReLU; several of them, which are fused; None: the
            last block that has an extent in space and time.
        methods: `gradcam` (GC++ eq. 3), `gradcam+` (EQ 3), `gradcam++` (GC++ eq. 19), `gradcam++softmax` (eq. 22–24),
            `gradcam++signed` (eq. 29–30), `cam` (eq. 1–2), `hirescam`, `layercam`, `neutral-gradcam`, which needs
            `baseline`, and `guided-gradcam`,
            `guided-gradcam+`, `guided-gradcam++`, which cost a forward and a backward pass through the whole network.
        target: class index, one for each clip, None for the class that the model predicts, or a function of the
            model's raw output that returns one score for each clip, (N,).
        contrast: class to contrast with: the score is S_target - S_contrast.
        score: `logit`, or `probability`: g = ∂p/∂A unscaled (the post-softmax maps of EQ tables 1–2).
        score_scale: λ of EQ 12: gradcam++ takes the score through exp(λS); near 0 it weighs as gradcam+ does.
        reshape: layer output → (N, D, t, h, w), for transformers: `vidcam.tokens(grid)`, `vidcam.channels_last`.
        fusion: `mean` or `max` of several layers' maps, each divided by its own maximum.
        activation: `softmax` or `sigmoid` behind the logits; None: the one the model ends in, else softmax, or sigmoid
            where there is one class only.
        softmax_chunk: classes whose products `gradcam++softmax` takes at once.
        softmax_tail: share of the other classes' probability that `gradcam++softmax` may leave out.
        baseline: a clip without content, flat grey for example: a forward pass over it gives the reference of
            `neutral-gradcam` and looks for an artifact (of several layers, whose fused map is on one grid and
            their activations are not, none is looked for). `vidcam.compute_baseline` does it once for many clips.

    Returns:
        An `Explanation`: `volumes[method]` (N, t, h, w), `heat(method)` (N, T, H, W) in [0, 1], `logits` (N, K),
        `guided[method]` (N, C, T, H, W) signed.

    Raises:
        InputError: an unknown method or layer, a class out of range, a layer without a map or a gradient, a model
            without logits.
        NonFiniteError: NaN or infinity in logits or gradients.
    """
    request = MapRequest(
        methods=split_names(methods),
        layers=layer_names(model, layer),
        contrast=contrast,
        score=score,
        score_scale=score_scale,
        reshape=reshape,
        fusion=fusion,
        activation=activation,
        softmax_chunk=softmax_chunk,
        softmax_tail=softmax_tail,
    )
    return _explained(model, clip, (target,), request, baseline)[0]


def explain_each(
    model: nn.Module,
    clip: Input,
    targets: Sequence[Target],
    *,
    layer: Layers = None,
    methods: str | Iterable[str] = DEFAULT_METHODS,
    contrast: int | None = None,
    score: ScoreName = "logit",
    score_scale: float = 1.0,
    reshape: Reshape | None = None,
    fusion: Fusion = "mean",
    activation: Activation | None = None,
    softmax_chunk: int = 32,
    softmax_tail: float = 0.0,
    baseline: Input | Baseline | None = None,
) -> tuple[Explanation, ...]:
    """One explanation for each of several targets, from one forward pass and one batched backward through the head.

    Args:
        model: as of `explain`, and so are all others but `targets`.
        clip: likewise.
        targets: each as `target` of `explain`.
        layer: as of `explain`.
        methods: likewise.
        contrast: likewise.
        score: likewise.
        score_scale: likewise.
        reshape: likewise.
        fusion: likewise.
        activation: likewise.
        softmax_chunk: likewise.
        softmax_tail: likewise.
        baseline: likewise.
    """
    request = MapRequest(
        methods=split_names(methods),
        layers=layer_names(model, layer),
        contrast=contrast,
        score=score,
        score_scale=score_scale,
        reshape=reshape,
        fusion=fusion,
        activation=activation,
        softmax_chunk=softmax_chunk,
        softmax_tail=softmax_tail,
    )
    return _explained(model, clip, targets, request, baseline)


def _explained(
    model: nn.Module, clip: Input, targets: Sequence[Target], request: MapRequest, baseline: Input | Baseline | None
) -> tuple[Explanation, ...]:
    """Look at the clip without content if there is one, then explain each target."""
    if baseline is not None and not isinstance(baseline, Baseline):
        baseline = compute_baseline(model, baseline, layer=request.layers or None, reshape=request.reshape)
    if baseline is not None:
        request = replace(request, baseline_activations=baseline.activations)
    with Undo() as undo, undo:
        run = open_attribution(model, clip, request, undo)
        if baseline is not None:
            _require_same_layers(baseline, run.layers)
        found = run.explain_each(targets)
    return found if baseline is None else tuple(replace(one, artifact=baseline.artifact) for one in found)


def _require_same_layers(baseline: Baseline, layers: Sequence[str]) -> None:
    if set(baseline.layers) != set(layers):
        raise InputError(
            f"the baseline clip was looked at in layer {' + '.join(baseline.layers)!r} and this one in "
            f"{' + '.join(layers)!r}, expected the same; name the layer in both"
        )
