"""What is asked about a clip set, resolved once."""

from __future__ import annotations

from dataclasses import dataclass

from vidcam.cam.request import MapRequest
from vidcam.fill import Fill


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreRequest(MapRequest):
    """What is asked of a model about each clip; the fields of a `MapRequest` besides.

    Attributes:
        fill: what hidden pixels become.
        batch_size: masked clips that the model is shown at once.
    """

    fill: Fill = "black"
    batch_size: int = 1
