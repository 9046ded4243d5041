"""Gradients of the score at the input, averaged over a path from a baseline to the clip.

Integrated gradients (arXiv:1703.01365): (x - x₀) · ∫ ∂S/∂x at x₀ + α(x - x₀) dα. Their sum is S(x) - S(x₀), up to the
error of the sum that replaces the integral; that error is measured. The gradient changes fast near a flat baseline, so
the points of the sum are dense there; docs/evidence/search.md has the error beside other rules. Expected gradients
(arXiv:1906.10670) draw α and the baseline at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidcam.axes import Axes
from vidcam.cam.input_score import ScoreOf, require_floats
from vidcam.cam.network import Input, like_input, pathways, require_finite
from vidcam.cam.weights import at_least_float32
from vidcam.devices import double
from vidcam.errors import InputError, ShapeError


@dataclass(frozen=True, slots=True, eq=False)
class PathIntegral:
    """What integrating the gradients over a path gave.

    Attributes:
        maps: of each pathway of the clip, (N, T, H, W), signed, summed over the colours.
        error: (N,) float64; the sum of the maps is larger than S(clip) - S(baseline) by this share of it.
    """

    maps: tuple[Tensor, ...]
    error: Tensor


class GradientPath:
    """The straight paths from baselines to clips.

    Args:
        score: the score of a clip.
        clip: N rows, as the network takes it.
        baselines: like the clip, with any number of rows.
        axes: of each pathway.

    Raises:
        InputError: a clip that is not floating point.
        ShapeError: the baselines have not the clip's sizes.
    """

    def __init__(self, score: ScoreOf, clip: Input, baselines: Input, axes: Axes) -> None:
        self._score, self._clip, self._axes = score, clip, axes
        self._ends = [axes.view(part.detach()) for part in pathways(clip)]
        self._starts = [
            axes.view(part.detach()).to(end) for part, end in zip(pathways(baselines), self._ends, strict=True)
        ]
        require_floats(self._ends)
        sizes = [[tuple(part.shape[1:]) for part in parts] for parts in (self._starts, self._ends)]
        if sizes[0] != sizes[1]:
            raise ShapeError(f"baseline is {sizes[0]} and the clip {sizes[1]}; pass a baseline of the clip's sizes")
        self.clips, self.baselines = len(self._ends[0]), len(self._starts[0])

    def score(self, rows: Tensor, alpha: float) -> Tensor:
        """Return the scores (N,) at α of the paths that start at some rows (N,) of the baselines, without a graph."""
        with torch.no_grad():
            return double(self._score(self._input(self._points(rows, alpha))))

    def products(self, rows: Tensor, alpha: float) -> list[Tensor]:
        """Return (clip - baseline) · gradient at α, summed over the colours, (N, T, H, W) of each pathway."""
        leaves = [point.requires_grad_() for point in self._points(rows, alpha)]
        with torch.enable_grad():
            value = self._score(self._input(leaves)).sum()
            if not value.requires_grad:
                raise InputError("the score does not depend on the clip, expected a differentiable function of it")
            gradients = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True)
        for gradient in gradients:
            require_finite(gradient, "the gradients at the input")
        changes = (at_least_float32(end) - start[rows] for start, end in zip(self._starts, self._ends, strict=True))
        return [(gradient * change).sum(dim=1) for gradient, change in zip(gradients, changes, strict=True)]

    def _points(self, rows: Tensor, alpha: float) -> list[Tensor]:
        return [torch.lerp(start[rows], end, alpha) for start, end in zip(self._starts, self._ends, strict=True)]

    def _input(self, points: Sequence[Tensor]) -> Input:
        """Return clones in the network's order, because a first layer may work in place."""
        parts = [self._axes.restore(point).clone(memory_format=torch.contiguous_format) for point in points]
        return like_input(self._clip, parts)


Rule = Callable[[int], tuple[Sequence[float], Sequence[float]]]
"""Number of points → points α in [0, 1] and their weights, which add up to 1."""

GRADING = 1.5
"""Part i of K of a path ends at (i/K)^GRADING: the parts at the baseline are the shortest."""


def graded_midpoints(steps: int) -> tuple[Sequence[float], Sequence[float]]:
    """Return the midpoints of parts that grow from the baseline on, and the lengths of the parts."""
    edges = (np.arange(steps + 1) / steps) ** GRADING
    return ((edges[1:] + edges[:-1]) / 2).tolist(), np.diff(edges).tolist()


def integrated_gradients(
    score: ScoreOf, clip: Input, baselines: Input, axes: Axes, *, steps: int, rule: Rule = graded_midpoints
) -> PathIntegral:
    """Integrate the gradients from a baseline to each clip; the mean of several baselines.

    The path is that of `GradientPath`, and `rule` tells where its `steps` points lie. Each baseline costs so many
    passes.

    Raises:
        InputError, ShapeError, NonFiniteError: see `GradientPath`; a score that does not depend on the clip.
    """
    path = GradientPath(score, clip, baselines, axes)
    total = _Sum(path)
    for row in range(path.baselines):
        rows = torch.full((path.clips,), row)
        for alpha, weight in zip(*rule(steps), strict=True):
            total.add(rows, alpha, weight / path.baselines)
    return total.result()


def expected_gradients(
    score: ScoreOf, clip: Input, baselines: Input | None, axes: Axes, *, steps: int, seed: int = 0
) -> PathIntegral:
    """Average the gradients over random baselines and random points of their paths.

    The points are drawn one in each of `steps` equal parts of the path, and the baselines in turn, in a random order:
    this has a smaller error than independent draws. Without baselines, the other clips of the batch are drawn.

    Raises:
        InputError: no baselines, and a single clip; else as `integrated_gradients`.
    """
    path = GradientPath(score, clip, clip if baselines is None else baselines, axes)
    others = path.clips - 1 if baselines is None else path.baselines
    if others < 1:
        raise InputError("expected-gradients needs other clips; pass several as baseline=, or explain several clips")
    generator = torch.Generator().manual_seed(seed)
    total, order = _Sum(path), torch.randperm(steps, generator=generator)
    for step, jitter in enumerate(torch.rand(steps, generator=generator)):
        if step % others == 0:
            turn = torch.randperm(others, generator=generator)
        drawn, clips = turn[step % others], torch.arange(path.clips)
        rows = (clips + 1 + drawn) % path.clips if baselines is None else drawn.expand(path.clips)
        total.add(rows, float(order[step] + jitter) / steps, 1 / steps)
    return total.result()


class _Sum:
    """A weighted sum of products along paths, whose weights add up to 1."""

    def __init__(self, path: GradientPath) -> None:
        self._path, self._maps = path, list[Tensor]()
        self._weights: dict[tuple[int, ...], float] = {}  # rows of the baselines → weight of the paths from there

    def add(self, rows: Tensor, alpha: float, weight: float) -> None:
        """Add the products at α of the paths from some rows (N,) of the baselines."""
        products = [weight * product for product in self._path.products(rows, alpha)]
        self._maps = [a.add_(b) for a, b in zip(self._maps, products, strict=True)] if self._maps else products
        key = tuple(rows.tolist())
        self._weights[key] = self._weights.get(key, 0.0) + weight

    def result(self) -> PathIntegral:
        """Compare the sum with the difference of the scores."""
        path = self._path
        change = path.score(torch.zeros(path.clips, dtype=torch.int64), 1.0)
        for rows, weight in self._weights.items():
            change = change - weight * path.score(torch.tensor(rows), 0.0)
        total = torch.stack([double(product).flatten(1).sum(dim=1) for product in self._maps]).sum(dim=0)
        error = torch.where(total == change, torch.zeros_like(change), (total - change) / change)
        return PathIntegral(tuple(self._maps), error)
