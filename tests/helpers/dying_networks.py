"""Networks that end their process: once, or at a white clip. For workers of a cluster."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from tests.helpers.nets import TINY_SPEC, hidden_model
from vidcam.models.model import Model

MARK = "VIDCAM_TEST_DIED"
"""Variable with the path of a file that the first death makes."""


class Dying(nn.Module):
    """Dies at the first clip of all processes that is not of one colour, and at each white clip."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, clip: Tensor) -> Tensor:
        if float(clip.min()) > 0.9:
            os.kill(os.getpid(), signal.SIGKILL)
        if float(clip.std()) > 0.1:
            with suppress(FileExistsError):
                Path(os.environ[MARK]).touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        scores: Tensor = self.inner(clip)
        return scores


def dying_model() -> Model:
    """`hidden_model` whose process dies."""
    inner = hidden_model()
    return Model(replace(TINY_SPEC, layer="inner.relu"), Dying(inner.module), inner.labels, inner.weights)
