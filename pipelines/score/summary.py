"""The results of a scoring run, with the fields of summary.json.

None stands for an undefined number and for a measure that was not made. Drop, increase, retention, wins and pointing
are in percent, as in the papers; other shares are in [0, 1]. Every mean has a 95 % percentile bootstrap interval;
the clips of a group are drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vidcam.metrics.intervals import Interval
from vidcam.pipelines.score.sanity_figures import Sanity
from vidcam.pipelines.score.settings import Settings


def defined(value: float) -> float | None:
    """Return a number, or None if it is not finite."""
    return value if math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over the clips with its interval.

    Attributes:
        value: None without a clip.
        low: lower end; None below two groups of clips, which show no spread. `high` is the upper end.
        n: number of clips with a value.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int = 0

    @classmethod
    def of(cls, interval: Interval, *, n: int, groups: int | None = None) -> Mean:
        """Convert an interval over n clips in some groups; None: each clip is its own."""
        if (n if groups is None else groups) < 2:
            return cls(defined(interval.value), None, None, n)
        return cls(defined(interval.value), defined(interval.low), defined(interval.high), n)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaFigures:
    """α of gradcam++.

    Attributes:
        min: over all clips, where the gradient is positive.
        q1: median over the clips of their lower quartile; `median` and `q3` are computed the same way.
        max: over all clips, where the gradient is positive.
        all_min: over all clips, where the gradient is not zero; `all_max` is the maximum there.
        correlation_with_gradcam_plus: median over the clips of the correlation of the two maps.
    """

    min: float | None
    q1: float | None
    median: float | None
    q3: float | None
    max: float | None
    all_min: float | None
    all_max: float | None
    correlation_with_gradcam_plus: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFigures:
    """The results of a method or a control; None or an empty mapping stands for a measure that was not made.

    Attributes:
        average_drop: average drop of the probability, in percent.
        increase: percent of the clips whose probability increased.
        area: mean of the maps.
        kept: share of the probability that is left with the lowest 25, 50 and 75 % of the voxels hidden, the geometric
            mean over these θ and the clips.
        verdicts: word → number of clips, see `judge`; from what is kept at half area against the controls.
        retention: θ → percent of the probability that is left when the lowest θ of the voxels are hidden.
        tied: θ → share of the voxels at the value that the cut goes through.
        kept_by_fill: fill → percent of the probability that is left when half of the voxels are hidden by it.
        retention_auc: area under the retention curve, in percent.
        localization: δ → Loc(δ).
        empty: number of clips whose map has no positive evidence.
        artifact: number of clips whose map peaks in the artifact.
        empty_post_softmax: number of clips whose map of the probability's gradient is empty.
        n_with_boxes: number of clips on which localization was measured; each mean has its own `n`.
    """

    average_drop: Mean
    increase: Mean
    area: Mean
    kept: Mean | None = None
    verdicts: Mapping[str, int] = field(default_factory=dict)
    retention: Mapping[str, Mean] = field(default_factory=dict)
    tied: Mapping[str, Mean] = field(default_factory=dict)
    kept_by_fill: Mapping[str, Mean] = field(default_factory=dict)
    retention_auc: Mean | None = None
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
    empty_post_softmax: int | None = None
    n_with_boxes: int | None = None
    alpha: AlphaFigures | None = None


@dataclass(frozen=True, slots=True)
class PairRatio:
    """Relative performance of a against b, and the mean and standard deviation of log(O_a / O_b) over the clips."""

    relative_performance: float | None
    log_mean: float | None
    log_std: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EqualArea:
    """What a keeps over what b keeps when both hide the same share θ of the voxels, and whether they differ.

    Attributes:
        log_ratio: log(O_a / O_b), mean over θ = 0.25, 0.5, 0.75 and over the clips.
        by_theta: θ → the same at this θ.
        p_value: of the paired test of `log_ratio` on the groups, before correction.
        p_holm: the p-value after Holm's correction over all pairs of the run.
        smallest_p: the smallest value that `p_value` can have with so many groups.
        smallest_p_holm: the smallest value that `p_holm` can have with so many groups.
        groups: number of groups.
        groups_that_differ: number of groups with a difference; the test uses only these.
        least_groups: number of groups with which any pair of the run can be told apart at 5 %.
        groups_needed: number of groups with which a difference like this one would be shown with a probability of
            80 %; None if there is none.
    """

    log_ratio: Mean
    by_theta: Mapping[str, Mean]
    p_value: float | None
    p_holm: float | None
    smallest_p: float | None
    smallest_p_holm: float | None
    groups: int
    groups_that_differ: int
    least_groups: int
    groups_needed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A comparison of two methods, or of a method with a control.

    All but `equal_area` compares the maps as they are: the one that shows more has an advantage.

    Attributes:
        equal_area: the test of which one is better; None if the measure `retention` was not chosen.
        win_a: percent of the clips on which a has the smaller drop; `win_a`, `win_b` and `ties` add up to 100.
        relative_performance: geometric mean of O_a / O_b.
        post_softmax: the same ratio for the maps of the probability's gradient.
    """

    a: str
    b: str
    equal_area: EqualArea | None = None
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
    post_softmax: PairRatio | None = None


@dataclass(frozen=True, slots=True)
class FillAgreement:
    """Kendall's τ of the order of the methods, by what they keep with fill a and with fill b; None for one method."""

    a: str
    b: str
    tau: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFigures:
    """How the probability depends on the order of the frames.

    Attributes:
        probability: 'original' or a change of the frames → mean probability of the class.
        remaining_percent: change → percent of the original probability that is left.
        evidence: method → (T,), mean of the maps in each frame.
    """

    probability: Mapping[str, Mean]
    remaining_percent: Mapping[str, Mean]
    evidence: Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """The number of clips of one explained class, and each method's average drop on them in percent."""

    n: int
    average_drop: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often the model is right. Clips that were left out count too.

    Attributes:
        known: number of clips whose label the model knows.
        value: share of them with that label as top class.
        top5: share of them with that label among the top five classes; None for a model of at most five.
    """

    known: int
    value: float | None
    top5: float | None = None


@dataclass(frozen=True, slots=True)
class FailedClip:
    """A clip that could not be scored, and the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GridFigures:
    """The grid pointing game of a method or a control: means over the pairs of clips. None: not played.

    Attributes:
        space: share of the map in the half of its class, in [0, 1]; the clips lie side by side.
        space_right_side: share of the maps with more than half of their sum there.
        time, time_right_side: the same; the clips follow each other.
    """

    space: Mean | None
    space_right_side: Mean | None
    time: Mean | None
    time_right_side: Mean | None


@dataclass(frozen=True, slots=True)
class FailedPair:
    """Two clips with which the grid pointing game could not be played, and the reason."""

    first: str
    second: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GridResult:
    """The grid pointing game of a run.

    Attributes:
        candidates: number of clips that were rightly and surely classified.
        pairs: number of pairs that were played.
        shrunk: where ('space', 'time') the two clips were shrunk into one input, as the network has a fixed size.
        methods: method or control → means over the pairs; empty if no pair was played.
        failed: pairs that could not be played.
    """

    candidates: int
    pairs: int
    shrunk: tuple[str, ...]
    methods: Mapping[str, GridFigures]
    failed: tuple[FailedPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The content of summary.json: the settings of a run, then its results.

    Attributes:
        settings: the content of settings.json.
        command: the command line; empty if the run was started from Python.
        ignored_columns: columns of the manifest that have no meaning here.
        clips: number of clips in the set: scored, failed and left out.
        n: number of scored clips.
        windows: mean number of windows of a scored clip.
        grid: the grid pointing game; None if it was not chosen.
        worst: one line of Markdown for each rendered clip.
    """

    settings: Settings
    command: str
    ignored_columns: tuple[str, ...]
    clips: int
    n: int
    windows: float | None
    failed: int
    left_out: int
    groups: int
    accuracy: Accuracy
    interval: str
    methods: Mapping[str, MethodFigures]
    test: str
    pairs: tuple[Pair, ...]
    time: TimeFigures | None
    fills: tuple[FillAgreement, ...]
    classes: Mapping[str, ClassFigures]
    failures: tuple[FailedClip, ...]
    sanity: Sanity | None
    grid: GridResult | None
    worst: tuple[str, ...]

    def __repr__(self) -> str:
        clips = f"{self.n} of {self.clips} clips scored, {self.failed} failed, {self.left_out} left out"
        settings = self.settings
        return f"Summary({settings.where}, fill {settings.fill}: {clips}; {len(self.methods)} methods)"
