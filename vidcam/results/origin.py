"""Where a saved explanation comes from: which film, and how to tell that it is still the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """The film behind an explanation, as far as drawing it again needs it.

    Attributes:
        path: relative to the folder of the saved explanation; the name of what was no file of that machine.
        content_hash: `system.fingerprint.sampled_sha256` of its files.
        span_seconds: the part of the film that was explained, [start, end).
        fps: images a second of a folder of images, as a fraction in text; None for a film.
        mean_rgb: the dataset's mean colour, in [0, 255], for what hides pixels.
    """

    path: str
    content_hash: str
    span_seconds: tuple[float, float]
    fps: str | None = None
    mean_rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)


def origin_from(entry: Mapping[str, Any]) -> Origin:
    """What `dataclasses.asdict` made of an origin, back from JSON."""
    red, green, blue = entry["mean_rgb"]
    start, end = entry["span_seconds"]
    return Origin(entry["path"], entry["content_hash"], (start, end), entry["fps"], (red, green, blue))
