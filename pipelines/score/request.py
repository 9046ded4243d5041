"""The request of a scoring run: its options, resolved once for a model."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from vidcam.arguments import split_names
from vidcam.cam.layers import dotted_name
from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import reshape_of
from vidcam.errors import InputError, LayerError
from vidcam.fill import ScoreFill
from vidcam.models.model import Model, Precision
from vidcam.pipelines.forward import (
    MapPlan,
    Prepared,
    fusion_of,
    plan_maps,
    prepare,
    with_baseline_clips,
)
from vidcam.pipelines.memory import StartMemory
from vidcam.pipelines.score.columns import thetas_of
from vidcam.pipelines.score.foreign_maps import ForeignMaps
from vidcam.pipelines.score.measures import chosen_measures
from vidcam.pipelines.score.options import CONTROLS, DEFAULT_METHODS, TRANSFORMER_METHODS, EngineName, ScoreOptions
from vidcam.pipelines.score.shards import Shard
from vidcam.pipelines.score.windows import WindowChoice, window_choice
from vidcam.results.explanation import INPUT_METHODS
from vidcam.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreRequest(MapRequest):
    """The resolved options of a scoring run.

    Attributes, besides those of `MapRequest` and `ScoreOptions`:
        measures: names of MEASURES, in their order.
        maps: maps of other tools that are scored too.
        controls: names of the baseline maps that are scored too; a network of one frame has no `frame-difference`.
        label_in_top: N > 0: the label's class is explained, and clips whose label is not among the N most probable
            classes are left out. 0: the predicted class is explained.
        shard: the shard that is scored; None: the whole set.
    """

    measures: tuple[str, ...]
    maps: tuple[ForeignMaps, ...]
    controls: tuple[str, ...]
    windows: WindowChoice
    fill: ScoreFill
    batch_size: int
    precision: Precision
    seed: int
    min_confidence: float
    correct_only: bool
    label_in_top: int
    sanity: int
    render_worst: int
    workers: int | None
    shard: Shard | None
    engine: EngineName
    retry_failed: bool
    overwrite: bool

    @property
    def thetas(self) -> tuple[float, ...]:
        """Every θ that the measures need, increasing."""
        return thetas_of(self.measures)

    @property
    def shuffled_method(self) -> str:
        """The method whose cells the control `random` shuffles: the first one whose map lies on a layer's grid."""
        return next((name for name in self.methods if name not in INPUT_METHODS), self.methods[0])

    def clips_of(self, total: int) -> range:
        """Return the indices of the clips that are scored, of a set of `total`."""
        return range(total) if self.shard is None else self.shard.clips(total)

    @property
    def row_names(self) -> tuple[str, ...]:
        """Names of the rows of each clip: the methods, the maps of other tools, the controls."""
        return (*self.methods, *(foreign.name for foreign in self.maps), *self.controls)


def controls_for(spec: ModelSpec) -> tuple[str, ...]:
    """Return the controls that exist for a model: the difference of frames needs two."""
    return tuple(name for name in CONTROLS if spec.frames > 1 or name != "frame-difference")


def resolve(
    model: Model, options: ScoreOptions, former_batch_size: int | None = None, *, maps: tuple[ForeignMaps, ...] = ()
) -> tuple[ScoreRequest, Prepared]:
    """Resolve options for a model, and prepare it.

    Args:
        model: gives the default layer, the layout and the default batch size.
        options: the options of the user.
        former_batch_size: batch size of the run that is resumed; used if the options name none.
        maps: maps of other tools.

    Raises:
        InputError: an unknown layer, or one without a map; a model without probabilities.
        RunError: the model fails on a grey clip.
    """
    _check(model, options, options.batch_size or former_batch_size)
    model = model.with_axes(options.axes)
    names = (options.layer,) if isinstance(options.layer, str) else tuple(options.layer or ())
    methods, plan, ready = _prepared(model, options, names)
    model = plan.model
    request = ScoreRequest(
        methods=methods,
        score_scale=options.score_scale,
        steps=options.steps,
        fine=options.fine,
        budget=options.budget,
        layers=plan.layers,
        relevance_layers=tuple(map(dotted_name, names)),
        reshape=reshape_of(model.spec),
        axes=model.spec.input_axes,
        check_layout=False,  # `prepare` has done it
        activation=model.spec.activation,
        classes=model.spec.classes,
        baseline_activations=ready.baseline.activations,
        fusion=options.fusion or fusion_of(plan.layers, plan.note),
        measures=chosen_measures(options.measures),
        maps=maps,
        controls=controls_for(model.spec) if options.controls else (),
        windows=window_choice(options.windows),
        fill=options.fill,
        batch_size=options.batch_size or former_batch_size or ready.default_batch,
        precision=options.precision,
        seed=options.seed,
        min_confidence=options.min_confidence,
        correct_only=options.correct_only,
        label_in_top=options.label_in_top or 0,
        sanity=options.sanity,
        render_worst=options.render_worst,
        workers=options.workers,
        engine=options.engine,
        shard=None if options.shard is None else Shard.parse(options.shard),
        retry_failed=options.retry_failed,
        overwrite=options.overwrite,
    )
    return with_baseline_clips(request, ready.model), ready


def _prepared(model: Model, options: ScoreOptions, names: tuple[str, ...]) -> tuple[tuple[str, ...], MapPlan, Prepared]:
    """Choose the methods and the layers, and prepare the model for them."""
    memory = StartMemory.of(model, options.precision)
    methods, plan = _planned(model, options, names, memory)
    ready = prepare(plan.model, plan.layers, methods=plan.methods, precision=options.precision, memory=memory)
    return methods, plan, ready


def _planned(
    model: Model, options: ScoreOptions, names: tuple[str, ...], memory: StartMemory
) -> tuple[tuple[str, ...], MapPlan]:
    """Choose methods: on a transformer relevance, beside class activation maps if a layer for them is known."""
    if options.methods:
        methods = split_names(options.methods)
        return methods, plan_maps(model, methods, names, memory=memory)
    plan = plan_maps(model, None, names, memory=memory)
    if plan.methods is None:
        return DEFAULT_METHODS, replace(plan, methods=DEFAULT_METHODS)
    with suppress(LayerError):
        return TRANSFORMER_METHODS, plan_maps(model, TRANSFORMER_METHODS, (), memory=memory)
    return plan.methods, plan


def _check(model: Model, options: ScoreOptions, batch_size: int | None) -> None:
    if model.spec.activation == "none":
        raise InputError(f"model {model.spec.name!r} returns values; only models with probabilities can be scored")
    if options.shard and not batch_size and model.device.type != "cpu":
        raise InputError("--shard on a GPU needs --batch-size, as free memory would choose another one in each shard")
