"""What can be asked of `explain`: one set of defaults for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidcam.cam.fusion import FUSIONS, Fusion
from vidcam.cam.request import ScoreName
from vidcam.errors import InputError
from vidcam.fill import FILLS, Fill
from vidcam.models.optimise import PRECISIONS, Precision
from vidcam.video.reader import DECODERS, Decoder

OUTPUTS = ("overlay", "map", "sheet", "data")
DEFAULT_OUTPUTS = ("overlay", "sheet", "data")

DEFAULT_BATCH = {"cpu": 4, "cuda": 16}
"""Windows that the model is shown at once, by device; 'auto' is this number, so that results do not depend on luck."""


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
        if self.clip_start_seconds is not None and (self.start_seconds is not None or self.end_seconds is not None):
            raise InputError("a clip was asked for and a part of the film too, expected one of them; leave one out")
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion is {self.fusion!r}, expected one of {', '.join(FUSIONS)}")

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers' names as given; empty for the default."""
        return () if self.layer is None else (self.layer,) if isinstance(self.layer, str) else tuple(self.layer)


def rate(fps: Fraction | float | None) -> Fraction | None:
    """A rate as a fraction: 29.97 is 2997/100."""
    return None if fps is None else Fraction(fps).limit_denominator(100_000)
