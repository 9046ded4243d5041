"""Play the grid pointing game with one pair of clips: put them into one input, explain each class, take the shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from torch import Tensor, nn

from vidcam.axes import Axes
from vidcam.cam.baseline import Baseline, compute_baseline
from vidcam.cam.layers import Layers
from vidcam.errors import NonFiniteError
from vidcam.maps import Floats
from vidcam.metrics.controls import centre_heat, frame_difference, shuffled_cells
from vidcam.metrics.grid import half_share
from vidcam.models.model import Model
from vidcam.pipelines.score.composite import AXIS, Composite, Where, compose
from vidcam.pipelines.score.forwards import is_out_of_memory
from vidcam.results.explanation import Explanation

PairShares = Mapping[str, Mapping[Where, tuple[float, float]]]
"""Method or control → where → share of the map of the first class, and of the second, in the half of its class."""

Explain = Callable[..., tuple[Explanation, ...]]
"""`explain_each` with methods, layer and other keywords filled in."""


class GridPlayer:
    """Plays the game with one network.

    Attributes:
        shrunk: where → whether two clips are shrunk into one input, because the network refuses the double size. The
            first pair decides.
    """

    def __init__(
        self,
        model: nn.Module | Model,
        axes: Axes,
        explain: Explain,
        *,
        layer: Layers = None,
        blank: Tensor | None = None,
        needs_baseline: bool = False,
        controls: bool = True,
        seed: int = 0,
    ) -> None:
        """Take the network and the settings.

        Args:
            model: left as it was.
            axes: axes of its clips.
            explain: called with a model, a clip, the two classes and `baseline`.
            layer: the layer of the baseline; only for a `Model`.
            blank: the baseline clip of a plain module, (1, C, T, H, W).
            needs_baseline: whether a method needs the baseline of a `Model`.
            controls: whether the controls are played too.
            seed: seed of the control `random`.
        """
        self._model, self._axes, self._explain, self._layer = model, axes, explain, layer
        self._blank, self._needs_baseline, self._controls, self._seed = blank, needs_baseline, controls, seed
        self._baselines: dict[Where, Baseline] = {}
        self.shrunk: dict[Where, bool] = {}

    def play(self, first: Tensor, second: Tensor, classes: tuple[int, int], *, number: int) -> PairShares:
        """Return the shares of a pair.

        Args:
            first: (1, C, T, H, W), the left or the earlier clip.
            second: of the same size, the right or the later clip.
            classes: their classes.
            number: seeds the control `random` beside the seed; no two pairs should have the same.

        Raises:
            VidcamError: the network cannot be explained.
        """
        shares: dict[str, dict[Where, tuple[float, float]]] = {}
        for where in AXIS:
            if where == "time" and (first.ndim < 5 or first.shape[-3] < 2):
                continue
            composite, explanations = self._explained(first, second, where, classes)
            generator = np.random.default_rng([self._seed, number, -AXIS[where]])
            for name, maps, size in self._maps(composite, explanations, generator):
                both = (float(half_share(maps[half], size, axis=AXIS[where], half=half)[0]) for half in (0, 1))
                shares.setdefault(name, {})[where] = (next(both), next(both))
        return shares

    def _explained(
        self, first: Tensor, second: Tensor, where: Where, classes: tuple[int, int]
    ) -> tuple[Composite, tuple[Explanation, ...]]:
        """Explain both classes, at the double size if the network takes it."""
        if where in self.shrunk:
            return self._explained_as(first, second, where, classes, is_shrunk=self.shrunk[where])
        try:
            result = self._explained_as(first, second, where, classes, is_shrunk=False)
            self.shrunk[where] = False
        except Exception as exc:  # a network may refuse a size with any error
            if isinstance(exc, NonFiniteError) or (isinstance(exc, RuntimeError) and is_out_of_memory(exc)):
                raise
            self._baselines.pop(where, None)
            result = self._explained_as(first, second, where, classes, is_shrunk=True)
            self.shrunk[where] = True
        return result

    def _explained_as(
        self, first: Tensor, second: Tensor, where: Where, classes: tuple[int, int], *, is_shrunk: bool
    ) -> tuple[Composite, tuple[Explanation, ...]]:
        composite = compose(self._model, self._axes, first, second, where, is_shrunk=is_shrunk)
        baseline: Baseline | Tensor | None = None
        if self._blank is not None:
            blank = compose(self._model, self._axes, self._blank, self._blank, where, is_shrunk=is_shrunk)
            baseline = blank.clip
        elif self._needs_baseline:
            if where not in self._baselines:
                self._baselines[where] = compute_baseline(composite.model, layer=self._layer)
            baseline = self._baselines[where]
        return composite, self._explain(composite.model, composite.clip, classes, baseline=baseline)

    def _maps(
        self, composite: Composite, explanations: tuple[Explanation, ...], generator: np.random.Generator
    ) -> Iterator[tuple[str, tuple[Floats, ...], tuple[int, ...]]]:
        """Yield for each method and control its name, its map (1, …) of each class, and the input's size."""
        size = explanations[0].input_size
        for name in explanations[0].volumes:
            yield name, tuple(each.volume(name) for each in explanations), size
        for name in explanations[0].guided:  # signed, of each colour
            yield name, tuple(np.maximum(each.guided[name], 0.0).sum(axis=1) for each in explanations), size
        if not self._controls:
            return
        volumes = [next(iter(each.volumes.values()), None) for each in explanations]
        if all(volume is not None for volume in volumes):
            shuffled = (shuffled_cells(volume[0], generator)[None] for volume in volumes if volume is not None)
            yield "random", tuple(shuffled), size
        pixels = composite.pixels()
        frames, height, width = pixels.shape[:3]
        centre = centre_heat((frames, height, width))[None]
        yield "centre", (centre, centre), pixels.shape[:3]
        if frames > 1:
            difference = frame_difference(pixels)[None]
            yield "frame-difference", (difference, difference), pixels.shape[:3]
        uniform = np.ones((1, 1, 1, 1))
        yield "uniform", (uniform, uniform), pixels.shape[:3]
