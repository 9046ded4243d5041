"""The motion benchmark: compare the maps of any method with the known truth of the motion set.

Each clip has one actor and is explained for its true class, also where the network predicts another. The truth is the
actor's box while it acts, 1.6 % of the voxels.

    energy          share of the map's sum inside the truth
    pointing        share of the map's maximal voxels inside the truth
    coverage        share of the truth that is left of the map, cut at the truth's own volume
    temporal IoU    frames at half of the map's peak or more, against the frames of the action

Clips, networks and measures of one version never change. So rows of one version are comparable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.errors import InputError, ShapeError
from vidcam.maps import Floats
from vidcam.metrics.instances import instance_coverage
from vidcam.metrics.intervals import Interval, bootstrap_mean
from vidcam.metrics.localization import energy, pointing
from vidcam.metrics.temporal_iou import temporal_iou
from vidcam.models.families.tiny import TINY_SPECS, weights_path
from vidcam.models.registry import load_model
from vidcam.models.specs import TINY_R3D_SPEC
from vidcam.motion.box_tracks import filled_boxes
from vidcam.motion.clip import MotionClip
from vidcam.pipelines.study.motion_set import mixed
from vidcam.preprocess import scale_pixels
from vidcam.system.fingerprint import sha256
from vidcam.system.progress import Progress, progress_or_default

if TYPE_CHECKING:
    from torch import nn

VERSION = "1"
FIRST_SEED = 500_000
CLIPS = 160
BATCH = 20

MEASURES = ("energy", "pointing", "coverage", "temporal IoU")

Explain = Callable[["nn.Module", Tensor, Tensor], "Floats | Tensor"]
"""(network, clips (N, 3, 16, 64, 64), classes (N,)) → heat (N, 16, 64, 64)."""


@dataclass(frozen=True, slots=True)
class NetworkScores:
    """The scores of one method on one network.

    Attributes:
        network: name of the network.
        sha256: SHA-256 of its weights file.
        means: measure → mean over the clips, with its 95 % bootstrap interval.
        empty: clips whose map is zero everywhere. They count as 0 in every measure.
    """

    network: str
    sha256: str
    means: dict[str, Interval]
    empty: int


@dataclass(frozen=True, slots=True)
class MotionBenchmark:
    """The scores of one method; `print` shows them as a Markdown table.

    Attributes:
        name: name of the method.
        version: version of clips, networks and measures.
        clips: number of clips; fewer than 160 are only a trial.
        networks: the scores on each network.
    """

    name: str
    version: str
    clips: int
    networks: tuple[NetworkScores, ...]

    def __str__(self) -> str:
        header = (f"motion set {self.version}, {self.clips} clips", "network", *MEASURES, "empty")
        return "\n".join(map(_line, (header, ["---"] * len(header), *self.rows())))

    def rows(self) -> list[tuple[str, ...]]:
        """One row of cells for each network: name, network, the four measures, empty maps."""
        return [
            (self.name, scores.network, *(_cell(scores.means[measure]) for measure in MEASURES), str(scores.empty))
            for scores in self.networks
        ]


def benchmark(
    explain: Explain, *, name: str | None = None, clips: int = CLIPS, progress: Progress | None = None
) -> MotionBenchmark:
    """Measure how well a method's maps match the truth, on both shipped networks.

    Args:
        explain: function of a network, clips and classes that returns heat (N, T, H, W), an array or a tensor. The
            network is in eval mode on the CPU. Clips are float32, (N, 3, 16, 64, 64), at most 20. Classes are int64,
            (N,). Heat is >= 0, and larger where there is more evidence for the class. Its scale does not matter. It is
            measured as it is: nothing is subtracted, and negative values are refused, because the positive part and
            the absolute value are two different maps. Choose one.
        name: name of the row; None for the function's own.
        clips: number of clips; fewer for a trial.
        progress: called after each batch; None for a bar in a notebook.

    Raises:
        InputError: `explain` is no function, or `clips` is not 1 to 160.
        ShapeError: heat has another shape, or is not finite, or is negative.
    """
    if not callable(explain):
        raise InputError(f"explain is {explain!r}, expected a function (network, clips, classes) -> heat")
    if clips not in range(1, CLIPS + 1):
        raise InputError(f"clips is {clips!r}, expected 1 to {CLIPS}")
    made = [request.clip() for request in mixed(clips, first_seed=FIRST_SEED, actors=1)]
    report = progress_or_default(progress)
    scores = [_measured(explain, spec.name, made, report) for spec in TINY_SPECS]
    title = name if name is not None else getattr(explain, "__name__", type(explain).__name__)
    return MotionBenchmark(str(title), VERSION, clips, tuple(scores))


def _measured(explain: Explain, network: str, clips: Sequence[MotionClip], progress: Progress) -> NetworkScores:
    """Explain and measure all clips with one network."""
    module = load_model(network, device="cpu").module
    values: list[NDArray[np.float64]] = []
    empty = 0
    for start in range(0, len(clips), BATCH):
        batch = clips[start : start + BATCH]
        classes = torch.tensor([clip.label for clip in batch])
        with torch.enable_grad():
            heat = checked_heat(
                explain(module, network_input(batch), classes), (len(batch), *batch[0].frames.shape[:3])
            )
        values.append(measure(heat, batch))
        empty += int((heat.reshape(len(heat), -1).max(axis=1) == 0).sum())
        progress(f"motion benchmark, {network}", start + len(batch), len(clips))
    by_measure = dict(zip(MEASURES, np.concatenate(values, axis=1), strict=True))
    means = {name: bootstrap_mean(row, np.random.default_rng(0)) for name, row in by_measure.items()}
    return NetworkScores(network, sha256(weights_path(network)), means, empty)


def network_input(clips: Sequence[MotionClip]) -> Tensor:
    """Return clips as the networks take them, (N, 3, T, H, W) float32."""
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    return scale_pixels(frames.permute(0, 4, 1, 2, 3).float(), TINY_R3D_SPEC.scaling).contiguous()


def measure(heat: Floats, clips: Sequence[MotionClip]) -> NDArray[np.float64]:
    """Measure the maps of clips: one row for each of `MEASURES`, (4, N).

    Args:
        heat: (N, T, H, W), >= 0.
        clips: N clips.
    """
    instances = [filled_boxes(clip) for clip in clips]
    inside = np.stack([regions.any(axis=0) for regions in instances])
    acting = np.stack([clip.acting.any(axis=0) for clip in clips])
    coverage = [instance_coverage(*pair).mean() for pair in zip(heat, instances, strict=True)]
    return np.stack([energy(heat, inside), pointing(heat, inside), np.array(coverage), temporal_iou(heat, acting)])


def checked_heat(heat: Any, shape: tuple[int, ...]) -> Floats:
    """Return heat as an array of floats.

    Raises:
        ShapeError: it has another shape, or is not finite, or is negative.
    """
    values = np.asarray(heat.detach().cpu().float() if isinstance(heat, Tensor) else heat)
    if values.shape != shape or values.dtype.kind not in "fiub":
        raise ShapeError(f"explain returned heat {values.shape} of {values.dtype}, expected {shape} numbers")
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1)).tolist()
        raise ShapeError(f"explain returned NaN or infinity for clips {bad} of the batch")
    if values.min() < 0:
        lowest = f"{values.min():.3g}"
        raise ShapeError(f"explain returned negative heat ({lowest}); return its positive part or its absolute value")
    return values.astype(np.float64, copy=False)


def _cell(mean: Interval) -> str:
    return f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
