"""Maps of any network and clip tensor: `explain` for one target, `explain_each` for several of one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from vidcam.cam.baseline import Baseline
from vidcam.cam.fusion import Fusion
from vidcam.cam.layers import Layers, layer_names
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.network import Input, reference
from vidcam.cam.request import DEFAULT_BUDGET, Fine, MapRequest, ScoreName, Target
from vidcam.cam.reshape import Reshape
from vidcam.cam.subject import Subject, as_tensors, read_subject
from vidcam.cam.subject_maps import explained, explained_by_default
from vidcam.errors import InputError, ShapeError
from vidcam.results.explanation import Activation, Explanation
from vidcam.spec import SpecifiedModel
from vidcam.system.progress import Progress, progress_or_default


def explain(
    model: nn.Module | SpecifiedModel,
    clip: Input | Mapping[str, Any],
    *,
    methods: str | Iterable[str] | None = None,
    target: Target | str | Sequence[str] = None,
    contrast: int | str | None = None,
    layer: Layers = None,
    score: ScoreName = "logit",
    score_scale: float = 1.0,
    reshape: Reshape | None = None,
    axes: str | None = None,
    fusion: Fusion | None = None,
    activation: Activation | None = None,
    softmax_chunk: int = 32,
    softmax_tail: float = 0.0,
    baseline: Input | Mapping[str, Any] | Baseline | None = None,
    steps: int | None = None,
    fine: Fine = "pooled",
    budget: int = DEFAULT_BUDGET,
    seed: int = 0,
    progress: Progress | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Explanation:
    """Class activation maps of N clips: one forward pass, one backward through the head, all methods.

    The model is left exactly as it was: hooks, training flags, `.grad`, random state. A model in training mode is
    explained in evaluation mode. Compiled and data-parallel models are looked through.

    Args:
        model: any module, or a `Model`, whose layer, labels and layout are then known. It returns logits (N, K),
            (N, K, t) or (N, T, K) that are averaged over time, a tuple or an object with `logits` that holds them, or
            one score (N,). A softmax or sigmoid at its end is taken off. `notes` tell what was taken for classes.
        clip: (N, C, T, H, W), as the model takes it; (N, C, H, W) for an image network, (N, C, L) for a signal; a list
            of such for networks of several pathways, where maps are drawn on the finest. A mapping is handed over as
            keyword arguments, a tuple as several arguments if `forward` takes them; the tensor with the most axes is
            the clip. A batch axis that is missing before (C, T, H, W) is added.
        methods: one name or several: `gradcam` (GC++ eq. 3), `gradcam+` (EQ 3), `gradcam++` (GC++ eq. 19),
            `gradcam++softmax` (eq. 22–24), `gradcam++signed` (eq. 29–30), `cam` (eq. 1–2), `hirescam`, `layercam`,
            `neutral-gradcam`, which needs a `baseline`; fine maps of the input, which cost `steps` forward and backward
            passes through the whole network: `integrated-gradients`, `expected-gradients`, `gradcam-ig`,
            `neutral-gradcam-ig`; `guided-gradcam`, `guided-gradcam+`, `guided-gradcam++`, which cost one; and
            `occlusion` and `rise`, which cost `budget` forward passes each; and `token-lrp` and `attnlrp`, for
            transformers, which cost one forward and backward pass and need no layer. None: `token-lrp` on a transformer
            if no layer is named, else `gradcam`.
        target: class index, or label of a `Model`; one for each clip; None for the predicted class; or a function of
            the model's raw output that returns one score for each clip, (N,).
        contrast: class index or label; the score is S_target - S_contrast.
        layer: dotted name or module of the target layer, after its ReLU. Several are fused. None: the default of a
            `Model`, else the last block that has an extent in space and time, or the last ones of parallel branches.
            Relevance (`token-lrp`, `attnlrp`) is read at a named layer too; without one at the patch embedding.
            'cnn#0' is the first run of a layer that runs several times, 'stage[0]' the first tensor of a list; without
            a number all are taken, and a layer that runs once for each frame has a map of each.
        score: `logit`; `probability`: g = ∂p/∂A unscaled (the post-softmax maps of EQ tables 1–2); or `negative`: -S,
            for what lowers the score.
        score_scale: λ of EQ 12: gradcam++ takes the score through exp(λS); near 0 it weighs as gradcam+ does.
        reshape: layer output → (N, D, t, h, w), for transformers: `vidcam.tokens(grid)`, `vidcam.channels_last`.
            It is checked once for each network and size: the cell whose pixels change must react.
        axes: the clip's axes in their order, such as `NCTHW`, `NTCHW` or `NHWC`; `N(TC)HW` and `N(CT)HW` if frames and
            colours share an axis, `(NT)CHW` if row n·T + t of the batch is frame t of clip n. None: inferred from what
            the first convolution receives. Maps always lie on (T, H, W).
        fusion: `mean` or `max` of several layers' maps, each divided by its own maximum, or `sum` of their raw maps.
            None: `sum` for parallel branches or runs of one layer, `mean` for several named layers.
        activation: `softmax` or `sigmoid` behind the logits; `none` if the output is values, as of a regression: then
            there are no probabilities. None: the one the model ends in, else softmax, or sigmoid if there is one score.
        softmax_chunk: classes whose products `gradcam++softmax` takes at once.
        softmax_tail: share of the other classes' probability that `gradcam++softmax` may leave out.
        baseline: a clip without content, such as flat grey, in the model's own scaling, or what
            `vidcam.compute_baseline` returned. `neutral-gradcam` subtracts its activations, and artifacts are looked
            for in it (not with several layers). Integrated gradients start there; of several clips the mean is taken,
            and `expected-gradients` draws from them. `occlusion` and `rise` hide parts with it. None: flat grey for a
            `Model`, and `expected-gradients` draws from flat clips of random colours, or from the other clips of the
            batch for a module.
        steps: points of the path from the baseline to the clip; None: 16, or 4 if only products are made.
            `explanation.completeness` has the error.
        fine: grid of fine maps: `coarse`, at most 8 × 14 × 14 cells, `pooled`, at most 16 × 28 × 28, or `full`.
        budget: most forward passes of `occlusion`, and of `rise`, for each target.
        seed: of what `expected-gradients` and `rise` draw.
        progress: called after each forward pass of `occlusion` and `rise`. None: a bar in notebooks.
        args: positional arguments of `forward` after the clip, such as boxes. Their tensors go to the clip's device,
            and keep their type. Where one clip of the batch is run, tensors with N rows are cut to it.
        kwargs: keyword arguments of `forward`, likewise.

    Returns:
        An `Explanation`: `volumes[method]` (N, t, h, w), `heat(method)` (N, T, H, W) in [0, 1], `logits` (N, K),
        `guided[method]` (N, C, T, H, W) signed.

    Raises:
        InputError: an unknown method or layer, a class out of range, a layer without a map or a gradient, a model
            without logits.
        NonFiniteError: NaN or infinity in logits or gradients.
    """
    return explain_each(
        model,
        clip,
        (target,),
        methods=methods,
        contrast=contrast,
        layer=layer,
        score=score,
        score_scale=score_scale,
        reshape=reshape,
        axes=axes,
        fusion=fusion,
        activation=activation,
        softmax_chunk=softmax_chunk,
        softmax_tail=softmax_tail,
        baseline=baseline,
        steps=steps,
        fine=fine,
        budget=budget,
        seed=seed,
        progress=progress,
        args=args,
        kwargs=kwargs,
    )[0]


def explain_each(
    model: nn.Module | SpecifiedModel,
    clip: Input | Mapping[str, Any],
    targets: Sequence[Target | str | Sequence[str]],
    *,
    methods: str | Iterable[str] | None = None,
    contrast: int | str | None = None,
    layer: Layers = None,
    score: ScoreName = "logit",
    score_scale: float = 1.0,
    reshape: Reshape | None = None,
    axes: str | None = None,
    fusion: Fusion | None = None,
    activation: Activation | None = None,
    softmax_chunk: int = 32,
    softmax_tail: float = 0.0,
    baseline: Input | Mapping[str, Any] | Baseline | None = None,
    steps: int | None = None,
    fine: Fine = "pooled",
    budget: int = DEFAULT_BUDGET,
    seed: int = 0,
    progress: Progress | None = None,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
) -> tuple[Explanation, ...]:
    """One explanation for each of several targets, from one forward pass and one batched backward through the head.

    Each of the `targets` is as `target` of `explain`, and all other arguments are as there.
    """
    subject = read_subject(model, clip, axes, args, kwargs)
    named = layer_names(subject.network, layer)
    request = MapRequest(
        methods=DEFAULT_METHODS if methods is None else methods if isinstance(methods, str) else tuple(methods),
        layers=layer_names(subject.network, subject.layer) if layer is None else named,
        relevance_layers=named,
        contrast=subject.class_index(contrast),
        score=score,
        score_scale=score_scale,
        reshape=reshape or subject.reshape,
        axes=subject.axes,
        fusion=fusion,
        activation=activation or subject.activation,
        classes=subject.classes,
        softmax_chunk=softmax_chunk,
        softmax_tail=softmax_tail,
        steps=steps,
        fine=fine,
        budget=budget,
        seed=seed,
        progress=progress_or_default(progress),
    )
    indices = [target if callable(target) else subject.class_index(target) for target in targets]
    if methods is None and not named and reshape is None and baseline is None:
        return explained_by_default(subject, indices, request)
    if baseline is None or isinstance(baseline, Baseline):
        return explained(subject, indices, request, baseline)
    return explained(subject, indices, request, _blank_subject(subject, baseline, args, kwargs))


def _blank_subject(subject: Subject, baseline: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Subject:
    """Take the baseline clip, with arguments of its own or beside those of the clip.

    Raises:
        ShapeError: it has not the clip's sizes, as in another order of the axes.
    """
    if isinstance(baseline, str):
        raise InputError(f"baseline is {baseline!r}, expected a clip, such as torch.full_like(clip, 0.5)")
    if subject.arguments is None or isinstance(baseline, Mapping | tuple):
        blank = read_subject(subject.network, baseline, subject.axes, args, kwargs)
    else:
        blank = replace(subject, clip=as_tensors(baseline))
    if reference(blank.clip, subject.axes).shape[1:] != reference(subject.clip, subject.axes).shape[1:]:
        shape, expected = (tuple(reference(each.clip).shape) for each in (blank, subject))
        raise ShapeError(f"baseline is {shape}, the clip is {expected}; pass a baseline of the clip's sizes and axes")
    return blank
