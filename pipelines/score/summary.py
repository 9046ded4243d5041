"""The figures of a run, as summary.json has them: a field is a key, undefined numbers and what was not measured null.

Percent where the papers have percent (drop, increase, retention, wins, pointing), shares elsewhere. Every mean has a
95 % percentile bootstrap interval, groups of clips drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vidcam.metrics.intervals import Interval
from vidcam.models.model import Forward
from vidcam.pipelines.score.settings import Provenance


def defined(value: float) -> float | None:
    """A number, or None where it is undefined."""
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over the clips with its interval; all three None where there is nothing to average."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, interval: Interval) -> Mean:
        """An interval whose undefined numbers are None."""
        return cls(*map(defined, (interval.value, interval.low, interval.high)))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaFigures:
    """α of gradcam++: medians over the clips of each clip's own five numbers; extremes over all."""

    min: float | None
    q1: float | None
    median: float | None
    q3: float | None
    max: float | None
    all_min: float | None
    all_max: float | None
    like_gradcam_plus: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFigures:
    """The figures of a method or a control; None, or an empty mapping, where a measure was not made.

    Attributes:
        retention: θ → percent of the probability that is left; likewise `tied`, the share that ties decided.
        localization: δ → Loc(δ).
        empty: clips whose map has no positive evidence.
        artifact: clips whose map peaks in a cell that is loud on any clip.
        empty_post: clips whose post-softmax map is empty.
        n_with_boxes: clips that localisation was measured on.
    """

    average_drop: Mean
    increase: Mean
    area: Mean
    retention: Mapping[str, Mean] = field(default_factory=dict)
    tied: Mapping[str, Mean] = field(default_factory=dict)
    retention_area: Mean | None = None
    insertion: Mean | None = None
    deletion: Mean | None = None
    frame_insertion: Mean | None = None
    frame_deletion: Mean | None = None
    localization: Mapping[str, Mean] = field(default_factory=dict)
    pointing: Mean | None = None
    energy: Mean | None = None
    temporal_iou: Mean | None = None
    empty: int
    artifact: int | None = None
    empty_post: int | None = None
    n_with_boxes: int | None = None
    alpha: AlphaFigures | None = None


@dataclass(frozen=True, slots=True)
class PairRatio:
    """Relative performance of a against b, and mean and deviation of its logarithm over the clips."""

    relative_performance: float | None
    log_mean: float | None
    log_std: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two methods compared, or a method with a control.

    Attributes:
        win_a: percent of the clips with the smaller drop; with `win_b` and `ties` 100.
        relative_performance: geometric mean of O_a / O_b.
        groups_that_differ: groups that the test is on.
        post: of the post-softmax maps.
        p_holm: the p-value, corrected over all pairs of the run.
    """

    a: str
    b: str
    win_a: float
    win_b: float
    ties: float
    win_a_low: float | None
    win_a_high: float | None
    relative_performance: float | None
    log_mean: float | None
    log_std: float | None
    relative_performance_low: float | None
    relative_performance_high: float | None
    p_value: float | None
    groups_that_differ: int
    post: PairRatio | None = None
    p_holm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFigures:
    """Use of motion.

    Attributes:
        probability: 'original' and each change → mean probability of the class.
        left_percent: change → percent of it that is left.
        evidence: method → (T,), mean of the map in each frame.
    """

    probability: Mapping[str, Mean]
    left_percent: Mapping[str, Mean]
    evidence: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One explained class: its clips, and each method's average drop in percent."""

    n: int
    average_drop: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Clips whose label the model knows, and of what share it is the top class; left out ones count too."""

    known: int
    value: float | None


@dataclass(frozen=True, slots=True)
class FailedClip:
    """A clip that could not be scored, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class SanityFigures:
    """One method's maps against those of randomised weights: one entry for each layer.

    Attributes:
        correlation: Spearman's, mean over clips.
        ssim: structural similarity, likewise.
        empty: clips of which one of the two maps says nothing.
    """

    correlation: Sequence[float | None]
    ssim: Sequence[float | None]
    empty: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanity:
    """The sanity checks, as sanity.json has them.

    Attributes:
        asked: how many clips were asked for.
        clips: names of those that were taken.
        layers: names of those that were drawn anew, the last first.
        cascading: method → figures, layers drawn from the last one down.
        independent: likewise, each layer alone.
    """

    asked: int
    clips: tuple[str, ...]
    layers: tuple[str, ...]
    cascading: Mapping[str, SanityFigures]
    independent: Mapping[str, SanityFigures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything in summary.json: the settings of a run, then its figures.

    Attributes:
        layer: dotted names, joined by ' + '.
        clips: of the set; n are scored, the others failed or left out.
        made_with: what scored the clips; `versions` and `device` are those of the last.
        worst: one line for each clip that was rendered.
    """

    schema: int
    model: str
    weights: str
    labels: str
    mean_cube: str | None
    layer: str
    fusion: str
    measures: tuple[str, ...]
    controls: bool
    fill: str
    score_scale: float
    batch_size: int
    forward: Forward
    seed: int
    min_confidence: float
    correct_only: bool
    made_with: tuple[Provenance, ...]
    versions: Mapping[str, str]
    device: str
    command: str
    unread_columns: tuple[str, ...]
    clips: int
    n: int
    failed: int
    left_out: int
    groups: int
    accuracy: Accuracy
    interval: str
    methods: Mapping[str, MethodFigures]
    test: str
    pairs: tuple[Pair, ...]
    time: TimeFigures | None
    classes: Mapping[str, ClassFigures]
    failures: tuple[FailedClip, ...]
    sanity: Sanity | None
    worst: tuple[str, ...]
