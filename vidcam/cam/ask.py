"""What is asked of a forward pass: methods, contrast, kind of score."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vidcam.cam.methods import DEFAULT_METHODS
from vidcam.cam.targets import ScoreName
from vidcam.cam.weights import checked_lam
from vidcam.errors import InputError


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of a forward pass; one set of defaults.

    Attributes:
        methods: names or aliases of `vidcam.cam.methods`.
        foil: class to contrast with: the score is S_target - S_foil.
        score: `logit`, or `probability`: g = ∂p/∂A unscaled (the post-softmax maps of EQ tables 1–2).
        lam: λ of EQ 12: gradcam++ takes the score through exp(λS); near 0 it weighs as gradcam+ does.
        softmax_chunk: classes whose products `gradcam++softmax` takes at once; memory grows with it, nothing else.
        softmax_tail: share of the other classes' probability that `gradcam++softmax` may leave out.
    """

    methods: Iterable[str] = DEFAULT_METHODS
    foil: int | None = None
    score: ScoreName = "logit"
    lam: float = 1.0
    softmax_chunk: int = 32
    softmax_tail: float = 0.0

    def __post_init__(self) -> None:
        if self.score not in ("logit", "probability"):
            raise InputError(f"score is {self.score!r}, expected logit or probability")
        checked_lam(self.lam)
