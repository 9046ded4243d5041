"""The result of explaining clips: raw maps, the scores behind them, and the audit of α.

All arrays are NumPy. `volumes` are raw maps on the feature grid (t, h, w) of the target layer, before upsampling and
normalisation. `heat` is for viewing: upsampled to the model's input and min-max normalised per clip. For a 2-D network
the axes t and T are absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vidcam.errors import ShapeError, name_not_found
from vidcam.maps import Floats, normalise_per_clip, upsample_volume

Activation = Literal["softmax", "sigmoid", "none"]
"""Turns logits into probabilities: `softmax` for exclusive classes, `sigmoid` for independent ones. `none`: the scores
are values, as of a regression, and there are no probabilities."""

OF_FUNCTION = -1
"""Value of `target` when a function of the output was explained, not a class."""

GUIDED: Mapping[str, str] = MappingProxyType(
    {"guided-gradcam": "gradcam", "guided-gradcam+": "gradcam+", "guided-gradcam++": "gradcam++"}
)
"""Guided method → the method whose upsampled map it multiplies with guided backpropagation."""

PRODUCTS: Mapping[str, str] = MappingProxyType({"gradcam-ig": "gradcam", "neutral-gradcam-ig": "neutral-gradcam"})
"""Method → the method whose upsampled map it multiplies with integrated gradients."""

PATH_METHODS = ("integrated-gradients", "expected-gradients", *PRODUCTS)
"""Methods that average the gradients at the input over a path."""

MASKED = ("occlusion", "rise")
"""Methods that run the network on clips of which parts are hidden."""

RELEVANCE = ("token-lrp", "attnlrp", "attention-cam", "rollout", "legrad")
"""Methods for transformers: maps of the patch embedding, from one more forward pass and its gradient."""

INPUT_METHODS = (*PATH_METHODS, *MASKED, *RELEVANCE)
"""Methods with a map of the input, whose grid is not that of the layer."""

SATURATED = 1e-4
"""A probability p is saturated if 1 - p is at most this: its gradient is nearly zero."""


@dataclass(frozen=True, slots=True, eq=False)
class AlphaAudit:
    """Distribution of the Grad-CAM++ weights α in each of N clips (EQ 3.3–3.4, arXiv:2205.10838).

    The five numbers are minimum, quartiles and maximum. They are NaN where a clip has no such position.

    Attributes:
        positive: (N, 5) α over positions with g > 0, which enter the weights; in (0, 1/2] where A >= 0.
        nonzero: (N, 5) α over all positions with g != 0, as EQ plots it; outliers lie at g < 0.
        product: (N, 5) ΣA·g over positions with g != 0; α = 1 / (2 + ΣA·g).
        clamped: (N,) share of the positions with g > 0 whose denominator was clamped.
        agreement: (N,) Pearson correlation of the gradcam++ volume with the gradcam+ volume; NaN if one is constant.
        uniform: (N,) bool, whether g is constant within each channel (global pooling and a linear head).
    """

    positive: NDArray[np.float64]
    nonzero: NDArray[np.float64]
    product: NDArray[np.float64]
    clamped: NDArray[np.float64]
    agreement: NDArray[np.float64]
    uniform: NDArray[np.bool_]

    def __post_init__(self) -> None:
        clips = self.clamped.shape[0]
        shapes = {name: (clips, 5) if name in AUDIT_FIELDS[:3] else (clips,) for name in AUDIT_FIELDS}
        wrong = {name: getattr(self, name).shape for name in shapes if getattr(self, name).shape != shapes[name]}
        if wrong:
            raise ShapeError(f"an audit of {clips} clips must have the shapes {shapes}, got {wrong}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """Grid cells that have high activations on any input, also on a content-free one.

    Attributes:
        cells: their indices (t, h, w), highest activation first.
        value: channel sum of the activations in the first cell.
        median: median channel sum over the grid.
    """

    cells: tuple[tuple[int, ...], ...]
    value: float
    median: float


_MOST_SHOWN = 8

AUDIT_FIELDS = ("positive", "nonzero", "product", "clamped", "agreement", "uniform")

GROUPS = ("volumes", "clamped", "guided", "signed", "completeness", "noise", "factors")
"""Fields of an explanation that are named arrays, besides `alpha`."""


def shown_frames(length: int) -> NDArray[np.intp]:
    """Return the frames of a clip of T frames that a notebook shows: at most 8, at even distances."""
    return np.unique(np.linspace(0, length - 1, min(length, _MOST_SHOWN)).round().astype(np.intp))


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Class activation maps of N clips, one target per clip.

    Attributes:
        volumes: method → (N, t, h, w) float32 (float64 for a float64 model), raw, >= 0. A map of the input
            (INPUT_METHODS) has a grid of its own. In a video it is float16, in units of `factors`.
        logits: (N, K), the model's scores before the softmax; with activation `none` its values.
        target: (N,) int64, the class explained in each clip; OF_FUNCTION (-1) for a function of the output.
        contrast: (N,) int64, the contrast class (score S_target - S_contrast), or None.
        layer: dotted name of the target layer; several are joined by ' + '.
        input_size: (T, H, W) of the model's input.
        alpha: method → audit, for the methods that use α.
        alpha_exact: whether GC++ eq. 19 is exact, that is, the head is piecewise linear in A; None if unknown.
        clamped: method → (N,) share of the positions whose denominator was clamped, for `gradcam++signed` and
            `gradcam++softmax`. For `gradcam++` it is in `alpha`.
        guided: method → (N, C, T, H, W) signed: guided backpropagation times the map at the input's size,
            divided by its maximum.
        signed: method → (N, t, h, w), a map of the input with its negative part, which `volumes` leave out.
        completeness: method → (N,), relative error of the integrated gradients in a map: their sum is larger than the
            difference of the scores, S(clip) - S(baseline), by this share of it.
        noise: method → (N,), standard error of a map that rests on random masks, root mean square over its cells, as a
            share of its largest value.
        factors: method → (N,), what `volumes` and `signed` are multiplied by to be raw; 1 for all other methods.
        activation: turns the logits into probabilities.
        artifact: cells with high activations on a content-free clip; None if there are none or nobody looked.
        notes: sentences about the choices that vidcam made, for example the layer.
        frames: (F, h, w, 3) uint8, the frames `shown_frames` of the first clip, shrunk, for notebooks; not saved.
    """

    volumes: Mapping[str, Floats]
    logits: Floats
    target: NDArray[np.int64]
    contrast: NDArray[np.int64] | None
    layer: str
    input_size: tuple[int, ...]
    alpha: Mapping[str, AlphaAudit] = field(default_factory=dict)
    alpha_exact: bool | None = None
    clamped: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    guided: Mapping[str, Floats] = field(default_factory=dict)
    signed: Mapping[str, Floats] = field(default_factory=dict)
    completeness: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    noise: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    factors: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    activation: Activation = "softmax"
    artifact: Artifact | None = None
    notes: tuple[str, ...] = ()
    frames: NDArray[np.uint8] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        axes = 1 + len(self.input_size)
        shapes = {name: volume.shape for name, volume in self.volumes.items()}
        if any(len(shape) != axes or shape[0] != len(self) for shape in shapes.values()):
            raise ShapeError(
                f"volumes must be (N, ...) with N = {len(self)} clips and {axes} axes for "
                f"input_size {self.input_size}, got {shapes}"
            )
        if self.logits.ndim != 2 or self.target.shape != self.logits.shape[:1]:
            raise ShapeError(f"logits must be (N, K) and target (N,), got {self.logits.shape} and {self.target.shape}")

        if self.contrast is not None and self.contrast.shape != self.target.shape:
            raise ShapeError(f"contrast must be (N,) like target, got {self.contrast.shape} and {self.target.shape}")

    def __len__(self) -> int:
        return int(self.target.shape[0])

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {volume.shape}" for name, volume in self.volumes.items())
        return f"Explanation({{{shapes}}}, target={self.target.tolist()}, layer={self.layer!r})"

    @property
    def methods(self) -> tuple[str, ...]:
        """Canonical names of the methods in `volumes`."""
        return tuple(self.volumes)

    @property
    def empty(self) -> dict[str, NDArray[np.bool_]]:
        """Method → (N,) bool: the map is zero everywhere, it has no positive evidence."""
        return {name: np.max(volume.reshape(len(self), -1), axis=1) <= 0 for name, volume in self.volumes.items()}

    @property
    def layer_volumes(self) -> dict[str, Floats]:
        """Method → raw maps, for the methods whose maps lie on the grid of the layer."""
        return {name: volume for name, volume in self.volumes.items() if name not in INPUT_METHODS}

    def volume(self, method: str) -> Floats:
        """Return the raw maps of a method, (N, t, h, w).

        Raises:
            NameNotFoundError: the explanation has no map of this method.
        """
        volume = self.stored(method)
        if method not in self.factors:
            return volume
        return volume * self.factors[method].reshape(-1, *[1] * (volume.ndim - 1)).astype(np.float32)

    def stored(self, method: str) -> Floats:
        """Return the maps of a method in units of `factors`, as they lie in memory or in a file; else as `volume`."""
        if method not in self.volumes:
            raise name_not_found("method", method, self.volumes, f"this explanation has {', '.join(self.volumes)}")
        return self.volumes[method]

    def heat(self, method: str) -> Floats:
        """Return maps at the size of the model's input, (N, T, H, W) in [0, 1], min-max normalised per clip."""
        return normalise_per_clip(upsample_volume(self.volume(method), self.input_size))

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write an `.npz` that `vidcam.load` reads; for arguments and errors see `results.io.save`."""
        from vidcam.results.io import save

        save(self, path, overwrite=overwrite)

    def _repr_png_(self) -> bytes | None:
        """Draw the first clip's maps over its frames for a notebook, methods × frames."""
        from vidcam.render.notebook import maps_page

        if not self.volumes or len(self) == 0:
            return None
        shape = (1, 1, 1, *self.input_size)[-3:]  # a 2-D input becomes one frame, a 1-D input one line of a frame
        shown = shown_frames(shape[0])
        rows = {name: self.heat(name)[0].reshape(shape)[shown] for name in self.volumes}
        clips = f"clip 1 of {len(self)}, " if len(self) > 1 else ""
        target = "a function" if self.target[0] == OF_FUNCTION else f"class {self.target[0]}"
        frames = self.frames if self.frames is not None and len(self.frames) == shown.size else None
        return maps_page(rows, frames, title=f"{clips}{target} at {self.layer}", subtitle=self.audit())

    def probabilities(self) -> NDArray[np.float64]:
        """Return the softmax (or sigmoid) of the logits, (N, K), in float64; NaN if the activation is `none`."""
        logits = self.logits.astype(np.float64)
        if self.activation == "none":
            return np.full_like(logits, np.nan)
        if self.activation == "sigmoid":
            odds = np.exp(-np.abs(logits))
            return np.where(logits < 0, odds, 1.0) / (1.0 + odds)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

    def ranking(self) -> NDArray[np.float64]:
        """Return what classes are ranked by, (N, K): probabilities, or the values if the activation is `none`."""
        return self.logits.astype(np.float64) if self.activation == "none" else self.probabilities()

    @property
    def probability(self) -> NDArray[np.float64]:
        """(N,) probability of each clip's target; NaN if a function was explained or the activation is `none`."""
        if (self.target == OF_FUNCTION).any():
            return np.full(len(self), np.nan)
        return np.take_along_axis(self.probabilities(), self.target[:, None], axis=1)[:, 0]

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """(N,) bool: the target's probability is within 1e-4 of 1, where its gradient is nearly zero."""
        return self.probability >= 1 - SATURATED

    def audit(self, clip: int = 0) -> str:
        """Return one line that says how far one clip's maps can be trusted."""
        parts = [_alpha_line(name, audit, clip) for name, audit in self.alpha.items()]
        parts += [f"{name}: {share[clip]:.2%} clamped" for name, share in self.clamped.items()]
        parts += [] if self.alpha_exact is None else [f"eq. 19 {'exact' if self.alpha_exact else 'an approximation'}"]
        if self.target[clip] != OF_FUNCTION and self.activation == "none":
            parts.append(f"value = {self.logits[clip, self.target[clip]]:.6g}")
        elif self.target[clip] != OF_FUNCTION:
            parts.append(f"p = {self.probability[clip]:.6g}{' (saturated)' if self.saturated[clip] else ''}")
        in_artifact = [
            name
            for name, volume in self.layer_volumes.items()
            if self.artifact and peaks_in_artifact(volume, self.artifact)[clip]
        ]
        parts += (
            [f"{', '.join(in_artifact)} {'peak' if len(in_artifact) > 1 else 'peaks'} in the artifact"]
            if in_artifact
            else ["no peak in the artifact"] * bool(self.artifact)
        )
        empty = [name for name, flags in self.empty.items() if flags[clip]]
        return "; ".join([*parts, *([f"empty: {', '.join(empty)}"] if empty else [])])


def _alpha_line(name: str, audit: AlphaAudit, clip: int) -> str:
    low, _, median, _, high = audit.positive[clip]
    if np.isnan(median):
        return f"{name}: no positive gradient"
    agreement = audit.agreement[clip]
    return (
        f"{name}: alpha {median:.3f} at the median ({low:.3g} to {high:.3g}; from {audit.nonzero[clip, 0]:.3g} to "
        f"{audit.nonzero[clip, 4]:.3g} over all g), {audit.clamped[clip]:.2%} clamped, "
        + ("constant map" if np.isnan(agreement) else f"r = {agreement:.4f} with gradcam+")
    )


def peaks_in_artifact(volumes: Floats, artifact: Artifact) -> NDArray[np.bool_]:
    """Tell for each map whether its maximum lies in one of the artifact's cells, (N,) bool; False for empty maps.

    Args:
        volumes: raw maps, (N, t, h, w).
        artifact: artifact of the same layer.
    """
    flat = volumes.reshape(volumes.shape[0], -1)
    artifact_cells = [int(np.ravel_multi_index(cell, volumes.shape[1:])) for cell in artifact.cells]
    is_in_artifact: NDArray[np.bool_] = np.isin(flat.argmax(axis=1), artifact_cells) & flat.any(axis=1)
    return is_in_artifact


def artifact_share(volumes: Floats, artifact: Artifact) -> float:
    """Return the share of the maps that peak in the artifact; arguments as `peaks_in_artifact`."""
    return float(np.mean(peaks_in_artifact(volumes, artifact)))
