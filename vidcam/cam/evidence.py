"""From A and g of one layer to the maps that are asked for, and what the audit says of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidcam.cam.audit import audit_alpha, guarded_share
from vidcam.cam.methods import METHODS, Evidence
from vidcam.results.explanation import AlphaAudit


class LayerMaps:
    """The maps of one layer for one target of each clip.

    Attributes:
        volumes: method → raw map, (N, t, h, w).
    """

    def __init__(self, evidence: Evidence, methods: Sequence[str]) -> None:
        self._evidence = evidence
        self.volumes: dict[str, Tensor] = {name: METHODS[name](evidence) for name in methods}

    def audits(self) -> dict[str, AlphaAudit]:
        """The audit of α, where gradcam++ was asked for."""
        if "gradcam++" not in self.volumes:
            return {}
        evidence = self._evidence
        plus = self.volumes.get("gradcam+")
        plus = METHODS["gradcam+"](evidence) if plus is None else plus
        plus_plus = self.volumes["gradcam++"]
        return {"gradcam++": audit_alpha(evidence.activations, evidence.gradients, plus, plus_plus, lam=evidence.lam)}

    def guarded(self) -> dict[str, NDArray[np.float64]]:
        """Method → (N,) share of the positions that weigh whose denominator hit the guard, where α has poles."""
        evidence, shares = self._evidence, {}
        if "gradcam++signed" in self.volumes:
            share = guarded_share(evidence.activations, evidence.gradients, lam=evidence.lam)
            shares["gradcam++signed"] = share
        if "gradcam++softmax" in self.volumes:
            shares["gradcam++softmax"] = evidence.softmax().guarded.double().cpu().numpy()
        return shares
