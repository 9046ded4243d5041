"""The options of `explain`, and the request into which they are resolved once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType

from vidcam.arguments import as_tuple, require_one_of, require_range, split_names
from vidcam.axes import Axes
from vidcam.cam.fusion import Fusion
from vidcam.cam.layers import dotted_name
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.request import DEFAULT_BUDGET, Fine, MapRequest, ScoreFunction, ScoreName
from vidcam.cam.reshape import reshape_of
from vidcam.errors import InputError
from vidcam.fill import FILLS, Fill
from vidcam.geometry import VIEWS, View
from vidcam.labels import label_index
from vidcam.models.model import PRECISIONS, Model, Precision
from vidcam.pipelines.audit import mode_sentence, weights_sentence
from vidcam.pipelines.explain.targets import is_above, least_probability
from vidcam.pipelines.forward import (
    MapPlan,
    Prepared,
    default_methods,
    fusion_of,
    plan_maps,
    prepare,
    with_baseline_clips,
)
from vidcam.pipelines.memory import StartMemory
from vidcam.render.caption_text import CAPTION_PLACES, CaptionPlace
from vidcam.render.sheet import SHEET_FORMATS, SheetFormat
from vidcam.results.explanation import GUIDED
from vidcam.results.video import PER_WINDOW, SCALES, Scale
from vidcam.sampling import require_overlap
from vidcam.video.reader import DECODERS, Decoder, frame_rate

OUTPUTS = ("overlay", "map", "sheet", "report", "data")
DEFAULT_OUTPUTS = ("overlay", "sheet", "report", "data")

VERDICT_FORWARDS = 16
"""Most clips of a video that are run again to check its maps, by default."""


_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sheet_format": SHEET_FORMATS,
        "fill": FILLS,
        "scale": SCALES,
        "captions": CAPTION_PLACES,
        "view": VIEWS,
        "decoder": DECODERS,
        "precision": PRECISIONS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """The options of `explain_video` and `vidcam explain`, with their defaults; `explain_video` describes them.

    Raises:
        InputError: an unknown name, a number out of its range, or options that exclude each other.
    """

    methods: str | Sequence[str] | None = None
    targets: str | int | Sequence[str | int] = ()
    contrast: str | int | None = None
    caption: str | Sequence[str] = ()
    layer: str | Sequence[str] | None = None
    axes: str | None = None
    fusion: Fusion | None = None
    score: ScoreName = "logit"
    score_scale: float = 1.0
    steps: int | None = None
    fine: Fine = "pooled"
    budget: int = DEFAULT_BUDGET
    view: View = "centre"
    at: float | None = None
    start: float | None = None
    end: float | None = None
    overlap: float = 0.5
    verdict_forwards: int | None = None
    outputs: str | Sequence[str] = DEFAULT_OUTPUTS
    captions: CaptionPlace = "inside"
    sheet_format: SheetFormat = "png"
    fill: Fill = "black"
    scale: Scale = "video"
    batch_size: int | None = None
    precision: Precision = "float32"
    fps: Fraction | float | None = None
    decoder: Decoder = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", as_tuple(self.targets))
        least_probability(as_tuple(self.targets))
        object.__setattr__(self, "outputs", split_names(self.outputs))
        if not self.outputs or not set(self.outputs) <= set(OUTPUTS):
            raise InputError(f"--outputs is {','.join(self.outputs) or 'empty'}; use some of {', '.join(OUTPUTS)}")
        for name, known in _CHOICES.items():
            require_one_of(name, getattr(self, name), known)
        require_range("batch-size", self.batch_size, 1)
        if self.verdict_forwards is not None and self.verdict_forwards < 0:
            raise InputError(f"--verdict-forwards is {self.verdict_forwards}; it must be 0 or more")
        if self.score == "negative":
            raise InputError("score is 'negative', which only vidcam.explain takes; use logit or probability")
        require_overlap(self.overlap)
        if self.axes is not None:
            Axes(self.axes)
        frame_rate(self.fps)
        self._require_part()
        if self.at is not None and (self.start is not None or self.end is not None):
            raise InputError("--at cannot be combined with --start or --end")
        methods = DEFAULT_METHODS if self.methods is None else self.methods
        checked = MapRequest(
            methods=methods,
            score=self.score,
            score_scale=self.score_scale,
            fusion=self.fusion,
            steps=self.steps,
            fine=self.fine,
            budget=self.budget,
        )
        self._require_view(checked.methods)

    def _require_view(self, methods: Sequence[str]) -> None:
        guided = [method for method in methods if method in GUIDED]
        if guided and self.view == "three-crop":
            raise InputError(f"--view three-crop cannot be combined with --method {guided[0]}; use --view full")

    def _require_part(self) -> None:
        """Check the times without the video."""
        named = {"--at": self.at, "--start": self.start, "--end": self.end}
        for name, second in named.items():
            if second is not None and not 0.0 <= second < math.inf:
                raise InputError(f"{name} is {second:g} s; it must be 0 or more")
        start, end = self.start or 0.0, self.end
        if end is not None and end <= start:
            raise InputError(f"--start ({start:g} s) must be before --end ({end:g} s)")

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers; empty for the default."""
        return () if self.layer is None else (self.layer,) if isinstance(self.layer, str) else tuple(self.layer)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainRequest(MapRequest):
    """The resolved options of a run: labels are indices, defaults are filled in.

    Attributes, besides those of `MapRequest` and `ExplainOptions`:
        targets: class indices; None for the top class of each window; functions of the output for words of a caption.
            Empty: the top class of the video.
        caption: the captions that are targets; empty if classes are.
        above: every class of at least this mean probability is a target too. None: no further targets.
        contrast_label: label of the contrast class.
        batch_size: windows per forward pass.
        notes: sentences about choices made for the user, and about the weights.
        settings: options to write beside the result, so that the run can be repeated. Empty: nothing is written.
    """

    targets: tuple[int | ScoreFunction | None, ...] = ()
    caption: tuple[str, ...] = ()
    above: float | None = None
    contrast_label: str | None = None
    captions: CaptionPlace = "inside"
    fill: Fill = "black"
    scale: Scale = "video"
    view: View = "centre"
    batch_size: int = 1
    precision: Precision = "float32"
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS
    sheet_format: SheetFormat = "png"
    overlap: float = 0.5
    verdict_forwards: int | None = None
    at: float | None = None
    start: float | None = None
    end: float | None = None
    fps: Fraction | None = None
    decoder: Decoder = "auto"
    overwrite: bool = False
    notes: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def guided(self) -> tuple[str, ...]:
        """The guided methods."""
        return tuple(method for method in self.methods if method in GUIDED)


def named_classes(
    options: ExplainOptions, labels: Sequence[str], *, model: str
) -> tuple[tuple[int | None, ...], int | None]:
    """Find the class indices of the targets and of the contrast class.

    Args:
        options: the options with the targets and the contrast class.
        labels: K labels of the model.
        model: name of the model.

    Returns:
        The targets, None for the top class of each window, and the contrast class.

    Raises:
        InputError: an unknown label, or a contrast class that is a target too.
    """
    contrast = None if options.contrast is None else label_index(labels, options.contrast, model=model)
    targets = tuple(
        dict.fromkeys(
            None if target == PER_WINDOW else label_index(labels, target, model=model)
            for target in as_tuple(options.targets)
            if not is_above(target)
        )
    )
    if contrast is not None and contrast in targets:
        raise InputError(f"--contrast {labels[contrast]!r} is a target too; choose another class")
    if contrast is not None and None in targets:
        raise InputError(f"--contrast cannot be combined with --target {PER_WINDOW}")
    return targets, contrast


def window_request(ready: Prepared, options: ExplainOptions, plan: MapPlan) -> ExplainRequest:
    """Resolve the options that choose the windows and how they are run; the others keep their defaults."""
    return ExplainRequest(
        methods=plan.methods or DEFAULT_METHODS,
        layers=plan.layers,
        relevance_layers=tuple(map(dotted_name, options.layers)),
        view=options.view,
        batch_size=options.batch_size or ready.default_batch,
        precision=options.precision,
        overlap=options.overlap,
        at=options.at,
        start=options.start,
        end=options.end,
        fps=frame_rate(options.fps),
        decoder=options.decoder,
    )


def model_notes(model: Model) -> tuple[str, ...]:
    """Write what one should know about a model before any video: random weights, training mode."""
    is_training = any(module.training for module in model.module.modules())
    return tuple(filter(None, (weights_sentence(model.weights), mode_sentence(is_training=is_training))))


def resolve(model: Model, options: ExplainOptions) -> tuple[ExplainRequest, Prepared]:
    """Resolve the options into one request, and prepare the model. Nothing reads the options afterwards.

    Raises:
        InputError: an unknown label or layer, or a contrast class that is a target too.
        RunError: the model fails on a grey clip.
    """
    model = model.with_axes(options.axes)
    memory = StartMemory.of(model, options.precision)
    named = None if options.methods is None else split_names(options.methods)
    plan = plan_maps(model, named, options.layers, memory=memory)
    model = plan.model
    targets, contrast = named_classes(options, model.labels, model=model.spec.name)
    ready = prepare(
        model, plan.layers, methods=plan.methods, precision=options.precision, memory=memory
    )  # first: it checks the model
    request = replace(
        window_request(ready, options, plan),
        methods=plan.methods or default_methods(model, plan.layers, memory=memory),
        contrast=contrast,
        score=options.score,
        score_scale=options.score_scale,
        steps=options.steps,
        fine=options.fine,
        budget=options.budget,
        reshape=reshape_of(model.spec),
        axes=model.spec.input_axes,
        check_layout=False,  # `prepare` has done it
        fusion=options.fusion or fusion_of(plan.layers, plan.note),
        activation=model.spec.activation,
        classes=model.spec.classes,
        baseline_activations=ready.baseline.activations,
        targets=targets,
        above=least_probability(as_tuple(options.targets)),
        contrast_label=None if contrast is None else model.label(contrast),
        captions=options.captions,
        verdict_forwards=options.verdict_forwards,
        fill=options.fill,
        scale=options.scale,
        outputs=split_names(options.outputs),
        sheet_format=options.sheet_format,
        overwrite=options.overwrite,
        notes=(*((plan.note,) if plan.note else ()), *ready.baseline.notes, *model_notes(model)),
    )
    return with_baseline_clips(request, ready.model), ready
