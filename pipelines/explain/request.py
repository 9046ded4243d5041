"""What is asked about a video, resolved once: names are indices, defaults are filled in."""

from __future__ import annotations

from dataclasses import dataclass

from vidcam.cam.request import MapRequest
from vidcam.fill import Fill
from vidcam.results.explanation import GUIDED


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainRequest(MapRequest):
    """What is asked of a model about a video; the fields of a `MapRequest` besides.

    Attributes:
        targets: class indices, None for each window's own top class; empty for the class that leads over the video.
        fill: what hidden pixels become when faithfulness is measured.
        batch_size: windows that the model is shown at once.
    """

    targets: tuple[int | None, ...] = ()
    fill: Fill = "black"
    batch_size: int = 1

    @property
    def guided(self) -> tuple[str, ...]:
        """The guided ones among the methods."""
        return tuple(method for method in self.methods if method in GUIDED)
