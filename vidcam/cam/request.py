"""What is asked of a forward pass: one request object, from the user's keywords down to the arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from vidcam.cam.fusion import FUSIONS, Fusion
from vidcam.cam.methods import DEFAULT_METHODS, canonical_methods
from vidcam.cam.reshape import Reshape
from vidcam.cam.targets import ScoreName
from vidcam.cam.weights import checked_lam
from vidcam.errors import InputError
from vidcam.results.explanation import Activation


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapRequest:
    """Which maps are made, of which score, at which layers; targets are given with each explanation.

    Attributes:
        methods: canonical names, guided ones among them; aliases are resolved.
        layers: dotted names; empty: the default layer.
        foil: class to contrast with: the score is S_target - S_foil.
        score: `logit`, or `probability`: g = ∂p/∂A unscaled (the post-softmax maps of EQ tables 1–2).
        lam: λ of EQ 12: gradcam++ takes the score through exp(λS); near 0 it weighs as gradcam+ does.
        reshape: layer output → (N, D, t, h, w); None: it is so already.
        fusion: `mean` or `max` of several layers' maps, each divided by its own maximum.
        activation: what stands behind the logits; None: what the model itself ends in, else a softmax.
        softmax_chunk: classes whose products `gradcam++softmax` takes at once; memory grows with it, nothing else.
        softmax_tail: share of the other classes' probability that `gradcam++softmax` may leave out.
        references: layer → A₀, (1, D, t, h, w), activations of a clip without content, for the neutral methods.

    Raises:
        InputError: an unknown method, score, fusion or activation, or a λ that is negative or not finite.
    """

    methods: Sequence[str] = DEFAULT_METHODS
    layers: Sequence[str] = ()
    foil: int | None = None
    score: ScoreName = "logit"
    lam: float = 1.0
    reshape: Reshape | None = None
    fusion: Fusion = "mean"
    activation: Activation | None = None
    softmax_chunk: int = 32
    softmax_tail: float = 0.0
    references: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "methods", canonical_methods(self.methods))
        if self.score not in ("logit", "probability"):
            raise InputError(f"score is {self.score!r}, expected logit or probability")
        if self.fusion not in FUSIONS:
            raise InputError(f"fusion is {self.fusion!r}, expected one of {', '.join(FUSIONS)}")
        if self.activation not in (None, "softmax", "sigmoid"):
            raise InputError(f"activation is {self.activation!r}, expected softmax or sigmoid")
        checked_lam(self.lam)
