"""The options of `score`: one set of defaults for the command line and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vidcam.arguments import require_one_of, require_range
from vidcam.axes import Axes
from vidcam.cam.fusion import Fusion
from vidcam.cam.methods import METHODS
from vidcam.cam.request import DEFAULT_BUDGET, Fine, MapRequest
from vidcam.errors import InputError
from vidcam.fill import SCORE_FILLS, ScoreFill
from vidcam.models.model import PRECISIONS, Precision
from vidcam.pipelines.score.measures import chosen_measures
from vidcam.pipelines.score.windows import window_choice
from vidcam.results.explanation import GUIDED, INPUT_METHODS

DEFAULT_METHODS = ("gradcam", "gradcam+", "gradcam++", "neutral-gradcam")
TRANSFORMER_METHODS = ("token-lrp", "gradcam", "gradcam+", "neutral-gradcam")
SCORED = (*METHODS, *INPUT_METHODS)
"""Methods that can be scored; the values of guided methods are signed."""

EngineName = Literal["local", "ray"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
"""What runs the clips: this process, or a Ray cluster."""

CONTROLS = ("random", "centre", "frame-difference", "uniform")
"""Baseline maps that know nothing of the network, see `metrics.controls`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """The options of `score_clips` and `vidcam score`, with their defaults; `score_clips` describes them.

    Raises:
        InputError: an unknown name, or a number out of range.
    """

    methods: str | Sequence[str] | None = None
    measures: Sequence[str] | str = "default"
    controls: bool = True
    maps: str | Path | Sequence[str | Path] = ()
    windows: str | int = "central"
    fill: ScoreFill = "black"
    layer: str | Sequence[str] | None = None
    axes: str | None = None
    fusion: Fusion | None = None
    score_scale: float = 1.0
    steps: int | None = None
    fine: Fine = "pooled"
    budget: int = DEFAULT_BUDGET
    batch_size: int | None = None
    precision: Precision = "float32"
    workers: int | None = None
    threads: int | None = None
    shard: str | None = None
    engine: EngineName = "local"
    seed: int = 0
    min_confidence: float = 0.0
    correct_only: bool = False
    label_in_top: int | None = None
    sanity: int = 0
    render_worst: int = 0
    addresses: bool = False
    retry_failed: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "maps", self.map_folders)
        object.__setattr__(self, "windows", window_choice(self.windows, has_maps=bool(self.maps)))
        chosen_measures(self.measures)
        maps = MapRequest(
            methods=DEFAULT_METHODS if self.methods is None else self.methods,
            score_scale=self.score_scale,
            fusion=self.fusion,
            steps=self.steps,
            fine=self.fine,
            budget=self.budget,
        )  # checks these options; needs no model
        guided = [name for name in maps.methods if name in GUIDED]
        if guided:
            raise InputError(
                f"--method {guided[0]} cannot be scored, its values are signed; use one of {', '.join(SCORED)}"
            )
        if self.axes is not None:
            Axes(self.axes)
        require_one_of("fill", self.fill, SCORE_FILLS)
        require_one_of("precision", self.precision, PRECISIONS)
        require_one_of("engine", self.engine, ENGINES)
        require_range("min-confidence", self.min_confidence, 0, 1)
        for name in ("batch_size", "workers", "threads"):
            require_range(name, getattr(self, name), 1)
        for name in ("seed", "sanity", "render_worst", "label_in_top"):
            require_range(name, getattr(self, name), 0)

    @property
    def map_folders(self) -> tuple[Path, ...]:
        """The folders with maps of other tools."""
        return tuple(map(Path, (self.maps,) if isinstance(self.maps, str | Path) else self.maps))
