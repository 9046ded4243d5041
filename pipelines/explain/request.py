"""What can be asked of `explain`, and what is asked of a run: options as given, resolved once into one request."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidcam.cam.fusion import Fusion
from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.request import MapRequest, ScoreName
from vidcam.errors import InputError
from vidcam.fill import FILLS, Fill
from vidcam.models.labels import label_index
from vidcam.models.model import PRECISIONS, Model, Precision
from vidcam.pipelines.audit import weights_sentence
from vidcam.pipelines.forward import Prepared, default_batch, default_methods, prepare, reshape_of, target_layers
from vidcam.results.explanation import GUIDED
from vidcam.results.video import PER_WINDOW
from vidcam.sampling import require_overlap
from vidcam.video.reader import DECODERS, Decoder, frame_rate

OUTPUTS = ("overlay", "map", "sheet", "data")
DEFAULT_OUTPUTS = ("overlay", "sheet", "data")


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """How films are explained; the defaults of the command line and of `explain_video`.

    Attributes:
        methods: names or aliases; None: by the head above the layer, neutral-gradcam and gradcam++ where it is pooled
            and linear, else gradcam and gradcam++.
        targets: labels or class indices, or `per-window` for each window's own top class; empty: the class of the
            highest mean probability over the film.
        foil: label or index of a class to contrast the targets with.
        layer: dotted name, or several whose maps are fused; None: the model's own default.
        fusion: `mean` or `max` of several layers' maps, each divided by its own maximum.
        score: `logit`, or `probability`, whose gradient vanishes where the model is sure.
        lam: λ of EQ 12 for gradcam++; near 0 it weighs as gradcam+ does.
        clip_start_seconds: explain only the one window that starts here.
        start_seconds: where the explained part of the film begins.
        end_seconds: where it ends, not included.
        overlap: share of a window that the next one covers again.
        outputs: of `overlay`, `map`, `sheet`, `data`; the JSON is always written.
        fill: what hidden pixels become, in `map` and in the measures.
        batch_size: windows at once; None: by device.
        precision: of the network but its classifier: `float32` (exact), `bf16`, or `fp16` on CUDA.
        fps: images a second, for a folder of images; None: 25.
        decoder: `auto` (PyAV), `pyav` or `decord`, which is refused for a film that it does not read as PyAV does.
        overwrite: replace existing results of the same source.

    Raises:
        InputError: an unknown name, or options that contradict each other; no model is needed to see that.
    """

    methods: Sequence[str] | None = None
    targets: Sequence[str | int] = ()
    foil: str | int | None = None
    layer: str | Sequence[str] | None = None
    fusion: Fusion = "mean"
    score: ScoreName = "logit"
    lam: float = 1.0
    clip_start_seconds: float | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None
    overlap: float = 0.5
    outputs: Sequence[str] = DEFAULT_OUTPUTS
    fill: Fill = "black"
    batch_size: int | None = None
    precision: Precision = "float32"
    fps: Fraction | float | None = None
    decoder: Decoder = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.outputs if name not in OUTPUTS]
        if unknown or not self.outputs:
            given = ", ".join(filter(None, self.outputs)) or "none"
            raise InputError(f"outputs are {given}, expected some of {', '.join(OUTPUTS)}")
        if self.fill not in FILLS:
            raise InputError(f"fill is {self.fill!r}, expected one of {', '.join(FILLS)}")
        if self.decoder not in DECODERS:
            raise InputError(f"decoder is {self.decoder!r}, expected one of {', '.join(DECODERS)}")
        if self.precision not in PRECISIONS:
            raise InputError(f"precision is {self.precision!r}, expected one of {', '.join(PRECISIONS)}")
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size is {self.batch_size}, expected at least 1")
        require_overlap(self.overlap)
        frame_rate(self.fps)
        self._require_part()
        if self.clip_start_seconds is not None and (self.start_seconds is not None or self.end_seconds is not None):
            raise InputError("a clip was asked for and a part of the film too, expected one of them; leave one out")
        methods = DEFAULT_METHODS if self.methods is None else self.methods
        MapRequest(methods=methods, score=self.score, lam=self.lam, fusion=self.fusion)  # knows these four

    def _require_part(self) -> None:
        """Check the times as far as they are wrong of any video."""
        named = {"--clip": self.clip_start_seconds, "--start": self.start_seconds, "--end": self.end_seconds}
        for name, second in named.items():
            if second is not None and not 0.0 <= second < math.inf:
                raise InputError(f"{name} is {second:g} s, expected 0 or more")
        start, end = self.start_seconds or 0.0, self.end_seconds
        if end is not None and end <= start:
            raise InputError(f"--start ({start:g} s) must be before --end ({end:g} s)")

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers' names as given; empty for the default."""
        return () if self.layer is None else (self.layer,) if isinstance(self.layer, str) else tuple(self.layer)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainRequest(MapRequest):
    """What is asked of a model about videos: names are indices, defaults are filled in.

    Attributes, besides those of a `MapRequest`; the others are as in `ExplainOptions`:
        targets: class indices, None for each window's own top class; empty for the class that leads over the video.
        foil_label: of the class that targets are contrasted with.
        batch_size: windows that the model is shown at once.
        notes: sentences about what was chosen for the user, and about the weights.
    """

    targets: tuple[int | None, ...] = ()
    foil_label: str | None = None
    fill: Fill = "black"
    batch_size: int = 1
    precision: Precision = "float32"
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS
    overlap: float = 0.5
    clip_start_seconds: float | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None
    fps: Fraction | None = None
    decoder: Decoder = "auto"
    overwrite: bool = False
    notes: tuple[str, ...] = ()

    @property
    def guided(self) -> tuple[str, ...]:
        """The guided ones among the methods."""
        return tuple(method for method in self.methods if method in GUIDED)


def named_classes(
    options: ExplainOptions, labels: Sequence[str], *, model: str
) -> tuple[tuple[int | None, ...], int | None]:
    """Indices of the targets, None for each window's own top class, and of the foil.

    Args:
        options: name them.
        labels: of the model.
        model: its name.

    Raises:
        InputError: a label that the model does not have, or a foil that is a target too.
    """
    foil = None if options.foil is None else label_index(labels, options.foil, model=model)
    targets = tuple(
        dict.fromkeys(
            None if target == PER_WINDOW else label_index(labels, target, model=model) for target in options.targets
        )
    )
    if foil is not None and foil in targets:
        raise InputError(f"the foil {labels[foil]!r} is a target too, expected another class; leave one of the two out")
    if foil is not None and None in targets:
        raise InputError(
            f"a foil was given with the target {PER_WINDOW!r}, which is another class in each window; leave one out"
        )
    return targets, foil


def resolve(model: Model, options: ExplainOptions) -> tuple[ExplainRequest, Prepared]:
    """The one request of a run, and the model made ready for it; nothing reads the options afterwards.

    Raises:
        InputError: a label or a layer that the model does not have, or a foil that is a target too.
        RunError: the model fails on a grey clip.
    """
    layers, note = target_layers(model, options.layers)
    targets, foil = named_classes(options, model.labels, model=model.spec.name)
    ready = prepare(model, layers, precision=options.precision)  # first, as it says what is wrong with a model
    request = ExplainRequest(
        methods=default_methods(model, layers) if options.methods is None else options.methods,
        layers=layers,
        foil=foil,
        score=options.score,
        lam=options.lam,
        reshape=reshape_of(model.spec),
        fusion=options.fusion,
        activation=model.spec.activation,
        references=ready.neutral.activations,
        targets=targets,
        foil_label=None if foil is None else model.label(foil),
        fill=options.fill,
        batch_size=options.batch_size or default_batch(model),
        precision=options.precision,
        outputs=tuple(options.outputs),
        overlap=options.overlap,
        clip_start_seconds=options.clip_start_seconds,
        start_seconds=options.start_seconds,
        end_seconds=options.end_seconds,
        fps=frame_rate(options.fps),
        decoder=options.decoder,
        overwrite=options.overwrite,
        notes=tuple(sentence for sentence in (note, weights_sentence(model.weights)) if sentence),
    )
    return request, ready
