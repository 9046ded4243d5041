"""Three crops of each window, merged into one result.

The crops are seen by the same network and explained for the same class, so their raw maps have one scale. The merged
map is the mean of the crops that cover a cell. The merged logits are those whose probabilities are the mean over the
crops, so everything that reads logits agrees with the probability that is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidcam.geometry import Geometry, cover_weights, union
from vidcam.maps import Floats, resample_plane
from vidcam.results.clip_arrays import map_arrays
from vidcam.results.explanation import Activation, Explanation


@dataclass(frozen=True, slots=True)
class Crops:
    """The crops of one resized frame that a model sees one by one; n·C clips become n windows.

    Attributes:
        parts: C crops, the middle one in the middle. With one crop nothing is changed.
    """

    parts: tuple[Geometry, ...]

    def __len__(self) -> int:
        return len(self.parts)

    @property
    def geometry(self) -> Geometry:
        """All that is seen."""
        return union(self.parts)

    def maps(self, volumes: Floats) -> Floats:
        """Merge maps, (n·C, ..., h, w), into maps of all that is seen, (n, ..., h', w')."""
        view, (height, width) = self.geometry, volumes.shape[-2:]
        total, count = np.zeros(()), np.zeros(())
        for number, part in enumerate(self.parts):
            down, across = part.slices_in(view)
            rows, is_row_covered = cover_weights(down, view.crop_size[0], height)
            columns, is_column_covered = cover_weights(across, view.crop_size[1], width)
            is_covered = np.outer(is_row_covered, is_column_covered)
            total = total + is_covered * resample_plane(volumes[number :: len(self)].astype(np.float64), rows, columns)
            count = count + is_covered
        merged: Floats = (total / count).astype(volumes.dtype)
        return merged

    def heat(self, heat: Tensor) -> Tensor:
        """Cut the heat of all that is seen, (n, T, H', W'), into that of each crop, (n·C, T, H, W)."""
        view = self.geometry
        return torch.stack([heat[(..., *part.slices_in(view))] for part in self.parts], dim=1).flatten(0, 1)

    def mean_log(self, logarithms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithms of mean probabilities, (n, ...), from those of each crop, (n·C, ...)."""
        by_crop = logarithms.reshape(-1, len(self), *logarithms.shape[1:])
        mean: NDArray[np.float64] = np.logaddexp.reduce(by_crop, axis=1) - np.log(len(self))
        return mean

    def logits(self, logits: Floats, activation: Activation) -> NDArray[np.float64]:
        """Return logits (n, K) whose probabilities are the means over the crops, from those of each crop, (n·C, K).

        Values (activation `none`) are averaged themselves.
        """
        scores = logits.astype(np.float64)
        if activation == "none":
            return np.asarray(scores.reshape(-1, len(self), scores.shape[1]).mean(axis=1))
        if activation == "sigmoid":
            return self.mean_log(-np.logaddexp(0.0, -scores)) - self.mean_log(-np.logaddexp(0.0, scores))
        return self.mean_log(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))

    def merge(self, explanation: Explanation) -> Explanation:
        """Merge the explanation of n·C clips into one of n windows; the audits are those of the middle crop."""
        if len(self) == 1:
            return explanation
        middle = map_arrays(explanation, lambda array: array[len(self) // 2 :: len(self)])
        return replace(
            middle,
            volumes={method: self.maps(volumes) for method, volumes in explanation.volumes.items()},
            signed={method: self.maps(values) for method, values in explanation.signed.items()},
            logits=self.logits(explanation.logits, explanation.activation).astype(explanation.logits.dtype),
            input_size=(explanation.input_size[0], *self.geometry.crop_size),
        )
