"""The request of a scoring run: options resolved once for a model, everything that the run needs."""

from __future__ import annotations

from dataclasses import dataclass

from vidcam.cam.request import MapRequest
from vidcam.cam.reshape import reshape_of
from vidcam.fill import Fill
from vidcam.metrics.retention import DEFAULT_THETAS, GRID_THETAS
from vidcam.models.model import Model, Precision
from vidcam.pipelines.forward import default_batch, target_layers
from vidcam.pipelines.score.options import CONTROLS, ScoreOptions, chosen_measures


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreRequest(MapRequest):
    """Everything that a scoring run needs of its options; the fields of a `MapRequest` besides.

    Attributes:
        measures: names of MEASURES, in their order.
        controls: whether the rows `random` and `centre` are scored too.
        fill: what hidden pixels become.
        batch_size: perturbed clips per forward pass.
        precision: of the network but its classifier.
        seed: of the ties, the controls, the shuffles and the intervals.
        min_confidence: clips whose class has a lower probability are left out.
        correct_only: clips whose class is not their label are left out.
        sanity: clips whose maps are compared with those of randomised weights.
        render_worst: clips that get overlay videos.
        workers: threads that decode ahead.
        retry_failed: clips that failed in an earlier run are tried again.
        overwrite: existing results are replaced.
    """

    measures: tuple[str, ...]
    controls: bool
    fill: Fill
    batch_size: int
    precision: Precision
    seed: int
    min_confidence: float
    correct_only: bool
    sanity: int
    render_worst: int
    workers: int
    retry_failed: bool
    overwrite: bool

    @property
    def thetas(self) -> tuple[float, ...]:
        """Every θ that the measures need, increasing."""
        wanted = {*(DEFAULT_THETAS if "retention" in self.measures else ())}
        return tuple(sorted(wanted | {*(GRID_THETAS if "curve" in self.measures else ())}))

    @property
    def row_names(self) -> tuple[str, ...]:
        """What each clip has a row for: the methods, then the controls."""
        return (*self.methods, *(CONTROLS if self.controls else ()))


def resolve(model: Model, options: ScoreOptions, stated_batch_size: int | None = None) -> ScoreRequest:
    """The request of some options for a model.

    Args:
        model: its default layer, its layout and its device count.
        options: as the user gave them.
        stated_batch_size: of the scores that are gone on with; where the options name none, it is taken before the
            device's own.
    """
    names = (options.layer,) if isinstance(options.layer, str) else tuple(options.layer or ())
    layers, _ = target_layers(model, names)
    return ScoreRequest(
        methods=options.methods,
        score_scale=options.score_scale,
        layers=layers,
        reshape=reshape_of(model.spec),
        activation=model.spec.activation,
        fusion=options.fusion,
        measures=chosen_measures(options.measures),
        controls=options.controls,
        fill=options.fill,
        batch_size=options.batch_size or stated_batch_size or default_batch(model),
        precision=options.precision,
        seed=options.seed,
        min_confidence=options.min_confidence,
        correct_only=options.correct_only,
        sanity=options.sanity,
        render_worst=options.render_worst,
        workers=options.workers,
        retry_failed=options.retry_failed,
        overwrite=options.overwrite,
    )
